"""Scores of single examples that are to be high for what is out of distribution.

None is best everywhere: a VAE may give simple images of another kind a higher density than its own
data (Nalisnick et al., 2019), so several are reported side by side. `ood.detection`
measures them.
"""

import io
import math
import zlib

import numpy as np

from tfp_vae import extras
from tfp_vae.data import Kind, Split
from tfp_vae.evaluation import checks
from tfp_vae.evaluation.ood import base
from tfp_vae.models import VAE, Predictive


def vae_scores(
    vae: VAE,
    split: Split,
    reference: float | None = None,
    names=None,
    *,
    num_samples: int = 1000,
    regret: dict | None = None,
    seed: int | None = None,
    progress=None,
) -> dict[str, np.ndarray]:
    """Returns scores of every example, {name: float64 [N]}; log p(x) is computed once for all.

    It is the lower bound with draws of q(z|x), for every split: a proposal chosen for each of them
    would be a difference between splits that is not one of the examples. Where the encoder misses
    a part of p(z|x), as it may for inputs of another kind, the bound is lower, and that counts.

    Args:
        vae: a trained VAE.
        split: images or a table; "input_complexity" needs images.
        reference: for "typicality": `reference_log_evidence` of validation data, never of data
            that are scored.
        names: of scores, all by default: "negative_log_evidence" (importance-sampled) and
            "negative_elbo", in nats; and those of `typicality`, `likelihood_regret` and
            `input_complexity`.
        num_samples: S, draws of q(z|x) per example for log p(x) and the ELBO.
        regret: arguments of `likelihood_regret`.
        seed: fixes the draws; the model's seed by default.
        progress: called with (examples done, examples in all) while log p(x) is computed.

    Raises:
        ValueError: for an unknown name, or typicality without a reference.
    """
    checks.unconditional(vae, "A score of x")
    known = base.of_kind(base.DensityScore)
    names = [*known] if names is None else [*names]
    if not names or not set(names) <= set(known):
        raise ValueError(f"Unknown scores. Expected some of {', '.join(known)}. Received {names}.")

    def bounds():
        found = vae.bounds(split, num_samples, seed=seed, progress=progress)
        return found.log_evidence, found.elbo

    seen = base.Density(split, bounds, reference, vae, {"seed": seed, **(regret or {})})
    for name in names:  # errors first
        known[name].check(seen)
    return {name: known[name](seen) for name in names}


def predictive_scores(predictive: Predictive) -> dict[str, np.ndarray]:
    """Returns the uncertainties of a classifier about every example, {name: float64 [N]}.

    "predictive_entropy" and "mutual_information" in nats, "one_minus_max_probability" in [0, 1]
    (Hendrycks & Gimpel, "A baseline for detecting ...", ICLR 2017).

    Raises:
        ValueError: if the targets are not classes.
    """
    scores = base.of_kind(base.ClassScore)
    return {name: score(predictive) for name, score in scores.items()}


# Typicality.


def reference_log_evidence(vae: VAE, validation: Split, num_samples: int = 1000, **kwargs) -> float:
    """Returns the mean log p(x) of validation data in nats, which `typicality` compares with.

    Args:
        vae: a trained VAE.
        validation: the validation split; test data would tell the score what it must not know.
        num_samples: S, the same as for the scores, because the bias of log p(x) depends on it.
        **kwargs: of `VAE.bounds`; the scores have its default proposal.
    """
    return float(vae.bounds(validation, num_samples, **kwargs).log_evidence.mean(dtype=float))


def typicality(log_likelihood: np.ndarray, reference: float) -> np.ndarray:
    """Returns |log p(x) - reference|, [N], nats.

    How far -log p(x) is from the entropy, which bounds the typical set: the test of Nalisnick et
    al., "Detecting out-of-distribution inputs to deep generative models using typicality", 2019,
    for one example. So a density that is too high counts as much as one that is too low.

    Args:
        log_likelihood: log p(x), [N].
        reference: mean log p(x) of validation data.
    """
    return np.abs(np.asarray(log_likelihood, np.float64) - reference)


# Input complexity.


def complexity_bits(split: Split) -> np.ndarray:
    """Returns L(x), the length of every image compressed without loss, in bits, [N] float64.

    The shortest of several codes of one image counts, as Serra et al. (2020) propose: zlib on its
    bytes, zlib on its bits where it is binary, and PNG, which predicts pixels from their neighbours
    first and wins on large natural images. On images of 28 pixels zlib wins: PNG's headers alone
    are 60 bytes. Images of 8 pixels are so short that the code is mostly overhead.

    Args:
        split: images [N, H, W, C] with 1, 3 or 4 channels, of values in [0, 1]. Values off the grid
            k/255 are rounded to it.

    Raises:
        ValueError: if `split` holds no such images.
    """
    check_images(split)
    split, lengths = split.frozen(), []
    for start in range(0, len(split), 1000):
        images = np.round(split.values(slice(start, start + 1000)) * 255).astype(np.uint8)
        lengths += [min(map(len, _codes(image, split.kind.is_binary))) for image in images]
    return 8.0 * np.array(lengths)


def check_images(split: Split) -> None:
    """Raises `ValueError` if `split` holds no images that can be compressed."""
    if len(split.shape) != 3 or split.shape[-1] not in (1, 3, 4) or split.kind is Kind.REAL:
        raise ValueError(
            f"The {split.name} split cannot be compressed as images. Expected images "
            "(N, H, W, 1, 3 or 4) of values in [0, 1]. Received examples of shape "
            f"{split.shape} and kind '{split.kind}'."
        )
    extras.need("images", "Lengths of compressed images")


def _codes(image: np.ndarray, is_binary: bool):
    """Yields the bytes of an image [H, W, C], uint8, as the compressors write it."""
    from PIL import Image

    yield zlib.compress(image.tobytes(), 9)
    if is_binary:
        yield zlib.compress(np.packbits(image > 0).tobytes(), 9)
    file = io.BytesIO()
    grey = image.shape[-1] == 1
    Image.fromarray(image[..., 0] if grey else image).save(file, format="PNG", optimize=True)
    yield file.getvalue()


def input_complexity(log_likelihood: np.ndarray, bits: np.ndarray, split: Split) -> np.ndarray:
    """Returns -log2 p(x) - L(x), [N], bits: how much worse than a compressor the model is.

    Serra et al., "Input complexity and out-of-distribution detection with likelihood-based
    generative models", ICLR 2020. A density p(x) of values in [0, 1] is first made the
    probability of a cell of the grid k/255, so that both terms are lengths of the same message.

    Args:
        log_likelihood: log p(x) in nats, [N].
        bits: L(x), [N], from `complexity_bits`.
        split: whose kind says whether p(x) is a density.
    """
    lengths = -np.asarray(log_likelihood, np.float64) / math.log(2)
    if not split.kind.is_discrete:
        lengths = lengths + math.prod(split.shape) * math.log2(255)
    return lengths - bits
