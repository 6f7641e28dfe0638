"""Decoders: the likelihood p(x|z), a distribution over examples given a latent."""

import keras
import tensorflow as tf

from tfp_vae.arguments import is_number
from tfp_vae.data import Kind
from tfp_vae.data.kinds import BINARY, GREY_LEVELS
from tfp_vae.distributions.base import (
    SCALE_FLOOR,
    ConditionalDistribution,
    inverse_positive,
    positive,
    registered,
    tfd,
)
from tfp_vae.distributions.discretized import DiscretizedLogistic as _DiscretizedLogistic

# Half a grey level: 8-bit images carry no information below it, and a learned scale that may
# shrink further makes the likelihood of a constant pixel unbounded (Rybkin et al., 2021).
HALF_GREY_LEVEL = 0.5 / (GREY_LEVELS - 1)


class Decoder(ConditionalDistribution):
    """p(x|z): [B, D] -> batch shape [B]; [S, B, D] -> batch shape [S, B]; event shape of the data.

    Args:
        network: Keras layer or model, [B, D] -> [B, F] or [B, H, W, F].
        event_shape: the shape of one example, such as (28, 28, 1).

    Attributes:
        kinds: the kinds of values that this likelihood is a density or mass function of.
        preferred_kind: the one of them that grey images are turned into when nobody says.
    """

    kinds: frozenset[Kind] = frozenset()
    preferred_kind: Kind

    def build(self, input_shape):
        """Builds for latents [B, D]; sample axes in front, [S, B, D], are not part of it."""
        super().build((None, input_shape[-1]))

    def check_kind(self, kind: Kind) -> None:
        """Raises `ValueError`, naming the ways out, if this is no likelihood for `kind`."""
        if kind in self.kinds:
            return
        ways = []
        if kind in (Kind.UNIT_INTERVAL, Kind.EIGHT_BIT):
            ways = [
                "binarise the data (kind 'dynamic' or 'threshold') for the Bernoulli likelihood",
                "use the ContinuousBernoulli or Normal likelihood (kind 'unit_interval')",
                "use the DiscretizedLogistic or Categorical likelihood (kind 'eight_bit')",
            ]
        elif kind.is_binary:
            ways = ["use the Bernoulli likelihood", "keep the grey values (kind 'eight_bit')"]
        else:
            ways = ["use the Normal likelihood", "scale the data to [0, 1]"]
        raise ValueError(
            f"{type(self).__name__} is no likelihood of {_in_words(kind)} values. Expected kind "
            f"{' or '.join(sorted(self.kinds))}. Received kind '{kind}'. Ways out: "
            + "; ".join(f"({i}) {way}" for i, way in enumerate(ways, 1))
            + "."
        )


def _in_words(kind: Kind) -> str:
    if kind in (Kind.UNIT_INTERVAL, Kind.EIGHT_BIT):
        return "grey"
    return "binary" if kind.is_binary else "real"


@registered
class Bernoulli(Decoder):
    """Independent binary values with a logit each; for `STATIC`, `DYNAMIC`, `THRESHOLD` data."""

    kinds = BINARY
    preferred_kind = Kind.DYNAMIC

    def distribution(self, logits):
        """Returns an `Independent(Bernoulli)`."""
        values = _Bernoulli(logits=logits, dtype=tf.float32)
        return _IndependentBernoulli(values, len(self.event_shape))


class _Bernoulli(tfd.Bernoulli):
    def _log_prob(self, event):
        return _bernoulli_log_prob(event, self.logits)


class _IndependentBernoulli(tfd.Independent):
    def _log_prob(self, event):
        # One long axis, because XLA vectorises the innermost one: that of an image is its channels.
        axes = len(self.event_shape)

        def flat(values):
            return tf.reshape(values, tf.concat([tf.shape(values)[:-axes], [-1]], axis=0))

        each = _bernoulli_log_prob(flat(event), flat(self.distribution.logits))
        return tf.reduce_sum(each, axis=-1)


def _bernoulli_log_prob(event, logits):
    # TFP evaluates softplus(logits) and softplus(-logits); x logits - softplus(logits) is equal
    # (tests/distributions compares value and gradient) and needs one of them.
    return event * logits - tf.math.softplus(logits)


@registered
class ContinuousBernoulli(Decoder):
    """Density on [0, 1] with the normaliser that the Bernoulli form lacks there.

    Loaiza-Ganem & Cunningham, "The continuous Bernoulli", NeurIPS 2019, eq. 1-8.
    """

    kinds = frozenset({Kind.UNIT_INTERVAL})
    preferred_kind = Kind.UNIT_INTERVAL

    def distribution(self, logits):
        """Returns an `Independent(ContinuousBernoulli)`."""
        return tfd.Independent(tfd.ContinuousBernoulli(logits=logits), len(self.event_shape))


@registered
class Normal(Decoder):
    """N(loc(z), scale^2) for every value; for real and unit-interval data.

    Args:
        network: Keras layer or model, [B, D] -> [B, F] or [B, H, W, F].
        event_shape: the shape of one example.
        scale: a number for a fixed scale; "shared" to learn one scale for all values (Rybkin et
            al., "Simple and effective VAE training with calibrated decoders", 2021); "per_pixel"
            for a scale of every value from the network.
        scale_floor: least learned scale, half a grey level of 8-bit images by default.
    """

    kinds = frozenset({Kind.UNIT_INTERVAL, Kind.REAL})
    preferred_kind = Kind.UNIT_INTERVAL

    def __init__(
        self,
        network: keras.Layer,
        event_shape,
        scale: "float | str" = "shared",
        scale_floor: float = HALF_GREY_LEVEL,
        **kwargs,
    ):
        super().__init__(network, event_shape, **kwargs)
        if scale not in ("shared", "per_pixel") and not is_number(scale, above=0):
            raise ValueError(
                "Unknown scale. Expected 'shared', 'per_pixel' or a number > 0. Received "
                f"{scale!r}."
            )
        if not is_number(scale_floor, above=0):
            raise ValueError(
                f"scale_floor must be positive. Expected a number > 0. Received {scale_floor!r}."
            )
        self.scale = scale if isinstance(scale, str) else float(scale)
        self.scale_floor = scale_floor
        self.parameters_per_event = 2 if scale == "per_pixel" else 1

    def build(self, input_shape):
        """Builds the network, the projection and the shared scale."""
        if self.scale == "shared":
            self.raw_scale = self.add_weight(
                shape=(),
                initializer=keras.initializers.Constant(
                    inverse_positive(self.scale_floor + 0.5, self.scale_floor)
                ),
                dtype="float32",
                autocast=False,
                name="raw_scale",
            )
        super().build(input_shape)

    def distribution(self, loc, raw_scale=None):
        """Returns an `Independent(Normal)`."""
        if self.scale == "shared":
            scale = positive(self.raw_scale, self.scale_floor)
        elif self.scale == "per_pixel":
            scale = positive(raw_scale, self.scale_floor)
        else:
            scale = tf.constant(self.scale, tf.float32)
        return tfd.Independent(tfd.Normal(loc, scale), len(self.event_shape))

    def get_config(self):
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "scale": self.scale, "scale_floor": self.scale_floor}


@registered
class DiscretizedLogistic(Decoder):
    """Logistic mass of each of the 256 grey levels, with a scale of every value from the network.

    Salimans et al., "PixelCNN++", ICLR 2017, eq. 2, with one component. The values are on the grid
    {0, 1/255, ..., 1}; loc and scale are in the same unit.
    """

    kinds = frozenset({Kind.EIGHT_BIT})
    preferred_kind = Kind.EIGHT_BIT
    parameters_per_event = 2

    def distribution(self, loc, raw_scale):
        """Returns an `Independent(DiscretizedLogistic)`."""
        # The network starts near 0; the middle of the grid and a wide scale are a better start.
        scale = positive(raw_scale - 2.0, SCALE_FLOOR)
        return tfd.Independent(
            _DiscretizedLogistic(loc + 0.5, scale, GREY_LEVELS), len(self.event_shape)
        )


@registered
class Categorical(Decoder):
    """One of 256 levels per value with a logit each (van den Oord et al., "PixelRNN", 2016).

    The outcomes are the grid {0, 1/255, ..., 1}, so that mean and samples are images.
    """

    kinds = frozenset({Kind.EIGHT_BIT})
    preferred_kind = Kind.EIGHT_BIT
    parameters_per_event = GREY_LEVELS

    def split(self, outputs):
        """Reshapes the projection to logits [..., *event_shape, 256]."""
        # The leading axes are those of the batch: all but the last of a dense projection, and but
        # the last three of a spatial one.
        lead = tf.shape(outputs)[: -3 if self._spatial else -1]
        return [tf.reshape(outputs, tf.concat([lead, [*self.event_shape, GREY_LEVELS]], 0))]

    def distribution(self, logits):
        """Returns an `Independent(FiniteDiscrete)`."""
        grid = tf.range(GREY_LEVELS, dtype=tf.float32) / (GREY_LEVELS - 1)
        return tfd.Independent(
            _OnGrid(grid, logits=logits, atol=0.1 / GREY_LEVELS), len(self.event_shape)
        )


class _OnGrid(tfd.FiniteDiscrete):
    def _mean(self):
        # TFP's takes tf.nn.softmax, which on some processors refuses more than five axes.
        logits = self.logits_parameter()
        probs = tf.exp(logits - tf.reduce_logsumexp(logits, axis=-1, keepdims=True))
        return tf.reduce_sum(probs * self.outcomes, axis=-1)


BY_NAME = {
    "bernoulli": Bernoulli,
    "continuous_bernoulli": ContinuousBernoulli,
    "normal": Normal,
    "discretized_logistic": DiscretizedLogistic,
    "categorical": Categorical,
}
