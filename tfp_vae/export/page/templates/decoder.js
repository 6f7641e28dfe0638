"use strict";
// The decoder of the model, step by step as `tfp_vae/export/steps.py` lists them. A value is
// {data: Float32Array, shape: [...]} of one example; sums are in double precision.
const erf = (x) => {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  // erf(x) = 2 x exp(-x^2) / sqrt(pi) * sum_n (2 x^2)^n / (1 3 5 ... (2 n + 1)): no cancellation.
  let term = 1, sum = 1;
  for (let n = 1; term > 1e-17 * sum; n++) {
    term *= (2 * a * a) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * x * Math.exp(-a * a) * sum;
};
const sigmoid = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const functions = {
  linear: (x) => x,
  relu: (x) => Math.max(x, 0),
  relu6: (x) => Math.min(Math.max(x, 0), 6),
  leaky_relu: (x, slope = 0.2) => (x >= 0 ? x : slope * x),
  elu: (x, slope = 1) => (x >= 0 ? x : slope * Math.expm1(x)),
  selu: (x) => 1.0507009873554805 * (x >= 0 ? x : 1.6732632423543772 * Math.expm1(x)),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  silu: (x) => x * sigmoid(x),
  softsign: (x) => x / (1 + Math.abs(x)),
  tanh: Math.tanh,
  exponential: Math.exp,
  sigmoid,
  softplus,
};

// How many outputs a convolution has along an axis, and how many zeros are in front of its input.
const extent = (size, kernel, stride, dilation, same) => {
  const reach = (kernel - 1) * dilation + 1;
  if (!same) return [Math.floor((size - reach) / stride) + 1, 0];
  const count = Math.ceil(size / stride);
  return [count, Math.floor(Math.max((count - 1) * stride + reach - size, 0) / 2)];
};

const makeSteps = (weights) => {
  const array = (place) => {
    const [start, ...shape] = place;
    const size = shape.reduce((a, b) => a * b, 1);
    return { data: weights.subarray(start, start + size), shape };
  };
  const start = (data, width, bias) => {
    if (bias) for (let i = 0; i < data.length; i++) data[i] = bias[i % width];
    return data;
  };
  // sums[to ..] += data[at ..] kernel, a matrix [inner, units] that begins at `from`.
  const multiply = (data, at, kernel, from, inner, units, sums, to) => {
    for (let i = 0; i < inner; i++) {
      const value = data[at + i];
      if (value === 0) continue;
      const row = from + i * units;
      for (let u = 0; u < units; u++) sums[to + u] += value * kernel[row + u];
    }
  };
  return {
    dense: ({ data, shape }, { kernel, bias }) => {
      const k = array(kernel);
      const [inner, units] = k.shape;
      const rows = data.length / inner;
      const sums = start(new Float64Array(rows * units), units, bias && array(bias).data);
      for (let r = 0; r < rows; r++) {
        multiply(data, r * inner, k.data, 0, inner, units, sums, r * units);
      }
      return { data: Float32Array.from(sums), shape: [...shape.slice(0, -1), units] };
    },
    conv: ({ data, shape }, { kernel, bias, strides, dilation, same }) => {
      const k = array(kernel);
      const [height, width, inner, units] = k.shape;
      const [rows, top] = extent(shape[0], height, strides[0], dilation[0], same);
      const [columns, left] = extent(shape[1], width, strides[1], dilation[1], same);
      const sums = new Float64Array(rows * columns * units);
      start(sums, units, bias && array(bias).data);
      for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) {
        const to = (r * columns + c) * units;
        for (let a = 0; a < height; a++) for (let b = 0; b < width; b++) {
          const y = r * strides[0] + a * dilation[0] - top;
          const x = c * strides[1] + b * dilation[1] - left;
          if (y < 0 || y >= shape[0] || x < 0 || x >= shape[1]) continue;
          const at = (y * shape[1] + x) * inner, from = (a * width + b) * inner * units;
          multiply(data, at, k.data, from, inner, units, sums, to);
        }
      }
      return { data: Float32Array.from(sums), shape: [rows, columns, units] };
    },
    conv_transpose: ({ data, shape }, { kernel, bias, strides, same }) => {
      const k = array(kernel);
      const [height, width, inner, units] = k.shape;
      const size = (n, kernel, stride) =>
        same ? n * stride : (n - 1) * stride + Math.max(kernel, stride);
      const before = (kernel, stride) =>
        same ? Math.floor(Math.max(kernel - stride, 0) / 2) : 0;
      const rows = size(shape[0], height, strides[0]), top = before(height, strides[0]);
      const columns = size(shape[1], width, strides[1]), left = before(width, strides[1]);
      const sums = new Float64Array(rows * columns * units);
      start(sums, units, bias && array(bias).data);
      for (let y = 0; y < shape[0]; y++) for (let x = 0; x < shape[1]; x++) {
        for (let a = 0; a < height; a++) for (let b = 0; b < width; b++) {
          const r = y * strides[0] + a - top, c = x * strides[1] + b - left;
          if (r < 0 || r >= rows || c < 0 || c >= columns) continue;
          const to = (r * columns + c) * units;
          const at = (y * shape[1] + x) * inner, from = (a * width + b) * inner * units;
          multiply(data, at, k.data, from, inner, units, sums, to);
        }
      }
      return { data: Float32Array.from(sums), shape: [rows, columns, units] };
    },
    activation: ({ data, shape }, { function: name, slope }) => {
      const f = functions[name];
      return { data: data.map((x) => f(x, slope)), shape };
    },
    scale: ({ data, shape }, { scale, shift }) => {
      const s = array(scale).data, t = array(shift).data;
      return { data: data.map((x, i) => x * s[i % s.length] + t[i % t.length]), shape };
    },
    layer_norm: ({ data, shape }, { epsilon, scale, shift }) => {
      const width = shape[shape.length - 1], normal = new Float32Array(data.length);
      const s = scale && array(scale).data, t = shift && array(shift).data;
      for (let row = 0; row < data.length; row += width) {
        const values = data.subarray(row, row + width);
        const mean = values.reduce((a, b) => a + b, 0) / width;
        const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / width;
        values.forEach((x, i) => {
          const unit = (x - mean) / Math.sqrt(variance + epsilon);
          normal[row + i] = unit * (s ? s[i] : 1) + (t ? t[i] : 0);
        });
      }
      return { data: normal, shape };
    },
    reshape: ({ data }, { shape }) => {
      const known = shape.reduce((a, b) => (b < 0 ? a : a * b), 1);
      return { data, shape: shape.map((n) => (n < 0 ? data.length / known : n)) };
    },
    up: ({ data, shape }, { size }) => moved(data, shape,
      [shape[0] * size[0], shape[1] * size[1]],
      (r, c) => [Math.floor(r / size[0]), Math.floor(c / size[1])]),
    crop: ({ data, shape }, { edges: [top, bottom, left, right] }) => moved(data, shape,
      [shape[0] - top - bottom, shape[1] - left - right], (r, c) => [r + top, c + left]),
    pad: ({ data, shape }, { edges: [top, bottom, left, right] }) => moved(data, shape,
      [shape[0] + top + bottom, shape[1] + left + right], (r, c) => [r - top, c - left]),
  };
};
// Pixels taken from elsewhere, and zeros from beyond the edge.
const moved = (data, [height, width, channels], [rows, columns], from) => {
  const to = new Float32Array(rows * columns * channels);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) {
    const [y, x] = from(r, c);
    if (y < 0 || y >= height || x < 0 || x >= width) continue;
    const at = (y * width + x) * channels;
    to.set(data.subarray(at, at + channels), (r * columns + c) * channels);
  }
  return { data: to, shape: [rows, columns, channels] };
};

// The mean of a value in its features.
const means = {
  linear: ([first]) => first,
  sigmoid: ([logit]) => sigmoid(logit),
  continuous_bernoulli: ([x]) => {
    // The pole at 0 cancels; its series is exact to double precision within 0.1.
    if (Math.abs(x) < 0.1) return 0.5 + x / 12 - x ** 3 / 720 + x ** 5 / 30240 - x ** 7 / 1209600;
    return -1 / Math.expm1(-x) - 1 / x;
  },
  discretized_logistic: ([loc, raw], { levels, floor }) => {
    const scale = softplus(raw - 2) + floor, step = 1 / (levels - 1);
    let sum = 0;
    for (let n = 0; n < levels - 1; n++) sum += sigmoid((loc + 0.5 - (n + 0.5) * step) / scale);
    return step * sum;
  },
  logistic_mixture: (features, head) => {
    const count = features.length / 3, part = (i) => features.slice(i * count, (i + 1) * count);
    const [logits, locs, raws] = [part(0), part(1), part(2)];
    const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    let total = 0, sum = 0;
    logits.forEach((logit, k) => {
      const weight = Math.exp(logit - top), start = (k + 0.5) / count - 0.5;
      total += weight;
      sum += weight * means.discretized_logistic([locs[k] + start, raws[k]], head);
    });
    return sum / total;
  },
  categorical: (logits) => {
    const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    let total = 0, sum = 0;
    logits.forEach((logit, level) => {
      const weight = Math.exp(logit - top);
      total += weight;
      sum += weight * level;
    });
    return sum / total / (logits.length - 1);
  },
};

// Returns the function from [latent, condition] to the mean of p(x|z), a Float32Array.
const makeDecoder = ({ steps, head }, weights) => {
  const run = makeSteps(weights);
  const count = head.shape.reduce((a, b) => a * b, 1);
  return (input) => {
    const start = { data: Float32Array.from(input), shape: [input.length] };
    const { data } = steps.reduce((value, step) => run[step.step](value, step), start);
    const mean = new Float32Array(count), size = data.length / count;
    for (let i = 0; i < count; i++) {
      mean[i] = means[head.mean](data.subarray(i * size, (i + 1) * size), head);
    }
    return mean;
  };
};
const unpack = (base64) => {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Float32Array(bytes.buffer);
};
