"""The flags that describe a VAE, its data and its training, and what is built from them."""

from absl import flags

import tfp_vae as tv
from experiments import cli, training_flags
from tfp_vae import report

flags.adopt_module_key_flags(training_flags)
_LIKELIHOOD = flags.DEFINE_enum("likelihood", "bernoulli", [*tv.decoders.BY_NAME], "p(x|z).")
_SCALE = flags.DEFINE_string(
    "scale", "shared", "Scale of the normal likelihood: shared, per_pixel, or a number > 0."
)
_POSTERIOR = flags.DEFINE_enum(
    "posterior", "diagonal", [*tv.encoders.BY_NAME], "Covariance of q(z|x)."
)
_NETWORK = flags.DEFINE_enum("network", "mlp", ["mlp", "conv"], "Kind of encoder and decoder.")
_FILTERS = flags.DEFINE_list("filters", ["32", "64"], "Filters of the stride-2 convolutions.")
_FREE_BITS = flags.DEFINE_float("free_bits", 0.0, "Nats per latent dimension.", lower_bound=0)
_CAPACITY = flags.DEFINE_float("capacity", None, "Target of the KL, nats.", lower_bound=0)


def prepare() -> tuple[report.RunFolder, tv.data.Data]:
    """Returns the run folder, checked but not made, and the data that the flags describe."""
    return training_flags.prepare(tv.decoders.BY_NAME[_LIKELIHOOD.value].preferred_kind)


def build(data: tv.data.Data, latent_dim: int) -> tv.VAE:
    """Returns the compiled model that the flags describe, for data that it can be a model of."""
    conv, normal = _NETWORK.value == "conv", _LIKELIHOOD.value == "normal"
    cli.refuse_unused(conv, "--network=conv", _FILTERS)
    cli.refuse_unused(normal, "--likelihood=normal", _SCALE)
    hidden = cli.integers(training_flags.HIDDEN)
    activation = training_flags.ACTIVATION.value
    if conv:
        filters = cli.integers(_FILTERS)
        if len(hidden) != 1:
            raise ValueError(f"--hidden does not fit conv. Expected one width. Received {hidden}.")
        encode = tv.networks.conv_encoder(filters, hidden[0], activation)
        decode = tv.networks.conv_decoder(data.shape, filters[::-1], hidden[0], activation)
    else:
        encode = tv.networks.mlp(hidden, activation)
        decode = tv.networks.mlp(hidden[::-1], activation)
    options = {}
    if normal:
        options["scale"] = cli.number_or_name(_SCALE)
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(latent_dim),
        encoder=tv.encoders.BY_NAME[_POSTERIOR.value](encode, latent_dim),
        decoder=tv.decoders.BY_NAME[_LIKELIHOOD.value](decode, data.shape, **options),
        objective=tv.objectives.ELBO(training_flags.beta(data), _FREE_BITS.value, _CAPACITY.value),
        num_samples=training_flags.NUM_SAMPLES.value,
        seed=training_flags.SEED.value,
    )
    return training_flags.compiled(vae, data)
