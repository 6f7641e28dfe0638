"""Cheap ensembles: members share a kernel and differ by a factor of rank one.

    W_m = W o (r_m s_m'),  m = 1 .. M

so that a member costs C + U numbers and not C U, and the outputs of a batch are
((x o r_m) W) o s_m: one product for examples of different members (Wen, Tran & Ba, "BatchEnsemble",
ICLR 2020). With a posterior over r and s it is a rank-1 Bayesian network (Dusenberry et al.,
"Efficient and scalable Bayesian neural nets with rank-1 factors", ICML 2020).

All layers of a pass have the same member: in training one is drawn for each example, a draw of a
prediction is one of them for all, and S draws take them in turn.
"""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_count, check_number, check_seed, check_type
from tfp_vae.distributions.base import tfd
from tfp_vae.layers import noise as noise_sources
from tfp_vae.layers.base import (
    DRAW_OF_WEIGHTS,
    WEIGHT_SCALE_FLOOR,
    WeightLayer,
    raw_scale_of,
    registered,
    scale_of,
)
from tfp_vae.layers.noise import MEAN, SHARED


class _Shared(keras.Layer):
    """Members that share the kernel of a layer: all but where r and s come from.

    Args:
        layer: whose kernel is shared; of Keras, with use_bias and an activation, channels last, and
            linear but for these, such as Dense and convolutions.
        members: M.
        member_initializer: of r and s; around 1.
        seed: of the layer's own noise, where no model of this package hands it out.
        **kwargs: of keras.Layer.
    """

    draws_noise = True  # see `layers.noise`
    spread: float  # standard deviation of r and s at the start

    def __init__(
        self,
        layer: keras.Layer,
        members: int = 4,
        member_initializer: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        check_type("layer", layer, keras.Layer, type(self).__name__)
        config = layer.get_config()
        last = config.get("data_format") in (None, "channels_last")
        linear = {"use_bias", "activation"} <= {*config} and "recurrent_initializer" not in config
        if not (linear and last):
            raise ValueError(
                f"The kernel of {layer.name} cannot be shared. Expected a layer of Keras such as "
                f"Dense or Conv2D, channels last. Received a {type(layer).__name__}."
            )
        super().__init__(**{"dtype": layer.dtype_policy, **kwargs})
        self._given = keras.saving.serialize_keras_object(layer)
        self.layer = type(layer).from_config({**config, "use_bias": False, "activation": None})
        self.activation = keras.activations.get(config["activation"])
        self.use_bias, self._bias_start = config["use_bias"], config.get("bias_initializer")
        self.members = check_count("members", members)
        self.member_initializer = keras.initializers.get(
            member_initializer or keras.initializers.RandomNormal(1.0, self.spread)
        )
        self.seed = seed if seed is None else check_seed(seed)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = layer.supports_masking

    def build(self, input_shape: Any) -> None:
        """Makes the kernel, r [M, C], s [M, U] and a bias [M, U]."""
        if not self.layer.built:
            self.layer.build(input_shape)
        self.sizes = (int(input_shape[-1]), int(self.compute_output_shape(input_shape)[-1]))
        for name, size in zip(("incoming", "outgoing"), self.sizes, strict=True):
            setattr(self, name, self._per_member(name, size, self.member_initializer))
        self.bias = None
        if self.use_bias:
            start = keras.initializers.get(self._bias_start)
            self.bias = self._per_member("bias", self.sizes[1], start)
        self._build_posterior()
        self.built = True

    def _build_posterior(self):
        """Makes what r and s have beside their values."""

    def _per_member(self, name, size, initializer):
        # Anew, or equal sizes would start with equal numbers.
        start = type(initializer).from_config(initializer.get_config())
        return self.add_weight(
            name=name,
            shape=(self.members, size),
            initializer=start,
            dtype="float32",
            autocast=False,
        )

    @property
    def own_weights(self) -> list:
        """Those that a model gives no prior of its own: r and s."""
        return [self.incoming, self.outgoing]

    def factors(self, member: tf.Tensor, noise: noise_sources.Noise) -> "tuple[tf.Tensor, ...]":
        """Returns r and s of members [] or [B], of shapes [..., C] and [..., U]."""
        del noise
        return tuple(tf.gather(tf.convert_to_tensor(v), member) for v in self.own_weights[:2])

    def call(self, inputs: tf.Tensor, training: "bool | None" = None) -> tf.Tensor:
        """Returns activation(((x o r) W) o s + b), under the member and the noise of the pass."""
        del training
        noise = noise_sources.of(self)
        inputs = tf.cast(inputs, self.compute_dtype)
        if noise.mode == MEAN:
            every = [self._of_member(inputs, m, noise) for m in range(self.members)]
            outputs = tf.add_n(every) / self.members
        else:
            whole = noise.mode == SHARED
            shape, axis = ([], None) if whole else (tf.shape(inputs)[:1], 0)
            member = noise.choice(self.members, shape, axis)
            outputs = self._of_member(inputs, member, noise)
        return self.activation(outputs)

    def _of_member(self, inputs, member, noise):
        incoming, outgoing = self.factors(member, noise)

        def across(factor):  # the axes between examples and channels share it
            if factor.shape.rank == 2:
                ones = [1] * (inputs.shape.rank - 2)
                factor = tf.reshape(factor, tf.concat([tf.shape(factor)[:1], ones, [-1]], 0))
            return tf.cast(factor, self.compute_dtype)

        outputs = self.layer(inputs * across(incoming)) * across(outgoing)
        if self.bias is not None:
            outputs += across(tf.gather(tf.convert_to_tensor(self.bias), member))
        return outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the outputs, which is the layer's."""
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        now = {"activation": keras.activations.serialize(self.activation)}  # it may be set anew
        return {
            **super().get_config(),
            "layer": {**self._given, "config": {**self._given["config"], **now}},
            "members": self.members,
            "member_initializer": keras.initializers.serialize(self.member_initializer),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: "dict | None" = None) -> "_Shared":
        """Returns the layer of `get_config`."""
        parse = keras.saving.deserialize_keras_object
        return cls(**{**config, "layer": parse(config["layer"], custom_objects)})


@registered
class BatchEnsemble(_Shared):
    """A layer with M members, r and s of each a point; see `_Shared` for the arguments.

    They start at N(1, 0.5^2), as those of residual networks in the paper do.

    Example:
        >>> layer = tv.layers.BatchEnsemble(keras.layers.Dense(2, "relu"), members=3)
        >>> layer(np.ones((5, 4), np.float32)).shape
        TensorShape([5, 2])
    """

    spread = 0.5

    @property
    def num_functions(self) -> int:
        """Functions that the layer has, which the draws of a prediction take in turn."""
        return self.members


@registered
class RankOne(_Shared, WeightLayer):
    """A layer with M members, r and s of each with a normal posterior; the kernel is a point.

    q(m, r, s) = 1/M q_m(r) q_m(s) against p(m, r, s) = 1/M p(r) p(s), both with m, the member,
    among the weights: the KL is the mean over members, and a bound of that of the mixtures.

    Args:
        layer: see `_Shared`.
        members: M, components of the posterior.
        member_initializer: of the posterior means; N(1, prior_scale^2) by default.
        prior_scale: r, s ~ N(1, prior_scale^2): about the noise of dropout at rate 0.01 for 0.1.
        initial_scale: the standard deviations of the posterior start there.
        kl_weight: see `BayesianLayer`.
        seed: see `_Shared`.
        **kwargs: of keras.Layer.
    """

    covariance = "members"
    spread = 0.1

    def __init__(
        self,
        layer: keras.Layer,
        members: int = 4,
        member_initializer: Any = None,
        prior_scale: float = 0.1,
        initial_scale: float = 0.05,
        kl_weight: "float | keras.Variable | tf.Variable | None" = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        self.spread = check_number("prior_scale", prior_scale, above=0)
        super().__init__(layer, members, member_initializer, seed, **kwargs)
        self.prior_scale = self.spread
        least = WEIGHT_SCALE_FLOOR
        self.initial_scale = check_number("initial_scale", initial_scale, above=least)
        self._take_kl_weight(kl_weight)

    def _build_posterior(self):
        start = keras.initializers.Constant(raw_scale_of(self.initial_scale))
        self.raw_scale = self._per_member("raw_scale", sum(self.sizes), start)

    @property
    def own_weights(self) -> list:
        """Those that a model gives no prior of its own: r, s and their scales."""
        return [self.incoming, self.outgoing, self.raw_scale]

    def _moments(self):
        """Returns means and standard deviations of r and s side by side, [M, C + U]."""
        loc = [tf.convert_to_tensor(v) for v in (self.incoming, self.outgoing)]
        return tf.concat(loc, axis=1), scale_of(tf.convert_to_tensor(self.raw_scale))

    def factors(self, member: tf.Tensor, noise: noise_sources.Noise) -> "tuple[tf.Tensor, ...]":
        """Returns draws of r and s of members, [] or [B]: each example has its own."""
        loc, scale = (tf.gather(moment, member) for moment in self._moments())
        if noise.mode != MEAN:
            axis = 0 if loc.shape.rank == 2 else None
            shape = [sum(self.sizes)] if axis is None else tf.shape(loc)
            loc += scale * noise.normal(self, DRAW_OF_WEIGHTS, shape, axis)
        return tuple(tf.split(loc, self.sizes, axis=-1))

    @property
    def posterior(self) -> tfd.Distribution:
        """q(m, r and s side by side), event shapes [] and [C + U]."""
        loc, scale = self._moments()
        return self._joint(loc, scale)

    @property
    def prior(self) -> tfd.Distribution:
        """p(m, r and s side by side), with the event shape of `posterior`."""
        shape = [self.members, sum(self.sizes)]
        return self._joint(tf.ones(shape), tf.fill(shape, self.prior_scale))

    def _joint(self, loc, scale):
        def of(member):
            parts = (tf.gather(each, member) for each in (loc, scale))
            return tfd.Independent(tfd.Normal(*parts), 1)

        members = tfd.Categorical(logits=tf.zeros([self.members]))
        return tfd.JointDistributionSequential([members, of])

    def kl_divergence(self, num_samples: int = 1) -> tf.Tensor:
        """Returns the mean over members of KL(q_m(r, s) || p(r, s)) in nats, in closed form."""
        del num_samples
        loc, scale = self._moments()
        ratio = scale / self.prior_scale
        offset = (loc - 1) / self.prior_scale
        each = 0.5 * (ratio**2 + offset**2 - 1) - tf.math.log(ratio)
        return tf.reduce_sum(each) / self.members

    def call(self, inputs: tf.Tensor, training: "bool | None" = None) -> tf.Tensor:
        """Returns the outputs under a draw; see `_Shared.call`."""
        outputs = super().call(inputs, training)
        self._add_kl()
        return outputs

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {
            **super().get_config(),
            "prior_scale": self.prior_scale,
            "initial_scale": self.initial_scale,
            "kl_weight": self._kl_config(),
        }
