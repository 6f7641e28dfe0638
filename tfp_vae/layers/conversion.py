"""A trained network of Keras, some of whose layers become Bayesian."""

from typing import Any

import keras

from tfp_vae import networks
from tfp_vae.arguments import check_choice, check_type, check_which_layers
from tfp_vae.layers import convolution, dense, transposed
from tfp_vae.layers.base import WeightLayer
from tfp_vae.layers.wrapper import Bayesian

# What a layer of ours is called behind the name of the layer of Keras with the same map.
_SUFFIXES = {
    "reparameterization": "Reparameterization",
    "local": "LocalReparameterization",
    "flipout": "Flipout",
}
_ROOMS = (convolution, dense, transposed)


def convert(
    network: keras.Model,
    bayesian_layers: "int | str" = "all",
    estimator: str = "local",
    **options: Any,
) -> keras.Model:
    """Returns a copy of a network whose layers have posteriors that start at its weights.

    A layer with a Bayesian form of its own (Dense, Conv1D, Conv2D, Conv3D, Conv2DTranspose) becomes
    that, any other layer with kernels `layers.Bayesian` around a copy of itself. The trained
    weights are where the means start, not the centre of the prior: the KL still bounds something.
    All other weights and statistics are copied.

    Args:
        network: a `keras.Sequential` or a functional model, built.
        bayesian_layers: which layers with kernels: "last", "all", or how many, counted from the
            last one.
        estimator: "reparameterization", "local" or "flipout", of the layers with a form of their
            own.
        **options: of both `layers.BayesianLayer` and `layers.Bayesian`, such as prior,
            initial_scale and bayesian_bias (of the layers that have a bias).

    Raises:
        ValueError: for a network that is not built or does not say what its layers are, more
            layers than there are, "last" of a network without a last layer of its own, or a kernel
            with a regularizer, in whose place a prior stands.

    Example:
        >>> network = keras.Sequential([keras.Input([4]), keras.layers.Dense(3)])
        >>> tv.convert(network, "last", prior=0.5).layers[-1]
        <DenseLocalReparameterization name=dense, built=True>
    """
    check_type("network", network, keras.Model, "convert")
    check_choice("estimator", estimator, _SUFFIXES)
    check_which_layers("bayesian_layers", bayesian_layers)
    if not isinstance(network, keras.Sequential) and not getattr(network, "inputs", None):
        raise ValueError(
            "A network is converted layer by layer. Expected a keras.Sequential or a functional "
            f"model. Received a {type(network).__name__}, which does not say what its layers are."
        )
    if not network.built:
        raise ValueError(
            f"{network.name} has no weights to start at. Expected a network that is built, as by "
            "network.build((None, *shape)) or a call. Received one that is not."
        )
    owners = [layer for layer in _flat(network) if _has_kernel(layer)]
    count = len(owners)
    if bayesian_layers == "last":
        count, owners = 1, [networks.last_layer(network, "convert(bayesian_layers='last')")]
    elif bayesian_layers != "all":
        count = int(bayesian_layers)
    if count > len(owners) or not owners:
        raise ValueError(
            f"The network has too few layers with weights. Expected bayesian_layers of at most "
            f"{len(owners)}, or 'all'. Received {bayesian_layers}."
        )
    chosen = {id(layer) for layer in owners[-count:]}
    pairs: list[tuple[keras.Layer, keras.Layer]] = []

    def copy(layer: keras.Layer) -> keras.Layer:
        made = type(layer).from_config(layer.get_config())
        if id(layer) in chosen:
            made = _bayesian_form(layer, made, _SUFFIXES[estimator], options)
        pairs.append((layer, made))
        return made

    converted = keras.models.clone_model(network, clone_function=copy, recursive=True)
    for old, new in pairs:
        if id(old) in chosen:
            new.start_at(old)
        else:
            new.set_weights(old.get_weights())
    return converted


def _bayesian_form(
    layer: keras.Layer, copied: keras.Layer, suffix: str, options: dict
) -> WeightLayer:
    name = f"{type(layer).__name__}{suffix}"
    kind = next((vars(room)[name] for room in _ROOMS if name in vars(room)), None)
    if kind is None or type(layer) is not getattr(keras.layers, type(layer).__name__, None):
        return Bayesian(copied, name=layer.name, **options)
    config = {key: value for key, value in layer.get_config().items() if value is not None}
    if config.get("groups") == 1:
        del config["groups"]
    if not config["use_bias"]:
        options = {key: value for key, value in options.items() if key != "bayesian_bias"}
    return kind(**{**config, **options})


def _flat(network: keras.Layer) -> "list[keras.Layer]":
    """Returns the layers of a network and of the networks inside, first to last."""
    found = []
    for layer in network.layers:
        found += _flat(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def _has_kernel(layer: keras.Layer) -> bool:
    random = getattr(layer, "draws_noise", False)
    return not random and any(len(v.shape) > 1 for v in layer.trainable_variables)
