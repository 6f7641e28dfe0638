"""Counts with more spread than a Poisson's."""

import math
from typing import Any

import tensorflow as tf

from tfp_vae.arguments import check_choice
from tfp_vae.data import Split
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.heads.base import HEADS, Head, registered
from tfp_vae.distributions.heads.poisson import Poisson

# How far the log of the concentration may go from where the data put it: a factor of 22,026.
_REACH = 10.0
# The concentration that the moments of the data give is kept within these.
_LEAST, _MOST = 0.1, 100.0
# From here on Stirling's series of log Gamma is exact to float32, and its differences do not cancel
# as those of two logs of Gamma do.
_STIRLING = 8.0


@HEADS.register("negative_binomial", "an overdispersed count as a target", "targets")
@registered
class NegativeBinomial(Poisson):
    """Counts with mean m and variance m + m^2 / r; a Poisson where the concentration r is large.

    The network gives log m, relative to the mean of the training counts. log r stays within ten of
    where their variance puts it, by a tanh: a likelihood without the bound runs to r = 0, where all
    counts but 0 have no probability, or to r = infinity. A known exposure, such as days of
    observation, is an offset: its log is added to the first feature.

    Args:
        dispersion: "shared" for one r, which is learned; "per_example" for one from the network,
            which then has two features.
    """

    def __init__(self, dispersion: str = "shared", **kwargs: Any):
        super().__init__(**kwargs)
        self.dispersion = check_choice("dispersion", dispersion, ("shared", "per_example"))
        self.num_features = 1 if dispersion == "shared" else 2

    def build(self, input_shape: Any = None) -> None:
        """Makes the units of the mean and of r and, if shared, r."""
        options = {"shape": (), "dtype": "float32", "autocast": False, "initializer": "zeros"}
        self.log_start = self.add_weight(name="log_start", trainable=False, **options)
        if self.dispersion == "shared":
            self.raw_concentration = self.add_weight(name="raw_concentration", **options)
        super().build(input_shape)

    def adapt(self, split: Split) -> None:
        """Takes the log of the mean count, and of r from mean and variance."""
        super().adapt(split)
        mean, excess = float(split.targets.mean()), float(split.targets.var())
        excess -= mean
        found = mean**2 / excess if excess > 0 else _MOST
        self.log_start.assign(math.log(min(max(found, _LEAST), _MOST)))

    def parameters(self, features: tf.Tensor) -> tf.Tensor:
        """Returns (log m, log r), [..., 1 or 2] -> [..., 2]."""
        log_mean = super().parameters(features[..., :1])[..., 0]
        if self.dispersion == "shared":
            raw = tf.convert_to_tensor(self.raw_concentration) + tf.zeros_like(log_mean)
        else:
            raw = features[..., 1]
        return tf.stack([log_mean, self.log_start + _REACH * tf.tanh(raw / _REACH)], axis=-1)

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns a `NegativeBinomial`."""
        return Counts(parameters[..., 0], parameters[..., 1])

    def portable_log_prob(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns the log-probability, TFP's as there is no log Gamma elsewhere."""
        return self.distribution(parameters).log_prob(x)

    def portable_variance(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns m + m^2 / r."""
        mean = self.portable_mean(parameters)
        return mean + tf.square(mean) * tf.exp(-parameters[..., 1])

    expected_log_prob = Head.expected_log_prob
    fisher_root = Head.fisher_root  # r has none in closed form

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "dispersion": self.dispersion}


def log_prob(value: tf.Tensor, log_mean: tf.Tensor, log_concentration: tf.Tensor) -> tf.Tensor:
    """Returns log p(value) of a negative binomial, nats; exact to float32 up to r = infinity.

    log Gamma(r + y) / (Gamma(r) r^y) - log y! + y log m - (r + y) log(1 + m / r), whose first term
    is a sum of logs close to 1 where r is large: by Stirling's series there.

    Args:
        value: counts y.
        log_mean: log m.
        log_concentration: log r.
    """
    r, share = tf.exp(log_concentration), tf.exp(log_mean - log_concentration)
    return (
        _log_rising(value, r)
        - tf.math.lgamma(value + 1.0)
        + value * log_mean
        - (r + value) * tf.math.log1p(share)
    )


def _log_rising(y, r):
    """Returns log Gamma(r + y) - log Gamma(r) - y log r."""
    is_large = r > _STIRLING
    large = tf.where(is_large, r, _STIRLING)
    small = tf.where(is_large, tf.ones_like(r), r)
    series = (
        (large + y - 0.5) * tf.math.log1p(y / large) - y + _stirling(large + y) - _stirling(large)
    )
    exact = tf.math.lgamma(small + y) - tf.math.lgamma(small) - y * tf.math.log(small)
    return tf.where(is_large, series, exact)


def _stirling(x):
    inverse = 1.0 / x
    square = tf.square(inverse)
    return inverse * (1 / 12 - square * (1 / 360 - square / 1260))


class Counts(tfd.Distribution):
    """A negative binomial of mean and concentration, over counts in float32.

    Args:
        log_mean: log m, [...].
        log_concentration: log r, [...].
        **others: more parameters of a subclass, [...].
    """

    def __init__(self, log_mean: tf.Tensor, log_concentration: tf.Tensor, **others: tf.Tensor):
        self.log_mean, self.log_concentration = log_mean, log_concentration
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"log_mean": log_mean, "log_concentration": log_concentration, **others},
            name="NegativeBinomial",
        )

    def _of_tfp(self) -> tfd.Distribution:
        logits = self.log_mean - self.log_concentration
        return tfd.NegativeBinomial(tf.exp(self.log_concentration), logits=logits)

    def _batch_shape(self):
        return self.log_mean.shape

    def _batch_shape_tensor(self, **_):
        return tf.shape(self.log_mean)

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], tf.int32)

    def _sample_n(self, n, seed=None):
        return self._of_tfp().sample(n, seed=seed)

    def _log_prob(self, value):
        return log_prob(tf.cast(value, tf.float32), self.log_mean, self.log_concentration)

    def _cdf(self, value):
        return self._of_tfp().cdf(value)

    def _mean(self):
        return tf.exp(self.log_mean)

    def _variance(self):
        mean = self._mean()
        return mean + tf.square(mean) * tf.exp(-self.log_concentration)
