"""The flags of what a training computes with: precision, and XLA."""

import math
from collections.abc import Sequence

from absl import flags

import tfp_vae as tv

from . import running_flags

GROUP = "Training"
PRECISION = flags.DEFINE_enum(
    "precision",
    "float32",
    ["float32", "mixed_bfloat16", "auto"],
    "Of products; auto: whichever trains dense layers faster here, by a measurement.",
)
JIT = flags.DEFINE_bool("jit", True, "Compile the training step with XLA.")
_LATENT_DIM = 20  # where the program says no single one


def check() -> None:
    """Raises `ValueError` if a precision is to be chosen for several devices."""
    if PRECISION.value == "auto" and running_flags.is_shared():
        raise ValueError(
            "A precision is chosen for one device. Expected --precision=float32 or mixed_bfloat16 "
            "where several share the batches. Received --precision=auto."
        )


def jit() -> bool:
    """Returns whether XLA is to compile the training step of a model that supports it."""
    return JIT.value and not running_flags.is_shared()


def resolve(
    run: "tv.report.RunFolder",
    data: "tv.data.Data",
    hidden: Sequence[int],
    rows: int,
    decodes: bool,
) -> None:
    """Makes --precision and --jit what the training has, and the policy of Keras --precision.

    flags.txt then has what was chosen, and a training that goes on reads it there.

    Args:
        run: its folder, checked.
        data: that are trained on.
        hidden: widths of the dense layers.
        rows: in a batch, draws counted.
        decodes: whether the layers come back to the size of the data, as in a VAE.
    """
    import keras

    if PRECISION.value == "mixed_bfloat16" and tv.training.precision.has_bfloat16() is False:
        print("precision: no bfloat16 instructions in this processor: float32 trains faster here")
    ways = [] if running_flags.is_shared() else _ways()
    if len(ways) > 1:
        way = _recorded(run)
        said = f"{way}: as this training began"
        if way not in ways and not _is_dense():
            way = ways[0]
            said = f"{way.policy}: dense layers alone are measured, and this network has others"
        elif way not in ways:
            found = tv.training.precision.fastest(_stacks(data, hidden, decodes), rows, ways)
            way, said = found.way, f"{found.way}: {found}"
        print(f"precision: {said}", flush=True)
        flags.FLAGS["precision"].value, flags.FLAGS["jit"].value = way
    keras.config.set_dtype_policy(PRECISION.value)


def _ways() -> "list[tv.training.precision.Way]":
    """Returns the ways to train that the flags leave open, the usual one first."""
    if PRECISION.value != "auto" and (flags.FLAGS["jit"].present or not _is_dense()):
        return []
    return tv.training.precision.ways(PRECISION.value, JIT.value)


def _is_dense() -> bool:
    return flags.FLAGS["network"].value == "mlp"


def _recorded(run: "tv.report.RunFolder") -> "tv.training.precision.Way | None":
    """Returns how a training that goes on computes, None if there is none."""
    known = {} if run.overwrite else tv.report.read_run(run.path).flags
    if "precision" not in known:
        return None
    return tv.training.precision.Way(known["precision"], known.get("jit") != "false")


def _stacks(data: "tv.data.Data", hidden: Sequence[int], decodes: bool) -> "list[list[int]]":
    size = math.prod(data.shape)
    if not decodes:
        return [[size, *hidden, data.num_classes or 1]]
    latent = flags.FLAGS["latent_dim"].value if "latent_dim" in flags.FLAGS else _LATENT_DIM
    return [[size, *hidden, 2 * latent], [latent, *reversed(hidden), size]]
