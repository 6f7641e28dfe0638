"""What is reported of a predictive distribution on a split, the same for every method."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfp_vae.conformal import DEFAULT_LEVEL, DEFAULT_SCORES, Conformal, Seen, rows_needed
from tfp_vae.data import Split
from tfp_vae.evaluation import checks
from tfp_vae.evaluation.calibration import (
    apply_temperature,
    classification_metrics,
    expected_calibration_error,
    nll,
    temperature_scaling,
)
from tfp_vae.evaluation.regression import regression_metrics
from tfp_vae.models import BayesianNetwork, Predictive, Predictor
from tfp_vae.training import Progress

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Shares of the weights removed in a pruning curve.
PRUNED = (0.0, 0.5, 0.75, 0.9, 0.95, 0.98)


def predict(
    predictor: Predictor, split: Split, num_samples: int, seed=None, verbose: bool = False
) -> Predictive:
    """Returns the predictive distribution of a split, with progress if `verbose`."""
    progress = Progress("prediction, example") if verbose else None
    return predictor.predictive(split, num_samples, seed=seed, progress=progress)


def probability_transform(predictive: Predictive, targets: np.ndarray) -> np.ndarray:
    """Returns P(y <= target), [N]; where y has a probability the middle of its step."""
    cdf = predictive.cdf(targets)
    if predictive.is_discrete:
        cdf -= 0.5 * predictive.prob(targets)
    return cdf.numpy()


def predictive_metrics(
    predictor: Predictor,
    split: Split,
    num_samples: int,
    prefix: str = "test_",
    seed: int | None = None,
    verbose: bool = False,
) -> dict:
    """Returns everything that is reported of a method on `split`, JSON-ready.

    Args:
        predictor: a trained model or a posterior over its weights.
        split: with labels or targets.
        num_samples: S, draws of the weights.
        prefix: of the keys.
        seed: fixes the draws; the model's seed by default.
        verbose: show progress.

    Returns:
        What `classification_metrics` or `regression_metrics` report, and the mean uncertainties of
        `Predictive`: nats, or squared units of the target.

    Raises:
        ValueError: if the split does not fit the model.
    """
    split = predictor.trained_model().as_split(split)
    predictive = predict(predictor, split, num_samples, seed, verbose)
    return distribution_metrics(predictive, split.y, prefix)


def distribution_metrics(predictive: Predictive, y: np.ndarray, prefix: str = "test_") -> dict:
    """Returns the metrics of a predictive distribution with batch shape [N] at targets [N]."""
    if predictive.is_categorical:
        found = classification_metrics(predictive.log_probs.numpy(), y, prefix)
    else:
        found = regression_metrics(
            predictive.mean().numpy(),
            predictive.log_prob(y).numpy(),
            probability_transform(predictive, y),
            y,
            prefix,
        )
    for name in ("total", "aleatoric", "epistemic"):
        found[f"{prefix}{name}_uncertainty"] = float(tf.reduce_mean(getattr(predictive, name)))
    found["num_predictive_samples"] = int(predictive.components_distribution.batch_shape[-1])
    return found


def temperature_metrics(
    validation: Predictive,
    validation_labels: np.ndarray,
    test: Predictive,
    test_labels: np.ndarray,
    prefix: str = "test_",
) -> dict:
    """Returns the temperature that validation data ask for, and NLL and ECE on test data with it.

    Guo et al., 2017, sec. 4.2, on the logs of averaged probabilities. Empty for regression.
    """
    if not validation.is_categorical:
        return {}
    temperature = temperature_scaling(validation.log_probs.numpy(), validation_labels)
    scaled = apply_temperature(test.log_probs.numpy(), temperature)
    return {
        "temperature": temperature,
        f"{prefix}nll_scaled": nll(scaled, test_labels),
        f"{prefix}ece_scaled": expected_calibration_error(scaled, test_labels),
    }


def conformal_metrics(
    validation: Predictive,
    validation_y: np.ndarray,
    test: Predictive,
    test_y: np.ndarray,
    score: "str | None" = None,
    level: float = DEFAULT_LEVEL,
    prefix: str = "test_",
) -> "tuple[Conformal | None, dict]":
    """Returns a calibration by validation data, and how its regions do on test data.

    Args:
        validation: predictive distribution of the validation data.
        validation_y: their targets or classes, [n].
        test: that of the test data.
        test_y: theirs, [N].
        score: see `conformal.calibrate`.
        level: of the regions.
        prefix: of the keys.

    Returns:
        The calibration, and `conformal_coverage` with its error beside the mean
        `conformal_width`, in the unit of the target, or `conformal_set_size`, in classes; None and
        {} if there are too few validation data for the level.
    """
    if len(validation_y) < rows_needed(1 - level):
        return None, {}
    task = "classification" if validation.is_categorical else "regression"
    score = DEFAULT_SCORES[task] if score is None else score
    found = Conformal.of(Seen.of(validation), validation_y, score, level=level)
    if validation.is_categorical:
        sets = found.classes(Seen.of(test))
        inside, name = sets[np.arange(len(test_y)), test_y], "conformal_set_size"
        sizes = sets.sum(axis=1)
    else:
        low, high = found.interval(Seen.of(test))
        inside, name = (low <= test_y) & (test_y <= high), "conformal_width"
        sizes = high - low
    metrics = {"conformal_score": score, "conformal_level": level}
    for key, values in (("conformal_coverage", inside), (name, sizes)):
        value, error = checks.mean_with_error(np.asarray(values, np.float64))
        metrics |= {f"{prefix}{key}": value, f"{prefix}{key}_se": error}
    return found, metrics


def signal_to_noise(model: BayesianNetwork) -> "dict[str, np.ndarray]":
    """Returns |loc| / scale of every weight with a normal posterior, by layer.

    Raises:
        ValueError: if no layer has a mean-field posterior.
    """
    ratios = {}
    for layer in model.bayesian_layers():
        if layer.covariance == "diagonal":
            normal = layer.posterior.distribution
            ratios[layer.name] = np.ravel(np.abs(normal.loc) / normal.scale.numpy())
    if not ratios:
        raise ValueError(
            "There is no signal-to-noise ratio. Expected layers with a mean-field posterior. "
            f"Received {model.name}, which has none."
        )
    return ratios


def has_mean_field(predictor: "BayesianNetwork | Predictor") -> bool:
    """Returns whether it is a network one of whose layers has independent weights."""
    if not isinstance(predictor, BayesianNetwork):
        return False
    return any(layer.covariance == "diagonal" for layer in predictor.bayesian_layers())


def weight_metrics(model: BayesianNetwork) -> dict:
    """Returns the KL of the weights in nats and quantiles of |loc| / scale and of the scales.

    The quantiles are those of layers with a mean-field posterior. What a prior of weights that are
    points adds to the bound is no KL, and is not in it.
    """
    kl = float(model.posterior_kl(num_samples=30))
    found = {"kl": kl, "signal_to_noise": {}, "posterior_scale": {}}
    layers = {layer.name: layer for layer in model.bayesian_layers()}
    if not has_mean_field(model):
        return found
    for name, ratio in signal_to_noise(model).items():
        scale = np.ravel(layers[name].posterior.distribution.scale)
        for key, values in (("signal_to_noise", ratio), ("posterior_scale", scale)):
            quantiles = np.quantile(values, QUANTILES)
            found[key][name] = dict(zip(map(str, QUANTILES), quantiles.tolist(), strict=True))
    return found


def prune(model: BayesianNetwork, share: float) -> BayesianNetwork:
    """Returns a copy without the `share` of weights with the lowest |loc| / scale.

    Blundell et al., 2015, sec. 5.4. A weight that is removed is 0 for certain. The threshold is one
    for all layers; the weights of Bayesian biases are among them.

    Args:
        model: with mean-field posteriors.
        share: of all weights, in [0, 1).
    """
    pruned = _copy(model)
    _prune_into(pruned, model, share)
    return pruned


def _copy(model: BayesianNetwork) -> BayesianNetwork:
    copy = type(model).from_config(model.get_config())
    copy.build((None, *model.event_shape))
    for new, old in zip(copy.weights, model.weights, strict=True):
        new.assign(old)
    if model.compiled:
        copy.compile(jit_compile=model.jit_compile)  # as fast as the model, and the same draws
    return copy


def _prune_into(pruned: BayesianNetwork, model: BayesianNetwork, share: float) -> None:
    if not 0 <= share < 1:
        raise ValueError(f"Impossible share. Expected 0 <= share < 1. Received {share}.")
    threshold = np.quantile(np.concatenate(list(signal_to_noise(model).values())), share)
    for new, old in zip(pruned.bayesian_layers(), model.bayesian_layers(), strict=True):
        if old.covariance == "diagonal":
            normal = old.posterior.distribution
            new.set_weights(old.get_weights())
            new.keep(np.abs(normal.loc) / normal.scale.numpy() >= threshold)


def pruning_curve(
    model: BayesianNetwork,
    split: Split,
    shares=PRUNED,
    num_samples: int = 30,
    verbose: bool = False,
    seen: "Callable[[float, Predictive], None] | None" = None,
) -> dict:
    """Returns accuracy (or RMSE) and log-likelihood without the least certain weights.

    Args:
        model: with mean-field posteriors.
        split: with targets or labels.
        shares: of all weights, each in [0, 1).
        num_samples: draws of the weights per prediction.
        verbose: whether to say how far it is.
        seen: is called with each share and its predictions, before the next one is made.

    Returns:
        {"share": [...], "accuracy" or "rmse": [...], "log_likelihood": [...]}.
    """
    progress = Progress("pruned") if verbose else None
    found = {"share": [float(share) for share in shares]}
    pruned = _copy(model)  # one, so that its graph is traced once
    for done, share in enumerate(shares, 1):
        _prune_into(pruned, model, share)
        predictive = pruned.predictive(split, num_samples)
        if seen is not None:
            seen(share, predictive)
        log_prob = float(tf.reduce_mean(predictive.log_prob(split.y)))
        if predictive.is_categorical:
            right = np.argmax(predictive.log_probs, axis=-1) == split.y
            found.setdefault("accuracy", []).append(float(right.mean()))
        else:
            errors = predictive.mean().numpy() - split.y
            found.setdefault("rmse", []).append(float(np.sqrt(np.mean(errors**2))))
        found.setdefault("log_likelihood", []).append(log_prob)
        if progress is not None:
            progress(done, len(found["share"]))
    return found
