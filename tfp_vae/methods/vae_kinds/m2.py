"""p(x, y) of which few classes are known."""

from typing import Any

import keras

from tfp_vae import networks
from tfp_vae.arguments import check_choice
from tfp_vae.data import Data
from tfp_vae.methods.vae_kinds.base import VAE_KINDS
from tfp_vae.methods.vae_kinds.conditional import Conditional, joined
from tfp_vae.methods.vae_networks.base import dense_width
from tfp_vae.models import M2, VAE

VAE_CLASSIFIERS = ("mlp", "conv")


@VAE_KINDS.register("m2", "p(x, y), few classes known")
class SemiSupervised(Conditional):
    """An `M2` with a classifier of its own."""

    fields = ("class_prior", "classifier", "alpha", "labelled_share")

    def check(self, recipe: Any) -> None:
        """Raises `ValueError` for an unknown classifier."""
        check_choice("classifier", recipe.classifier, VAE_CLASSIFIERS)

    def given(self, recipe: Any, data: Data) -> dict:
        """Returns the number of classes, and the prior that goes with it."""
        if data.num_classes is None:
            raise ValueError(
                f"An M2 learns classes. Expected data with labels. Received {data!r} without."
            )
        return super().given(recipe, data)

    def model(self, recipe: Any, data: Data, parts: dict) -> VAE:
        """Returns the `M2`."""
        options = {"alpha": recipe.alpha, "labelled_share": recipe.labelled_share}
        return M2(classifier=_classifier(recipe, data), **options, **parts, **joined(recipe))


def _classifier(recipe: Any, data: Data) -> keras.Sequential:
    if recipe.classifier == "mlp":
        network = networks.mlp(recipe.hidden, recipe.activation)
        return keras.Sequential([network, keras.layers.Dense(data.num_classes)])
    width = dense_width(recipe, data.shape)
    return networks.conv_classifier(data.num_classes, recipe.filters, width, recipe.activation)
