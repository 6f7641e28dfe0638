"""BatchEnsemble: members that share their kernels but for factors of rank one."""

from tfp_vae.methods.weights.base import METHODS, Method


class SharedKernels(Method):
    """Networks whose layers are those of a point network, with members that share the kernels."""

    def shared(self, layer):
        """Returns a layer of Keras with members."""
        raise NotImplementedError

    def dense(self, units, activation=None, behind=0):
        """Returns a dense layer with members."""
        return self.shared(super().dense(units, activation, behind))

    def convolution(self, filters, size, padding, behind=0):
        """Returns a convolution with members."""
        return self.shared(super().convolution(filters, size, padding, behind))


@METHODS.register("batch_ensemble", "BatchEnsemble, members that share kernels")
class BatchEnsemble(SharedKernels):
    """`Recipe.members` networks in one pass for the price of one (Wen et al., 2020).

    The kernels and biases have the prior; the factors, which are few, have none.
    """

    uses = ("prior_scale", "members", "num_samples", "beta", "warm_up")

    def shared(self, layer):
        """Returns a layer of Keras with members."""
        from tfp_vae import layers

        return layers.BatchEnsemble(layer, self.recipe.members)
