"""The reparameterised gradient (Kingma & Welling, 2014; Rezende et al., 2014)."""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.objectives.gradients.base import GRADIENTS, Gradient, Weighing
from tfp_vae.objectives.terms import Terms


@GRADIENTS.register("path", "reparameterised: the derivative of the bound at its draws")
class Path(Gradient):
    """The derivative of the bound itself, through the draws of reparameterised latents."""

    name = "path"

    def check_posterior(self, bound: Any, model: keras.Model) -> None:
        """Raises `ValueError` for draws without slopes: the encoder would not be trained right."""
        del bound
        for latent in model.latents:
            if not latent.encoder.has_path:
                raise ValueError(
                    f"Draws of {latent.name} have no path to the encoder. Expected gradient="
                    "'vimco', 'loo' or 'score', or an encoder with enumerate=True. Received "
                    f"gradient='path' and a {type(latent.encoder).__name__}."
                )

    def surrogate(
        self, bound: Weighing, terms: Terms, kl_weight: "tf.Tensor | float" = 1.0
    ) -> tf.Tensor:
        """Returns the bound of each example, [B]."""
        return bound.local(terms.log_weights(kl_weight), terms.log_shares())
