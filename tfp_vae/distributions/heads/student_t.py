"""Real targets with heavy tails, in units that the head learns from the data."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_number
from tfp_vae.distributions import quadrature
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.heads.base import HEADS, Head, registered
from tfp_vae.distributions.heads.normal_in_units import NormalInUnits


@HEADS.register("student_t", "a real target with heavy tails, in units of the data", "targets")
@registered
class StudentT(NormalInUnits):
    """Student's t of location and scale for a real target, in the units of the target.

    An error of ten scales costs 8 nats at four degrees of freedom, and 50 of a normal.

    Args:
        scale: see `NormalInUnits`.
        df: degrees of freedom, above 2, so that there is a variance.
    """

    def __init__(self, scale: "float | str" = "shared", df: float = 4.0, **kwargs: Any):
        super().__init__(scale, **kwargs)
        self.df = check_number("df", df, above=2)

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns a `StudentT`."""
        return tfd.StudentT(self.df, parameters[..., 0], parameters[..., 1])

    def portable_log_prob(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns the log-density."""
        square = self.squared_deviations(parameters, x)
        constant = float(tfd.StudentT(np.float64(self.df), 0.0, 1.0).log_prob(0.0))
        return (
            constant
            - tf.math.log(parameters[..., 1])
            - 0.5 * (self.df + 1) * tf.math.log(1.0 + square / self.df)
        )

    def standard_nodes(self) -> np.ndarray:
        """Returns quantiles of a Student's t."""
        return quadrature.student_t(self.df)

    def portable_variance(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns scale^2 df / (df - 2)."""
        return tf.square(parameters[..., 1]) * (self.df / (self.df - 2))

    def fisher_root(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns diag(sqrt((df + 1) / (df + 3)), sqrt(2 df / (df + 3))) / scale, [..., 2, 2]."""
        root = np.diag(np.sqrt([(self.df + 1) / (self.df + 3), 2 * self.df / (self.df + 3)]))
        return tf.constant(root, tf.float32) / tf.expand_dims(parameters[..., 1:], -1)

    expected_log_prob = Head.expected_log_prob  # that of the normal is none of these

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "df": self.df}
