"""The flags that describe a VAE, its data and its training, and what is built from them."""

import keras
from absl import flags

import tfp_vae as tv
from experiments import cli
from tfp_vae import report, training

flags.adopt_module_key_flags(cli)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Write into a run folder that is not empty.")
_KIND = flags.DEFINE_enum(
    "kind", None, [*tv.data.Kind], "Kind of pixel values; without it, what the likelihood prefers."
)
EPOCHS = flags.DEFINE_integer("epochs", 100, "Passes over the training data.", lower_bound=1)
BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Examples per step.", lower_bound=1)
SEED = flags.DEFINE_integer("seed", 0, "Fixes weights, order, binarisation, noise.", 0, 2**31 - 1)
_LIKELIHOOD = flags.DEFINE_enum("likelihood", "bernoulli", [*tv.decoders.BY_NAME], "p(x|z).")
_SCALE = flags.DEFINE_string(
    "scale", "shared", "Scale of the normal likelihood: shared, per_pixel, or a number > 0."
)
_POSTERIOR = flags.DEFINE_enum(
    "posterior", "diagonal", [*tv.encoders.BY_NAME], "Covariance of q(z|x)."
)
_NETWORK = flags.DEFINE_enum("network", "mlp", ["mlp", "conv"], "Kind of encoder and decoder.")
_HIDDEN = flags.DEFINE_list(
    "hidden",
    ["400"],
    "Widths of the encoder's dense layers (the decoder mirrors them); one for conv.",
)
_FILTERS = flags.DEFINE_list("filters", ["32", "64"], "Filters of the stride-2 convolutions.")
_ACTIVATION = flags.DEFINE_enum("activation", "relu", tv.networks.ACTIVATIONS, "Of hidden layers.")
_NUM_SAMPLES = flags.DEFINE_integer("num_samples", 1, "Draws of z per example.", lower_bound=1)
_BETA = flags.DEFINE_float("beta", 1.0, "Weight of the KL in the loss.", lower_bound=0)
_WARM_UP = flags.DEFINE_enum(
    "warm_up", None, [*tv.objectives.WARM_UPS], "Shape of a KL weight that rises from 0 to 1."
)
_WARM_UP_EPOCHS = flags.DEFINE_integer("warm_up_epochs", 10, "Rise, or cycle.", lower_bound=1)
_FREE_BITS = flags.DEFINE_float("free_bits", 0.0, "Nats per latent dimension.", lower_bound=0)
_CAPACITY = flags.DEFINE_float("capacity", None, "Target of the KL, nats.", lower_bound=0)
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-3, "Of Adam, at step 0.", lower_bound=0)
_SCHEDULE = flags.DEFINE_enum("schedule", "cosine", training.SCHEDULES, "Of the learning rate.")
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ["float32", "mixed_bfloat16"], "Of products."
)
_JIT = flags.DEFINE_bool("jit", True, "Compile the training step with XLA.")


def prepare() -> tuple[report.RunFolder, tv.data.Data]:
    """Returns the run folder, checked but not made, and the data that the flags describe."""
    keras.utils.set_random_seed(SEED.value)
    keras.config.set_dtype_policy(_PRECISION.value)
    run = report.RunFolder(cli.RUN_DIR.value, _OVERWRITE.value)
    kind = _KIND.value or tv.decoders.BY_NAME[_LIKELIHOOD.value].preferred_kind
    data = tv.data.load(cli.DATASET.value, data_dir=cli.DATA_DIR.value, kind=kind)
    return run, data


def build(data: tv.data.Data, latent_dim: int) -> tv.VAE:
    """Returns the compiled model that the flags describe, for data that it can be a model of."""
    conv, normal = _NETWORK.value == "conv", _LIKELIHOOD.value == "normal"
    cli.refuse_unused(conv, "--network=conv", _FILTERS)
    cli.refuse_unused(normal, "--likelihood=normal", _SCALE)
    cli.refuse_unused(bool(_WARM_UP.value), "--warm_up", _WARM_UP_EPOCHS)
    hidden = cli.integers(_HIDDEN)
    activation = _ACTIVATION.value
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
    steps = data.train.num_batches(BATCH_SIZE.value)
    beta = _BETA.value
    if _WARM_UP.value:
        if beta != 1:
            raise ValueError(f"--warm_up ends at 1. Expected --beta=1 with it. Received {beta}.")
        beta = tv.objectives.WARM_UPS[_WARM_UP.value](_WARM_UP_EPOCHS.value * steps)
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(latent_dim),
        encoder=tv.encoders.BY_NAME[_POSTERIOR.value](encode, latent_dim),
        decoder=tv.decoders.BY_NAME[_LIKELIHOOD.value](decode, data.shape, **options),
        objective=tv.objectives.ELBO(beta, _FREE_BITS.value, _CAPACITY.value),
        num_samples=_NUM_SAMPLES.value,
        seed=SEED.value,
    )
    rate = training.learning_rate(_SCHEDULE.value, _LEARNING_RATE.value, steps * EPOCHS.value)
    vae.compile(
        optimizer=keras.optimizers.Adam(rate),
        jit_compile=_JIT.value,
        steps_per_execution=training.steps_per_execution(data.train, BATCH_SIZE.value),
    )
    vae.check_training(data.train, BATCH_SIZE.value)
    return vae
