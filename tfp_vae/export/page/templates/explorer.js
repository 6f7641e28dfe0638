// The page: a point in the latent space, moved by pointer, keys or sliders, and its picture.
const values = JSON.parse(document.getElementById("values").textContent);
const { latent, start, ends, prior, picture, points, words, classes } = values;
const decoder = makeDecoder(values.decoder, unpack(values.weights));
const find = (id) => document.getElementById(id);
const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const COLORS = ["#4e79a7", "#f28e2b", "#e15759", "#59b3ad", "#59a14f", "#d9b52c", "#b07aa1", "#ff7f9e", "#9c755f", "#8a8f98"];
const colorOf = (label) =>
  label < COLORS.length ? COLORS[label] : `hsl(${(label * 137.5) % 360} 55% 55%)`;

// z is the whole latent; sliders and plane show its part along their directions.
const state = { z: [...start.z], label: start.label };
const along = (k, z = state.z) =>
  dot(z, latent.directions[k]) - dot(latent.centre, latent.directions[k]);
const move = (k, to) => {
  const by = Math.min(Math.max(to, -latent.extent), latent.extent) - along(k);
  state.z = state.z.map((x, i) => x + by * latent.directions[k][i]);
};
const priorOf = (what) => prior[what][Math.min(state.label, prior[what].length - 1)];
const oneHot = (label) => Array.from({ length: classes }, (_, i) => Number(i === label));
const decode = (z, label = 0) => {
  if (z.length !== latent.dim || !z.every(Number.isFinite)) {
    throw new Error(`Expected ${latent.dim} numbers. Received ${JSON.stringify(z)}`);
  }
  if (values.decoder_sees_class && !(Number.isInteger(label) && label >= 0 && label < classes)) {
    throw new Error(`Expected a class from 0 to ${classes - 1}. Received ${label}`);
  }
  return decoder(values.decoder_sees_class ? [...z, ...oneHot(label)] : z);
};

// The picture.
const canvas = find("picture"), shape = values.decoder.head.shape;
const [low, high] = picture.range;
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const sized = (canvas) => {
  const scale = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
  canvas.width = Math.max(1, Math.round(box.width * scale));
  canvas.height = Math.max(1, Math.round(box.height * scale));
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return [context, box.width, box.height];
};
const paint = (canvas, mean) => {
  const [height, width, channels] = shape;
  const colored = channels === 3, tiles = colored ? 1 : channels;
  canvas.classList.add("pixels");
  canvas.width = width * tiles;
  canvas.height = height;
  const image = new ImageData(width * tiles, height);
  const byte = (x) => Math.round((255 * (x - low)) / (high - low));
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) for (let t = 0; t < tiles; t++) {
    const from = (y * width + x) * channels, to = 4 * (y * width * tiles + t * width + x);
    for (let c = 0; c < 3; c++) image.data[to + c] = byte(mean[from + (colored ? c : t)]);
    image.data[to + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
};
const drawImage = (mean) => {
  const [height, width] = shape;
  paint(canvas, mean);
  const average = mean.reduce((a, b) => a + b, 0) / mean.length;
  return words.image.replace("{height}", height).replace("{width}", width)
    .replace("{mean}", average.toFixed(2));
};
const short = (x) => String(Number(x.toPrecision(2))).replace("-", "−");
const drawBars = (mean) => {
  const [context, width, height] = sized(canvas);
  const pad = { top: 14, right: 12, bottom: 26, left: 40 };
  const top = Math.max(high, ...mean), bottom = Math.min(low, ...mean);
  const y = (value) => pad.top + ((top - value) / (top - bottom)) * (height - pad.top - pad.bottom);
  context.clearRect(0, 0, width, height);
  context.font = "12px " + style("--sans");
  context.fillStyle = style("--muted");
  context.strokeStyle = style("--line");
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const value of new Set([bottom, 0, top])) {
    if (value < bottom || value > top) continue;
    context.fillText(short(value), pad.left - 6, y(value));
    context.beginPath();
    context.moveTo(pad.left, y(value));
    context.lineTo(width - pad.right, y(value));
    context.stroke();
  }
  const step = (width - pad.left - pad.right) / mean.length;
  const origin = y(Math.min(Math.max(0, bottom), top));
  context.textAlign = "center";
  mean.forEach((value, i) => {
    const x = pad.left + i * step, gap = step > 4 ? step * 0.15 : 0;
    context.fillStyle = style("--bar");
    context.fillRect(x + gap, Math.min(origin, y(value)), step - 2 * gap, Math.abs(y(value) - origin));
    if (step >= 18) {
      context.fillStyle = style("--muted");
      context.fillText(i + 1, x + step / 2, height - pad.bottom / 2);
    }
  });
  return words.bars.replace("{count}", mean.length)
    .replace("{low}", Math.min(...mean).toFixed(2)).replace("{high}", Math.max(...mean).toFixed(2));
};

// The plane.
const plane = find("plane");
const places = points && unpack(points.places);
const drawPlane = () => {
  const [context, size] = sized(plane);
  const unit = size / (2 * latent.extent), at = (t) => size / 2 + t * unit;
  context.clearRect(0, 0, size, size);
  context.lineWidth = 1;
  for (let t = -Math.floor(latent.extent); t <= latent.extent; t++) {
    context.strokeStyle = style(t === 0 ? "--line" : "--grid");
    context.beginPath();
    context.moveTo(at(t), 0), context.lineTo(at(t), size);
    context.moveTo(0, at(t)), context.lineTo(size, at(t));
    context.stroke();
  }
  context.strokeStyle = style("--line");
  for (let r = 1; r <= 3 && prior.is_standard; r++) {
    context.beginPath();
    context.arc(at(0), at(0), r * unit, 0, 2 * Math.PI);
    context.stroke();
  }
  for (let i = 0; places && i < points.count; i++) {
    const label = points.labels ? points.labels[i] : -1;
    // Points of another class than the chosen one step back.
    context.globalAlpha = classes && points.labels && label !== state.label ? 0.2 : 0.65;
    context.fillStyle = label < 0 ? style("--muted") : colorOf(label);
    context.beginPath();
    context.arc(at(places[2 * i]), at(-places[2 * i + 1]), Math.max(2, size / 180), 0, 2 * Math.PI);
    context.fill();
  }
  context.globalAlpha = 1;
  context.font = "11px " + style("--sans");
  context.textAlign = "center";
  for (let t = 1 - Math.ceil(latent.extent); t < latent.extent; t++) {
    if (t === 0) continue;
    context.lineWidth = 4;
    context.strokeStyle = style("--sheet");
    context.strokeText(short(t), at(t), size - 8);
    context.fillStyle = style("--muted");
    context.fillText(short(t), at(t), size - 8);
  }
  context.lineWidth = 1;
  if (ends) {
    // The line between the two ends, a ring at each.
    const on = pair.map((end) => [at(along(0, ends.z[end])), at(-along(1, ends.z[end]))]);
    context.strokeStyle = context.fillStyle = style("--accent");
    context.beginPath();
    context.moveTo(...on[0]), context.lineTo(...on[1]);
    context.stroke();
    for (const place of on) {
      context.beginPath();
      context.arc(...place, 4, 0, 2 * Math.PI);
      context.fill();
    }
  }
  const [x, y] = [at(along(0)), at(-along(1))];
  context.strokeStyle = style("--accent");
  context.globalAlpha = 0.35;
  context.beginPath();
  context.moveTo(x, 0), context.lineTo(x, size), context.moveTo(0, y), context.lineTo(size, y);
  context.stroke();
  context.globalAlpha = 1;
  context.beginPath();
  context.arc(x, y, 9, 0, 2 * Math.PI);
  context.fillStyle = style("--sheet");
  context.fill();
  context.lineWidth = 3;
  context.stroke();
  context.beginPath();
  context.arc(x, y, 3.5, 0, 2 * Math.PI);
  context.fillStyle = style("--accent");
  context.fill();
};

// Two examples, and the place on the line between their latents that is nearest to z.
const between = find("between"), pair = [0, 1];
const buttons = [...document.querySelectorAll("[data-end]")];
const share = () => {
  const [from, to] = pair.map((end) => ends.z[end]);
  const way = to.map((x, i) => x - from[i]);
  const part = dot(way, state.z.map((x, i) => x - from[i])) / dot(way, way);
  return Math.min(Math.max(part, 0), 1);
};
const drawEnds = () => buttons.forEach((button, side) => {
  const end = pair[side], label = ends.labels ? ends.labels[end] : -1;
  const small = button.querySelector("canvas"), mean = decode(ends.z[end], classes ? label : 0);
  if (picture.is_image) paint(small, mean);
  else {
    const [context, width, height] = sized(small);
    const top = Math.max(high, ...mean), bottom = Math.min(low, ...mean);
    context.fillStyle = style("--bar");
    mean.forEach((value, i) => {
      const tall = (height * (value - bottom)) / (top - bottom), step = width / mean.length;
      context.fillRect(i * step, height - tall, step > 4 ? step * 0.7 : step, tall);
    });
  }
  const name = words.end.replace("{number}", end + 1).replace("{count}", ends.z.length);
  const said = label < 0 ? "" : `, ${words.label.replace("{label}", ends.names[label] ?? label)}`;
  button.title = `${name}${said}. ${words.next}`;
  button.setAttribute("aria-label", button.title);
});
const go = (part) => {
  const [from, to] = pair.map((end) => ends.z[end]);
  state.z = from.map((x, i) => (1 - part) * x + part * to[i]);
  if (classes) setLabel(ends.labels[pair[part < 0.5 ? 0 : 1]]);
  show();
};

// Everything that shows the state, once per frame.
const sliders = [...document.querySelectorAll("[data-direction]")];
const number = (x) => x.toFixed(2).replace("-", "−");
let frame = 0, silence = 0;
const draw = () => {
  frame = 0;
  const mean = decode(state.z, state.label);
  const label = picture.is_image ? drawImage(mean) : drawBars(mean);
  canvas.setAttribute("aria-label", label);
  if (plane) drawPlane();
  sliders.forEach((slider, k) => {
    slider.value = along(k);
    slider.nextElementSibling.textContent = number(along(k));
    slider.setAttribute("aria-valuetext", number(along(k)));
  });
  if (ends) {
    drawEnds();
    between.value = share();
    between.nextElementSibling.textContent = `${Math.round(100 * share())} %`;
    between.setAttribute("aria-valuetext", between.nextElementSibling.textContent);
  }
  clearTimeout(silence);  // spoken once the point rests
  silence = setTimeout(() => {
    const place = sliders.slice(0, 2).map((_, k) => number(along(k))).join(", ");
    find("live").textContent = `${words.position.replace("{place}", place)}. ${label}`;
  }, 600);
};
const show = () => { frame = frame || requestAnimationFrame(draw); };

if (plane) {
  const follow = (event) => {
    const box = plane.getBoundingClientRect(), unit = box.width / (2 * latent.extent);
    move(0, (event.clientX - box.left - box.width / 2) / unit);
    move(1, (box.top + box.height / 2 - event.clientY) / unit);
    show();
  };
  plane.addEventListener("pointerdown", (event) => {
    if (event.isTrusted) plane.setPointerCapture(event.pointerId);
    plane.focus({ preventScroll: true });
    event.preventDefault();
    follow(event);
  });
  plane.addEventListener("pointermove", (event) => { if (event.buttons) follow(event); });
  plane.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.5 : 0.1;
    const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (event.key === "Home") home();
    else if (by[event.key]) by[event.key].forEach((b, k) => move(k, along(k) + b));
    else return;
    event.preventDefault();
    show();
  });
}
sliders.forEach((slider, k) => {
  slider.min = -latent.extent;
  slider.max = latent.extent;
  slider.addEventListener("input", () => { move(k, Number(slider.value)); show(); });
});
if (ends) {
  between.addEventListener("input", () => go(Number(between.value)));
  buttons.forEach((button, side) => button.addEventListener("click", () => {
    // The next example that is not the other end.
    do pair[side] = (pair[side] + 1) % ends.z.length; while (pair[side] === pair[1 - side]);
    go(side);
  }));
}
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
const home = () => { state.z = [...(classes ? priorOf("loc") : latent.centre)]; show(); };
const chips = [...document.querySelectorAll("input[name=class]")];
const setLabel = (label) => {
  state.label = label;
  chips.forEach((chip) => { chip.checked = Number(chip.value) === label; });
};
// Back to the example that the page opened with: in the middle is the mean of everything, grey.
const reset = () => {
  state.z = [...start.z];
  setLabel(start.label);
  pair.splice(0, 2, 0, 1);
  show();
};
find("reset").addEventListener("click", reset);
find("random").addEventListener("click", () => {
  // A prior that is not a normal has drawn before: the page picks.
  const drawn = prior.draws && priorOf("draws");
  state.z = drawn
    ? [...drawn[Math.floor(Math.random() * drawn.length)]]
    : priorOf("loc").map((loc, i) => loc + priorOf("scale")[i] * normal());
  show();
});
for (const input of chips) {
  input.addEventListener("change", () => {
    // Where each class has a prior of its own, a place is kept relative to it.
    const before = [priorOf("loc"), priorOf("scale")];
    state.label = Number(input.value);
    const after = [priorOf("loc"), priorOf("scale")];
    state.z = state.z.map((x, i) => after[0][i] + ((x - before[0][i]) / before[1][i]) * after[1][i]);
    show();
  });
}
for (const chip of document.querySelectorAll("i[data-label]")) {
  if (points && points.labels) chip.style.background = colorOf(Number(chip.dataset.label));
  else chip.remove();
}
if (points && points.labels && !classes) {
  const legend = find("legend");
  for (const label of [...new Set(points.labels)].sort((a, b) => a - b)) {
    const entry = document.createElement("span"), chip = document.createElement("i");
    chip.dataset.label = label;
    chip.style.background = label < 0 ? "var(--muted)" : colorOf(label);
    entry.append(chip, String(label));
    legend.append(entry);
  }
  legend.hidden = false;
}
addEventListener("resize", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
reset();
draw();
// For tests, and for whoever wants to use the decoder from the console.
window.tfpVae = {
  decode,
  shape,
  latentDim: latent.dim,
  classes,
  state: () => ({ z: [...state.z], label: state.label }),
  draw,
};
