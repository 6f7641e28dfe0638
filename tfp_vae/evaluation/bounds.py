"""How well a model explains test data: lower bounds on log p(x) with their errors."""

import math

import numpy as np

from tfp_vae.data import Split
from tfp_vae.evaluation import precision as precisions
from tfp_vae.evaluation.latent import active_units, level_kls
from tfp_vae.models import VAE
from tfp_vae.training import Progress


def standard_error(values: np.ndarray) -> float | None:
    """Returns the standard error of the mean of per-example values; None for a single example."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None


def _progress(what: str, verbose: bool) -> Progress | None:
    return Progress(what) if verbose else None


def elbo(model: VAE, split: Split, num_samples: int = 64, verbose: bool = False) -> dict:
    """Returns the mean ELBO of `split` in nats per example, with its standard error.

    Args:
        model: a VAE.
        split: the examples; a dynamic one is frozen.
        num_samples: S draws of q(z|x) per example.
        verbose: show progress.
    """
    values = model.elbo(split, num_samples, progress=_progress("ELBO, example", verbose))
    return {
        "elbo": float(values.mean()),
        "elbo_se": standard_error(values),
        "num_elbo_samples": num_samples,
    }


def log_evidence(
    model: VAE,
    split: Split,
    num_samples: int = 5000,
    verbose: bool = False,
    proposal: str = "auto",
    precision: str = "float32",
) -> dict:
    """Returns the mean importance-sampled log p(x) of `split`, nats per example, with its errors.

    A lower bound: in expectation at most log p(x).

    `log_evidence_se` is the standard error over examples, Monte Carlo noise included;
    `log_evidence_mc_se` is the part of the Monte Carlo noise alone, by the delta method:
    var(log p_hat(x)) = 1/ESS - 1/S.

    With `precision="bfloat16"`, `precision_error` is by how much the figure is above that of
    float32 on at most 64 examples with the same noise, with its standard error, and the largest
    distance of one example.

    Args:
        model: a VAE.
        split: the examples; a dynamic one is frozen.
        num_samples: S draws of the latents per example.
        verbose: show progress and the time left.
        proposal: what is drawn from; see `VAE.bounds`.
        precision: of the decoder's products, "float32" or "bfloat16"; sums are float32.

    Raises:
        ValueError: if the decoder has a layer that cannot follow the precision.

    Warns:
        UserWarning: if effective sample size, tail of the weights or the comparison of two
            proposals say that the figure is too low.
    """
    used = precisions.with_products(model, precision)
    progress = _progress("log p(x), example", verbose)
    bounds = used.bounds(split, num_samples, proposal=proposal, progress=progress)
    size = bounds.effective_sample_size
    bounds.warn_of_bias(num_samples)
    variance = np.maximum(1 / size - 1 / num_samples, 0)
    result = {
        "log_evidence": float(bounds.log_evidence.mean()),
        "log_evidence_se": standard_error(bounds.log_evidence),
        "log_evidence_mc_se": float(np.sqrt(variance.sum()) / len(size)),
        **_precision_error(model, used, split, num_samples, bounds.proposal),
        "num_importance_samples": num_samples,
        "effective_sample_size_median": float(np.median(size)),
        "effective_sample_size_min": float(size.min()),
        "importance_proposal": bounds.proposal,
    }
    known = bounds.tail_index[np.isfinite(bounds.tail_index)]
    if known.size:
        result["importance_tail_index_median"] = float(np.median(known))
    if bounds.gap is not None:  # of the refined proposal over the encoder's
        result["importance_gap"] = bounds.gap
    if model.has_bits:
        dims = math.prod(model.decoder.event_shape)
        result["bits_per_dim"] = -result["log_evidence"] / (dims * math.log(2))
    return result


def _precision_error(model, used, split, num_samples, proposal):
    if used is model:
        return {}
    few = precisions.some(model.as_split(split).frozen())
    values = [each.bounds(few, num_samples, proposal=proposal) for each in (model, used)]
    return precisions.difference(*[each.log_evidence for each in values])


def reconstruction(model: VAE, split: Split, prefix: str = "test_") -> dict:
    """Returns the squared error per value of reconstructions, JSON-ready; no bound is in it."""
    split = split.frozen()
    errors = []
    for start in range(0, len(split), 500):
        x = split.values(np.arange(start, min(start + 500, len(split))))
        each = np.square(model.reconstruct(x).numpy() - x).reshape(len(x), -1)
        errors.append(each.mean(axis=1))
    error = np.concatenate(errors)
    return {
        f"{prefix}squared_error": float(error.mean()),
        f"{prefix}squared_error_se": standard_error(error),
    }


def test_metrics(
    model: VAE,
    split: Split,
    num_importance_samples: int,
    num_elbo_samples: int = 64,
    prefix: str = "test_",
    verbose: bool = False,
    precision: str = "float32",
) -> dict:
    """Returns everything that is reported of a VAE on `split`, JSON-ready, nats per example.

    log p(x) is called `log_likelihood` here, as people call the figure that they compare. With
    another `precision` than float32 its error is beside it; see `log_evidence`.
    """
    if not model.on_bound:
        found = reconstruction(model, split, prefix)
        return {"note": model.off_bound, **found, "active_units": active_units(model, split)}
    bound = elbo(model, split, num_elbo_samples, verbose)
    marginal = log_evidence(model, split, num_importance_samples, verbose, precision=precision)
    named = {}
    for key, value in (bound | marginal).items():
        is_result = key.startswith(("elbo", "log_evidence", "bits"))
        key = key.replace("log_evidence", "log_likelihood")
        named[prefix + key if is_result else key] = value
    named |= {prefix + key: kl for key, kl in level_kls(model, split).items()}
    return named | {"active_units": active_units(model, split)}
