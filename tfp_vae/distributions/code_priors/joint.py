"""The prior of normal and categorical latents side by side."""

from typing import Any

import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.code_priors.base import CODE_PRIORS, CodePrior, registered
from tfp_vae.distributions.codes.masses import Codes, Concatenated
from tfp_vae.distributions.priors.base import Context


@CODE_PRIORS.register("joint", "standard normal beside codes that are all alike", "latents")
@registered
class JointPrior(CodePrior):
    """N(0, I) of D normal latents and K^-T of codes, for `codes.Joint`.

    Args:
        places: T.
        count: K.
        width: E.
        continuous: D.
    """

    def __init__(self, places: int, count: int, width: int, continuous: int, **kwargs: Any):
        super().__init__(places, count, width, **kwargs)
        self.continuous = check_count("continuous", continuous)
        self.latent_dim += self.continuous

    @property
    def support(self) -> str:
        """The latents, in words."""
        return f"{self.continuous} real numbers and {super().support}"

    def distribution(self, context: Context) -> Concatenated:
        """Returns the `Concatenated` distribution, event shape [D + T E]."""
        zeros = tf.zeros(self.continuous)
        normal = tfd.MultivariateNormalDiag(zeros, zeros + 1.0)
        return Concatenated([normal, Codes(self.book, tf.zeros([self.places, self.count]))])

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "continuous": self.continuous}
