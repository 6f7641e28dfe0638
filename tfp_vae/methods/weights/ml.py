"""Maximum likelihood: the weights without a prior."""

from tfp_vae.methods.weights.base import METHODS, Method


@METHODS.register("ml", "maximum likelihood")
class MaximumLikelihood(Method):
    """One network, whose weights are free."""

    uses = ()

    def weight_prior(self):
        """Returns None: there is no prior."""
        return None
