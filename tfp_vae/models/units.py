"""Units that parts of a model take from the training data: means and scales, saved with it."""

from collections.abc import Iterable

import keras
import numpy as np

from tfp_vae import keras_private
from tfp_vae.data import Stream
from tfp_vae.layers import Standardize


def are_taken(variables: Iterable) -> bool:
    """Returns whether variables are no longer the zeros and ones that units start as."""
    return any(not np.isin(np.asarray(variable), (0.0, 1.0)).all() for variable in variables)


def standardizers(layer: keras.Layer) -> "list[Standardize]":
    """Returns the layers that standardize inside a layer, which may be one itself."""
    return [x for x in (layer, *keras_private.all_sublayers(layer)) if isinstance(x, Standardize)]


def check_first(network: keras.Layer) -> None:
    """Raises `ValueError` if a layer would standardize with the statistics of other values."""
    # The statistics are those of the data, which no layer behind another one sees.
    layers = network.layers if isinstance(network, keras.Sequential) else []
    for before, layer in enumerate(layers):
        if isinstance(layer, Standardize) and any(other.weights for other in layers[:before]):
            raise ValueError(
                f"{layer.name} would standardize with the statistics of other values. Expected "
                f"Standardize in front of all layers with weights. Received it as number "
                f"{before + 1}."
            )


def check_none(network: keras.Layer, owner: str) -> None:
    """Raises `ValueError` if a network whose input are not data standardizes."""
    for layer in standardizers(network):
        raise ValueError(
            f"{layer.name} has no data to standardize with. Expected Standardize in front of the "
            f"network of an encoder; a decoder takes the units of the data by itself. Received it "
            f"in {owner}."
        )


def adapt(layers: "Iterable[Standardize]", x: "np.ndarray | Stream", anew: bool = True) -> None:
    """Lets layers take their statistics from what their network gets.

    Args:
        layers: see `standardizers`.
        x: [N, ...].
        anew: whether those that have taken some before take others.
    """
    for layer in layers:
        if not anew and are_taken(layer.non_trainable_variables):
            continue
        flat = layer.built and layer.mean.shape[0] != x.shape[-1]  # behind a layer that flattens
        layer.adapt(np.asarray(x).reshape(len(x), -1) if flat else x)
