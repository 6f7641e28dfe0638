"""What every Bayesian layer has: a posterior and a prior over its weights, and an estimator.

The weights of a layer are one matrix [F, U]: a column per unit, a row per input of a unit (for a
convolution: per position, channel), and one more row if the bias is Bayesian too. Three
estimators of E_q[f(x; w)] share it; all have the same mean:

- reparameterization (Blundell et al., 2015): one draw of the weights for the whole batch;
- local reparameterization (Kingma, Salimans & Welling, 2015): the pre-activations are drawn, which
  are normal if the weights are, independently for every example;
- flipout (Wen et al., 2018): one draw, whose deviations get random signs for every example.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfp_vae import networks
from tfp_vae.arguments import check_count, check_number, check_seed, is_count, lacks
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import inverse_positive, positive, tfd
from tfp_vae.layers import noise as noise_sources
from tfp_vae.layers import priors
from tfp_vae.layers.noise import MEAN, SHARED
from tfp_vae.probability import tfb

registered = keras.saving.register_keras_serializable(package="tfp_vae.layers")

# Far below any scale that training finds, and the KL already keeps scales away from zero.
WEIGHT_SCALE_FLOOR = 1e-6
# Scales are functions of this times a variable: under Adam, whose steps have the size of the rate
# whatever the gradient is, they then move so many times faster than the means, which start near
# where they end, while scales have to travel from 0.1 / sqrt(F).
SCALE_SPEED = 10.0
MAX_JOINT = 4096  # weights with a covariance matrix, whose factors cost their cube
CERTAIN = -100.0  # a raw scale that is none
# What noise is for.
DRAW_OF_WEIGHTS, _SIGNS_IN, _SIGNS_OUT, DRAW_OF_KL = range(4)


def scale_of(raw: tf.Tensor) -> tf.Tensor:
    """Returns the standard deviations that `raw_scale` stands for."""
    return positive(SCALE_SPEED * raw, WEIGHT_SCALE_FLOOR)


def raw_scale_of(scale: float) -> float:
    """Returns the inverse of `scale_of`, of a number."""
    return inverse_positive(scale, WEIGHT_SCALE_FLOOR) / SCALE_SPEED


class WeightLayer(keras.Layer):
    """A layer with a distribution over weights: what a model asks of it, whatever its map is.

    A subclass gives `posterior`, `prior`, `kl_divergence` and, if its weights are independent, says
    `covariance = "diagonal"` and gives `keep`.

    Attributes:
        covariance: of the posterior; "diagonal" if `posterior.distribution` is a normal with a
            `loc` and a `scale` of every weight.
    """

    draws_noise = True  # see `layers.noise`
    covariance: "str | int" = "joint"

    @property
    def kl_weight(self) -> "float | keras.Variable | tf.Variable | None":
        """What the KL is multiplied by that the layer adds to the loss; None: it adds none."""
        return self._kl_weight()

    @kl_weight.setter
    def kl_weight(self, value: "float | keras.Variable | tf.Variable | None") -> None:
        self._take_kl_weight(value)

    def _take_kl_weight(self, value):
        if value is not None and not isinstance(value, keras.Variable | tf.Variable):
            value = check_number("kl_weight", value, above=0)
        # In a function: Keras would take a variable for a weight of the layer, and train it.
        self._kl_weight = lambda: value

    def _add_kl(self):
        """Adds the weighted KL to the loss of Keras, if it is to be there."""
        if self.kl_weight is not None:
            weight = tf.cast(tf.convert_to_tensor(self.kl_weight), tf.float32)
            self.add_loss(weight * self.kl_divergence())

    def _kl_config(self):
        return None if self.kl_weight is None else _value_of(self.kl_weight)

    @property
    def posterior(self) -> tfd.Distribution:
        """q(w)."""
        raise lacks(self, "posterior", "q(w), a tfp distribution")

    @property
    def prior(self) -> tfd.Distribution:
        """p(w), with the event shape of `posterior`."""
        raise lacks(self, "prior", "p(w), a tfp distribution")

    def kl_divergence(self, num_samples: int = 1) -> tf.Tensor:
        """Returns KL(q(w) || p(w)) in nats, summed over all weights, not scaled by anything.

        Args:
            num_samples: draws of q where there is no closed form.
        """
        raise lacks(self, "kl_divergence(num_samples)", "KL(q || p) in nats")

    @property
    def own_weights(self) -> list:
        """Those that a model gives no prior of its own: with a posterior, or points without one."""
        return self.weights

    def keep(self, kept: Any) -> None:
        """Sets the weights that are not kept to 0 for certain, of `posterior.event_shape`."""
        raise NotImplementedError

    def start_at(self, layer: keras.Layer) -> None:
        """Sets the posterior means to the weights of a layer of Keras with the same arguments."""
        raise NotImplementedError


class BayesianLayer(WeightLayer):
    """A linear map with a distribution over its weights, and an activation.

    Args:
        units: U, outputs.
        activation: anything that `keras.activations.get` takes.
        use_bias: whether there is a bias.
        bayesian_bias: whether the bias has a posterior; otherwise it is a point, without prior, as
            in TFP's Keras 2 layers.
        prior: p(w): the scale of a normal, a zero-mean `tfd.Normal` or `tfd.StudentT` of one
            weight, or an object of `tfp_vae.layers.priors`.
        covariance: of the posterior: "diagonal" (mean field); "full" or an integer rank r
            (diagonal plus rank r), both for small layers and for the reparameterization estimator.
        initial_scale: standard deviations of the posterior start at initial_scale / sqrt(fan-in).
            The noise that they give to a pre-activation is then `initial_scale` times the
            root-mean-square input, whatever the width: small beside the signal (about 1.4 times it
            with He weights), so that training starts as that of an ordinary network, and large
            enough that its gradient is not lost. A scale that ignores the fan-in drowns the signal
            of wide layers or is a point estimate in narrow ones.
        kernel_initializer: of the posterior means; He's for rectifiers, Glorot's otherwise.
        bias_initializer: of the bias, or of its posterior means; zeros by default.
        bias_regularizer: of a bias that is a point; a Bayesian one has its prior.
        bias_constraint: of a bias that is a point.
        kl_weight: only for training with a stock Keras loss: the layer then adds `kl_weight *
            kl_divergence()` to the loss (1 / N for a loss that is a mean over examples). A variable
            may change while training; a saved layer has the value of it. None: the model that holds
            the layer counts the KL, as the models of this package do.
        seed: of the layer's own noise, where no model of this package hands it out.
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        bayesian_bias: bool = False,
        prior: "priors.WeightPrior | tfd.Distribution | float | str | dict" = 1.0,
        covariance: "str | int" = "diagonal",
        initial_scale: float = 0.1,
        kernel_initializer: Any = None,
        kl_weight: "float | keras.Variable | tf.Variable | None" = None,
        seed: int | None = None,
        bias_initializer: Any = "zeros",
        bias_regularizer: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        _refuse(type(self).__name__, kwargs)
        try:
            super().__init__(**kwargs)
        except (ValueError, TypeError) as error:  # of Keras
            raise ValueError(
                f"{type(self).__name__} got arguments that it does not have, or that Keras does "
                f"not take. Expected its own and those of keras.Layer. Received {kwargs}: {error}"
            ) from error
        if not keras.backend.is_float_dtype(self.compute_dtype):
            raise ValueError(
                f"{type(self).__name__} computes with real numbers. Expected a dtype of floats, "
                f"such as 'float32'. Received {kwargs['dtype']!r}."
            )
        units = check_count("units", units)
        is_rank = isinstance(covariance, int) and is_count(covariance)
        if covariance not in ("diagonal", "full") and not is_rank:
            raise ValueError(
                "Unknown covariance. Expected 'diagonal', 'full' or an integer rank >= 1. Received "
                f"{covariance!r}."
            )
        if covariance != "diagonal" and not self.takes_any_covariance:
            raise ValueError(
                f"{type(self).__name__} needs independent weights. Expected "
                f"covariance='diagonal', or a ...Reparameterization layer. Received {covariance!r}."
            )
        initial_scale = check_number("initial_scale", initial_scale, above=0)
        if bayesian_bias and (bias_regularizer is not None or bias_constraint is not None):
            raise ValueError(
                "A bias with a prior has no regularizer and no constraint. Expected them with "
                f"bayesian_bias=False. Received {bias_regularizer or bias_constraint!r}."
            )
        if bayesian_bias and not use_bias:
            raise ValueError(
                "A bias that is not there cannot be Bayesian. Expected use_bias=True with "
                "bayesian_bias=True. Received use_bias=False."
            )
        self.units = units
        self.activation = _named("activation", keras.activations.get, activation)
        self.use_bias, self.bayesian_bias = bool(use_bias), bool(bayesian_bias)
        self.weight_prior = priors.get(prior)
        self.covariance = covariance
        self.initial_scale = initial_scale
        name = getattr(self.activation, "__name__", None)
        default = networks.initializer(name)
        self.kernel_initializer = _named(
            "kernel_initializer", keras.initializers.get, kernel_initializer or default
        )
        self.bias_initializer = _named(
            "bias_initializer", keras.initializers.get, bias_initializer or "zeros"
        )
        self.bias_regularizer = _named("bias_regularizer", keras.regularizers.get, bias_regularizer)
        self.bias_constraint = _named("bias_constraint", keras.constraints.get, bias_constraint)
        if seed is not None:
            check_seed(seed)
        self._take_kl_weight(kl_weight)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = self.keeps_masks

    takes_any_covariance = False
    keeps_masks = False  # whether a mask of the inputs, [B, ...], is one of the outputs

    # What the kind of map gives.

    def kernel_shape(self, input_shape: Any) -> "tuple[int, ...]":
        """Returns the shape of the kernel, the last axis of size U."""
        raise lacks(self, "kernel_shape(input_shape)", "a shape")

    def linear(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Returns the linear map of `inputs` by `kernel`, without bias."""
        raise lacks(self, "linear(inputs, kernel)", "pre-activations")

    def estimate(self, inputs: tf.Tensor, noise: noise_sources.Noise) -> tf.Tensor:
        """Returns the pre-activations with the noise of this layer's estimator."""
        raise lacks(self, "estimate(inputs, noise)", "pre-activations")

    def build(self, input_shape: Any) -> None:
        """Makes the parameters of the posterior."""
        self._kernel_shape = tuple(int(size) for size in self.kernel_shape(input_shape))
        self.fan_in = math.prod(self._kernel_shape[:-1])
        rows = self.fan_in + self.bayesian_bias
        count = rows * self.units
        if isinstance(self.covariance, int) and self.covariance > count:
            raise ValueError(
                f"The covariance of {self.name} has too high a rank. Expected at most {count}, the "
                f"number of its weights. Received {self.covariance}."
            )
        if self.covariance != "diagonal" and count > MAX_JOINT:
            raise ValueError(
                f"{self.name} is too large for covariances between its weights. Expected at most "
                f"{MAX_JOINT} weights. Received {count}; use covariance='diagonal'."
            )

        def initial_loc(shape, dtype=None):
            kernel = self.kernel_initializer(self._kernel_shape, dtype=dtype)
            kernel = keras.ops.reshape(kernel, (self.fan_in, self.units))
            if rows == self.fan_in:
                return kernel
            bias = self.bias_initializer((self.units,), dtype=dtype)
            return keras.ops.concatenate([kernel, bias[None]], axis=0)

        initial = self.initial_scale / math.sqrt(self.fan_in)
        if isinstance(self.covariance, int):
            initial /= math.sqrt(2)  # half of the variance is the diagonal's, half the factor's
        if initial <= WEIGHT_SCALE_FLOOR:
            raise ValueError(
                f"The initial_scale of {self.name} is too small for its {self.fan_in} inputs per "
                f"unit. Expected more than {WEIGHT_SCALE_FLOOR * self.initial_scale / initial:g}. "
                f"Received {self.initial_scale:g}."
            )
        raw = raw_scale_of(initial)
        self.loc = self._parameter("loc", (rows, self.units), initial_loc)
        self.factor = None
        if self.covariance == "full":
            # FillScaleTriL wants the entries of the triangle in an order of its own.
            with tf.init_scope():  # Keras may build layers inside a graph
                start = self._triangular.inverse(initial * tf.eye(count)).numpy()
            self.raw_scale = self._parameter("raw_scale", start.shape, lambda *_, **__: start)
        else:
            self.raw_scale = self._parameter(
                "raw_scale", (rows, self.units), keras.initializers.Constant(raw)
            )
        if isinstance(self.covariance, int):
            # Not zero, where the gradient with respect to the factor vanishes.
            small = keras.initializers.RandomNormal(stddev=initial / math.sqrt(self.covariance))
            self.factor = self._parameter("factor", (count, self.covariance), small)
        self.bias = None
        if self.use_bias and not self.bayesian_bias:
            self.bias = self._parameter(
                "bias",
                (self.units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.built = True

    def _parameter(self, name, shape, initializer, **options):
        # float32 and no autocast: scales, KL and draws are made before anything is cast.
        options |= {"initializer": initializer, "dtype": "float32", "autocast": False}
        return self.add_weight(name=name, shape=shape, **options)

    # The distributions.

    @property
    def _triangular(self):
        return tfb.FillScaleTriL(
            diag_bijector=tfb.Chain([tfb.Softplus(low=WEIGHT_SCALE_FLOOR), tfb.Scale(SCALE_SPEED)]),
            diag_shift=None,
        )

    @property
    def posterior(self) -> tfd.Distribution:
        """q(w): event shape [F, U], or [F * U] (row by row) with a covariance between weights."""
        loc = tf.convert_to_tensor(self.loc)
        raw = tf.convert_to_tensor(self.raw_scale)
        if self.covariance == "diagonal":
            return tfd.Independent(tfd.Normal(loc, scale_of(raw)), 2)
        loc = tf.reshape(loc, [-1])
        if self.covariance == "full":
            return tfd.MultivariateNormalTriL(loc, self._triangular.forward(raw))
        scale = tf.reshape(scale_of(raw), [-1])
        factor = tf.convert_to_tensor(self.factor)
        covariance = tf.linalg.diag(scale**2) + tf.matmul(factor, factor, transpose_b=True)
        return tfd.MultivariateNormalTriL(loc, tf.linalg.cholesky(covariance))

    @property
    def prior(self) -> tfd.Distribution:
        """p(w), with the event shape of `posterior`."""
        posterior = self.posterior
        squares = tf.reshape(posterior.mean() ** 2 + posterior.variance(), self.loc.shape)
        prior = self.weight_prior.distribution(tuple(self.loc.shape), self.fan_in, squares)
        if self.covariance == "diagonal":
            return prior
        elementwise = prior.distribution
        if isinstance(elementwise, tfd.Normal):
            loc, scale = (tf.reshape(p, [-1]) for p in (elementwise.loc, elementwise.scale))
            return tfd.MultivariateNormalDiag(loc, scale)
        flat = tfb.Reshape(event_shape_out=[-1], event_shape_in=self.loc.shape)
        return flat(prior)

    def kl_divergence(self, num_samples: int = 1) -> tf.Tensor:
        """Returns KL(q(w) || p(w)) in nats, summed over all weights, not scaled by anything.

        In closed form where TFP has one; otherwise -H(q) - mean_s log p(w_s) over `num_samples`
        draws of q, which has the right mean and gradient.
        """
        posterior, prior = self.posterior, self.prior
        try:
            return draws.kl_divergence(posterior, prior)
        except NotImplementedError:
            noise = noise_sources.of(self)
            shape = [num_samples, *self.loc.shape]
            drawn = self._weights(noise.normal(self, DRAW_OF_KL, shape))
            if self.covariance != "diagonal":
                drawn = tf.reshape(drawn, [num_samples, -1])
            return -posterior.entropy() - tf.reduce_mean(prior.log_prob(drawn))

    def _weights(self, standard: tf.Tensor) -> tf.Tensor:
        """Returns draws [..., F, U] of the posterior from standard normal numbers [..., F, U]."""
        posterior = self.posterior
        if self.covariance == "diagonal":
            return posterior.distribution.loc + posterior.distribution.scale * standard
        flat = tf.reshape(standard, [*standard.shape[:-2], -1, 1])
        drawn = posterior.loc[:, tf.newaxis] + tf.matmul(posterior.scale_tril, flat)
        return tf.reshape(drawn, tf.shape(standard))

    # The pass.

    def draw(self, noise: noise_sources.Noise) -> tf.Tensor:
        """Returns one draw of the weights, [F, U]; their mean if `noise` is of that mode."""
        if noise.mode == MEAN:
            return tf.convert_to_tensor(self.loc)
        return self._weights(noise.normal(self, DRAW_OF_WEIGHTS, self.loc.shape))

    def call(self, inputs: tf.Tensor, training: "bool | None" = None) -> tf.Tensor:
        """Returns activation(linear map of `inputs`) under the noise of the pass."""
        del training  # weights are uncertain whether one trains or predicts
        noise = noise_sources.of(self)
        inputs = tf.cast(inputs, self.compute_dtype)
        if noise.mode in (SHARED, MEAN):
            outputs = self.affine(inputs, self.draw(noise))
        else:
            outputs = self.estimate(inputs, noise)
        self._add_kl()
        return self.activation(outputs)

    def kernel_of(self, weights: tf.Tensor) -> tf.Tensor:
        """Returns the kernel within weights [F, U], in its own shape and the compute dtype."""
        kernel = tf.reshape(weights[: self.fan_in], self._kernel_shape)
        return tf.cast(kernel, self.compute_dtype)

    def bias_of(self, weights: tf.Tensor) -> "tf.Tensor | float":
        """Returns the bias [U]: the last row of Bayesian weights, or the point."""
        if self.bayesian_bias:
            return tf.cast(weights[self.fan_in], self.compute_dtype)
        return 0.0 if self.bias is None else tf.cast(self.bias, self.compute_dtype)

    def keep(self, kept: Any) -> None:
        """Sets the weights that are not kept, [F, U], to 0 for certain."""
        self.loc.assign(tf.where(kept, self.loc, 0.0))
        self.raw_scale.assign(tf.where(kept, self.raw_scale, CERTAIN))

    def start_at(self, layer: keras.Layer) -> None:
        """Sets the posterior means to the weights of a layer of Keras with the same arguments."""
        kernel = tf.cast(self._of_keras(layer.kernel), tf.float32)
        rows = [tf.reshape(kernel, [self.fan_in, self.units])]
        if self.bayesian_bias:
            rows.append(tf.cast(tf.convert_to_tensor(layer.bias), tf.float32)[tf.newaxis])
        elif self.bias is not None:
            self.bias.assign(layer.bias)
        self.loc.assign(tf.concat(rows, axis=0))

    def _of_keras(self, kernel):
        """Returns a kernel of Keras, in the shape of `kernel_shape`."""
        return tf.convert_to_tensor(kernel)

    def affine(self, inputs: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns inputs * kernel + bias for weights [F, U]."""
        bias = self.bias_of(weights)
        outputs = self.linear(inputs, self.kernel_of(weights))
        return outputs if isinstance(bias, float) else outputs + bias

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "bayesian_bias": self.bayesian_bias,
            "prior": keras.saving.serialize_keras_object(self.weight_prior),
            "covariance": self.covariance,
            "initial_scale": self.initial_scale,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kl_weight": self._kl_config(),
            "seed": self.seed,
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
        }


class Reparameterization(BayesianLayer):
    """One draw of the weights for the whole batch (Blundell et al., 2015)."""

    takes_any_covariance = True

    def estimate(self, inputs: tf.Tensor, noise: noise_sources.Noise) -> tf.Tensor:
        """Returns the pre-activations under one draw of the weights."""
        return self.affine(inputs, self.draw(noise))


class LocalReparameterization(BayesianLayer):
    """Draws pre-activations, independently for every example (Kingma et al., 2015, eq. 6)."""

    def estimate(self, inputs: tf.Tensor, noise: noise_sources.Noise) -> tf.Tensor:
        """Returns draws of the normal pre-activations."""
        normal = self.posterior.distribution
        # float16 has no numbers for the square of a small scale.
        dtype = "float32" if self.compute_dtype == "float16" else self.compute_dtype
        variances = normal.scale**2
        kernel = tf.reshape(variances[: self.fan_in], self._kernel_shape)
        variance = self.linear(tf.cast(inputs, dtype) ** 2, tf.cast(kernel, dtype))
        variance = tf.cast(variance, tf.float32)
        if self.bayesian_bias:
            variance += variances[self.fan_in]
        # The floor is for inputs that are all zero, where the square root has no gradient.
        scale = tf.sqrt(variance + WEIGHT_SCALE_FLOOR**2)
        deviation = scale * noise.normal(self, DRAW_OF_WEIGHTS, tf.shape(scale), axis=0)
        return self.affine(inputs, normal.loc) + tf.cast(deviation, self.compute_dtype)


class Flipout(BayesianLayer):
    """One draw of the deviations, with random signs for every example (Wen et al., 2018, eq. 4)."""

    def estimate(self, inputs: tf.Tensor, noise: noise_sources.Noise) -> tf.Tensor:
        """Returns the pre-activations under deviations with signs of their own per example."""
        normal = self.posterior.distribution
        deviation = normal.scale * noise.normal(self, DRAW_OF_WEIGHTS, self.loc.shape)
        batch, ones = tf.shape(inputs)[:1], [1] * (inputs.shape.rank - 2)

        def signs(purpose, size):
            shape = tf.concat([batch, ones, [size]], 0)
            return tf.cast(noise.signs(self, purpose, shape, axis=0), self.compute_dtype)

        perturbed = self.linear(
            inputs * signs(_SIGNS_IN, inputs.shape[-1]), self.kernel_of(deviation)
        )
        if self.bayesian_bias:
            perturbed += self.bias_of(deviation)
        perturbed *= signs(_SIGNS_OUT, self.units)
        return self.affine(inputs, normal.loc) + perturbed


# What Keras' layers of these names, or TFP's, take and these do not: what to say in its place.
_REFUSED = {
    "kernel_regularizer": "prior=, which is what holds a kernel with a distribution",
    "kernel_constraint": "prior=, which is what holds a kernel with a distribution",
    "kernel_quantizer": "float32 weights",
    "bias_quantizer": "float32 weights",
    "quantization_config": "float32 weights",
    "lora_rank": "a layer of Keras for adapters of low rank",
    "lora_alpha": "a layer of Keras for adapters of low rank",
    **dict.fromkeys(
        ("posterior", "kernel_posterior_fn", "make_posterior_fn", "kernel_posterior_tensor_fn"),
        "covariance='diagonal', 'full' or a rank, and initial_scale=, for a normal posterior",
    ),
    **dict.fromkeys(
        ("kernel_prior_fn", "make_prior_fn", "bias_prior_fn"),
        "prior=, an object of tfp_vae.layers.priors or a subclass of WeightPrior",
    ),
    **dict.fromkeys(
        ("bias_posterior_fn", "bias_posterior_tensor_fn"), "bayesian_bias=True or False"
    ),
    **dict.fromkeys(
        ("kernel_divergence_fn", "bias_divergence_fn", "kl_use_exact"),
        "kl_weight=, or a model of this package, which weights the KL",
    ),
}


def _refuse(owner: str, arguments: dict) -> None:
    """Drops refused arguments that are None, as Keras' defaults are; raises for the others."""
    for name in [name for name in _REFUSED if name in arguments]:
        value = arguments.pop(name)
        if value is not None:
            raise ValueError(
                f"{owner} has no {name}. Expected {_REFUSED[name]}. Received {value!r}."
            )


def _value_of(weight: Any) -> float:
    """Returns a number that may be a variable."""
    return float(tf.convert_to_tensor(weight).numpy())


def _named(name: str, get: Callable, value: Any) -> Any:
    """Returns what Keras finds for `value`."""
    try:
        return get(value)
    except (ValueError, TypeError):
        raise ValueError(
            f"Unknown {name}. Expected a name that Keras knows, or an object of Keras. Received "
            f"{value!r}."
        ) from None
