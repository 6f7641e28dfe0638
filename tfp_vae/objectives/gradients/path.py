"""The reparameterised gradient (Kingma & Welling, 2014; Rezende et al., 2014)."""

import tensorflow as tf

from tfp_vae.objectives.gradients.base import GRADIENTS, Gradient, Weighing
from tfp_vae.objectives.terms import Terms


@GRADIENTS.register("path", "reparameterised: the derivative of the bound at its draws")
class Path(Gradient):
    """The derivative of the bound itself, through the draws of reparameterised latents."""

    name = "path"

    def surrogate(
        self, bound: Weighing, terms: Terms, kl_weight: "tf.Tensor | float" = 1.0
    ) -> tf.Tensor:
        """Returns the bound of each example, [B]."""
        return bound.local(terms.log_weights(kl_weight), terms.log_shares())
