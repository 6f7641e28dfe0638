"""Rank-1 networks: variational inference over the factors of members that share their kernels."""

from tfp_vae.methods.weights.base import METHODS
from tfp_vae.methods.weights.batch_ensemble import SharedKernels


@METHODS.register("rank1", "variational inference, rank-1 factors")
class RankOne(SharedKernels):
    """A posterior over factors alone, a mixture of `Recipe.members` (Dusenberry et al., 2020).

    The kernels v are points with the prior of a maximum a posteriori network: the ELBO has their
    log p and is a bound of log p(y, v|x). What is reported as KL is that of the factors alone,
    beside it log p of the kernels.
    """

    uses = ("prior_scale", "members", "num_samples", "beta", "warm_up")
    point_weights = False

    def shared(self, layer):
        """Returns a layer of Keras with members and a posterior."""
        from tfp_vae import layers

        return layers.RankOne(layer, self.recipe.members)
