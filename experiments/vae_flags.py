"""The flags that describe a VAE, its data and its training, and what is built from them."""

from typing import TYPE_CHECKING

from absl import flags

import tfp_vae as tv
from tfp_vae import peek

from . import cli, training_flags

if TYPE_CHECKING:
    import keras

GROUP = "Model"
_LIKELIHOOD = flags.DEFINE_enum(
    "likelihood", "bernoulli", peek.names("distributions.decoders.BY_NAME"), "p(x|z)."
)
_SCALE = flags.DEFINE_string(
    "scale", "shared", "Scale of the normal likelihood: shared, per_pixel, or a number > 0."
)
_POSTERIOR = flags.DEFINE_enum(
    "posterior", "diagonal", peek.names("distributions.encoders.ENCODERS"), "Covariance of q(z|x)."
)
_NETWORK = flags.DEFINE_enum("network", "mlp", ["mlp", "conv"], "Kind of encoder and decoder.")
_FILTERS = flags.DEFINE_list("filters", ["32", "64"], "Filters of the stride-2 convolutions.")
_FREE_BITS = flags.DEFINE_float("free_bits", 0.0, "Nats per latent dimension.", lower_bound=0)
_CAPACITY = flags.DEFINE_float("capacity", None, "Target of the KL, nats.", lower_bound=0)


def prepare() -> "tuple[tv.report.RunFolder, tv.data.Data]":
    """Returns the run folder, checked but not made, and the data that the flags describe."""
    return training_flags.prepare(lambda: tv.decoders.BY_NAME[_LIKELIHOOD.value].preferred_kind)


def encoding(data: "tv.data.Data", kind: str) -> "keras.Sequential":
    """Returns a network of examples or conditions to features, of kind "mlp" or "conv"."""
    hidden, activation = cli.integers(training_flags.HIDDEN), training_flags.ACTIVATION.value
    if kind == "mlp":
        return tv.networks.mlp(hidden, activation)
    return tv.networks.conv_encoder(cli.integers(_FILTERS), conv_width(data), activation)


def conv_width(data: "tv.data.Data") -> int:
    """Returns the one width of a convolutional network's dense layer.

    Raises:
        ValueError: for more widths, or data that are no images.
    """
    hidden = cli.integers(training_flags.HIDDEN)
    if len(hidden) != 1:
        raise ValueError(f"--hidden does not fit conv. Expected one width. Received {hidden}.")
    if len(data.shape) != 3:
        raise ValueError(
            "A convolutional network is for images. Expected examples of shape (H, W, channels). "
            f"Received shape {data.shape}."
        )
    return hidden[0]


def classifier(data: "tv.data.Data", kind: str) -> "keras.Sequential":
    """Returns a network of examples to logits of the classes, of kind "mlp" or "conv"."""
    if kind == "mlp":
        import keras

        return keras.Sequential([encoding(data, "mlp"), keras.layers.Dense(data.num_classes)])
    filters, activation = cli.integers(_FILTERS), training_flags.ACTIVATION.value
    width = conv_width(data)
    return tv.networks.conv_classifier(data.num_classes, filters, width, activation)


def _decoding(data: "tv.data.Data") -> "keras.Sequential":
    """Returns the network of the decoder, the mirror of the encoder's."""
    hidden, activation = cli.integers(training_flags.HIDDEN), training_flags.ACTIVATION.value
    if _NETWORK.value == "mlp":
        return tv.networks.mlp(hidden[::-1], activation)
    filters = cli.integers(_FILTERS)[::-1]
    return tv.networks.conv_decoder(data.shape, filters, hidden[0], activation)


def parts(data: "tv.data.Data", latent_dim: int, conv_elsewhere: bool = False) -> dict:
    """Returns the arguments that the flags describe and every sort of VAE has."""
    normal = _LIKELIHOOD.value == "normal"
    conv = conv_elsewhere or _NETWORK.value == "conv"
    cli.refuse_unused(conv, "--network=conv", _FILTERS)
    cli.refuse_unused(normal, "--likelihood=normal", _SCALE)
    scale = {"scale": cli.number_or_name(_SCALE)} if normal else {}
    encode = encoding(data, _NETWORK.value)
    return {
        "encoder": tv.encoders.ENCODERS[_POSTERIOR.value](encode, latent_dim),
        "decoder": tv.decoders.BY_NAME[_LIKELIHOOD.value](_decoding(data), data.shape, **scale),
        "num_samples": training_flags.NUM_SAMPLES.value,
        "seed": training_flags.SEED.value,
    }


def join() -> str:
    """Returns how a condition joins the images that the encoder sees."""
    return "planes" if _NETWORK.value == "conv" else "flat"


def compiled(vae: "tv.VAE", data: "tv.data.Data") -> "tv.VAE":
    """Returns the model with objective and optimizer, for data that it can be a model of."""
    weight = training_flags.beta(vae.batches_per_epoch(data.train, training_flags.BATCH_SIZE.value))
    vae.objective = tv.objectives.ELBO(weight, _FREE_BITS.value, _CAPACITY.value)
    return training_flags.compiled(vae, data)


def build(data: "tv.data.Data", latent_dim: int) -> "tv.VAE":
    """Returns the compiled VAE that the flags describe, for data that it can be a model of."""
    prior = tv.priors.StandardNormal(latent_dim)
    return compiled(tv.VAE(prior=prior, **parts(data, latent_dim)), data)
