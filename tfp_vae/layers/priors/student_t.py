"""Student's t as a prior of weights."""

from typing import Any

import tensorflow as tf

from tfp_vae.arguments import check_number
from tfp_vae.distributions.base import tfd
from tfp_vae.layers.priors.base import WEIGHT_PRIORS, WeightPrior, registered


@WEIGHT_PRIORS.register("student_t", "Student's t")
@registered
class StudentT(WeightPrior):
    """Student's t with `df` degrees of freedom: a normal with heavier tails.

    Args:
        scale: see `WeightPrior`; the standard deviation is sqrt(df / (df - 2)) times that.
        df: degrees of freedom, > 0.
        learned: see `WeightPrior`.
    """

    of_tfp = tfd.StudentT, ("df",)

    def __init__(
        self, scale: "float | str" = 1.0, df: float = 3.0, learned: bool = False, **kwargs: Any
    ):
        super().__init__(scale, learned, **kwargs)
        self.df = check_number("df", df, above=0)

    def elementwise(self, scale: tf.Tensor) -> tfd.Distribution:
        """Returns a `StudentT`."""
        return tfd.StudentT(self.df, tf.zeros_like(scale), scale)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return super().get_config() | {"df": self.df}
