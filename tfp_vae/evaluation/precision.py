"""Likelihoods whose decoder has its products in bfloat16, and how far off that makes them.

Only the products of p(x|z) are in half precision: what they add up, log p(x|z) and weights are
float32, and q(z|x) is what it was, so that the same noise gives the same z in both.
"""

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_choice
from tfp_vae.data import Split
from tfp_vae.models import VAE
from tfp_vae.models.precision import in_precision

PRECISIONS = ("float32", "bfloat16")
EXAMPLES = 64  # that the error is measured on


def with_products(model: VAE, precision: str) -> VAE:
    """Returns the model for "float32", for "bfloat16" a copy with the decoder's products in that.

    The copy serves wherever a likelihood is computed, as in `ais`. On a CPU it is not compiled by
    XLA, which has no such products there.

    Args:
        model: a VAE.
        precision: one of `PRECISIONS`.

    Raises:
        ValueError: for another precision, and if the decoder has a layer that cannot follow it.
    """
    check_choice("precision", precision, PRECISIONS)
    if precision == "float32":
        return model
    copy = in_precision(model, f"mixed_{precision}", "decoder")
    if copy.compiled and not tf.config.list_physical_devices("GPU"):
        copy.compile(jit_compile=False)
    return copy


def some(split: Split) -> Split:
    """Returns the examples that the error is measured on, from all over a split."""
    if len(split) <= EXAMPLES:
        return split
    index = np.linspace(0, len(split) - 1, EXAMPLES).astype(int)
    return split.select(index, f"{EXAMPLES} of {len(split)}")


def difference(exact: np.ndarray, found: np.ndarray, prefix: str = "") -> dict:
    """Returns how far figures are from those in float32, nats per example, JSON-ready.

    Args:
        exact: of each example, in float32.
        found: of the same, with the same noise.
        prefix: of the keys.
    """
    off = np.asarray(found, np.float64) - np.asarray(exact, np.float64)
    error = float(np.std(off, ddof=1) / np.sqrt(len(off))) if len(off) > 1 else None
    return {
        f"{prefix}precision_error": float(off.mean()),
        f"{prefix}precision_error_se": error,
        f"{prefix}precision_error_largest": float(np.abs(off).max()),
        f"num_{prefix}precision_examples": len(off),
    }
