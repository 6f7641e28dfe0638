"""A mixture of two normals as a prior of weights."""

from typing import Any

import tensorflow as tf

from tfp_vae.arguments import check_number
from tfp_vae.distributions.base import tfd
from tfp_vae.layers.priors.base import WEIGHT_PRIORS, WeightPrior, registered


@WEIGHT_PRIORS.register("scale_mixture", "two normals, a wide and a narrow one")
@registered
class ScaleMixture(WeightPrior):
    """pi N(0, scale^2) + (1 - pi) N(0, (ratio scale)^2): few large weights, many small ones.

    Blundell et al., "Weight uncertainty in neural networks", ICML 2015, eq. 7.

    Args:
        scale: of the wide component, see `WeightPrior`.
        ratio: narrow over wide scale, in (0, 1).
        weight: pi, in (0, 1).
        learned: see `WeightPrior`.
    """

    def __init__(
        self,
        scale: "float | str" = 1.0,
        ratio: float = 0.0025,
        weight: float = 0.5,
        learned: bool = False,
        **kwargs: Any,
    ):
        super().__init__(scale, learned, **kwargs)
        self.ratio = check_number("ratio", ratio, above=0, below=1)
        self.weight = check_number("weight", weight, above=0, below=1)

    def elementwise(self, scale: tf.Tensor) -> tfd.Distribution:
        """Returns a `MixtureSameFamily` of two normals."""
        scales = tf.stack([scale, self.ratio * scale], axis=-1)
        return tfd.MixtureSameFamily(
            tfd.Categorical(probs=[self.weight, 1 - self.weight]),
            tfd.Normal(tf.zeros_like(scales), scales),
        )

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return super().get_config() | {"ratio": self.ratio, "weight": self.weight}
