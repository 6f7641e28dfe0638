"""All codes alike."""

import tensorflow as tf

from tfp_vae.distributions.code_priors.base import CODE_PRIORS, CodePrior, registered
from tfp_vae.distributions.codes.masses import Codes
from tfp_vae.distributions.priors.base import Context


@CODE_PRIORS.register("uniform", "all codes alike: log p = -T log K")
@registered
class UniformCodes(CodePrior):
    """p(codes) = K^-T; see `CodePrior` for the arguments."""

    def distribution(self, context: Context) -> Codes:
        """Returns `Codes` with event shape [T E]."""
        return Codes(self.book, tf.zeros([self.places, self.count]))
