"""What is said of each row of a file, as columns of a table."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfp_vae.data import Split
from tfp_vae.evaluation.detector import Detector
from tfp_vae.models import Predictive

_ROWS = 2**16  # that are scored at a time, of which every value has a score of its own


def of_predictions(
    predictive: Predictive, level: float, class_names: "Sequence[str] | None" = None
) -> "dict[str, np.ndarray]":
    """Returns columns of a predictive distribution, batch shape [N].

    Args:
        predictive: of N rows.
        level: of intervals, or of sets of classes.
        class_names: what the classes are called; None for their numbers.

    Returns:
        Of numbers `mean`, `sd`, `epistemic_sd`, `aleatoric_sd`, `low`, `high`, in the unit of the
        target; of classes `class`, `set` (its classes with | between), `entropy`,
        `mutual_information`, in nats, and `p_CLASS` of each.
    """
    if not predictive.is_categorical:
        low, high = predictive.interval(level)
        found = {"mean": predictive.mean()}
        for name, variance in (
            ("sd", predictive.total),
            ("epistemic_sd", predictive.epistemic),
            ("aleatoric_sd", predictive.aleatoric),
        ):
            found[name] = np.sqrt(variance)
        found |= {"low": low, "high": high}
        return {name: np.asarray(each, np.float64) for name, each in found.items()}
    probs, sets = predictive.probs.numpy(), predictive.class_set(level).numpy()
    names = np.array(class_names or [str(k) for k in range(probs.shape[1])])
    return {
        "class": names[np.argmax(probs, axis=1)],
        "set": np.array(["|".join(names[each]) for each in sets]),
        "entropy": predictive.total.numpy(),
        "mutual_information": predictive.epistemic.numpy(),
        **{f"p_{name}": probs[:, k] for k, name in enumerate(names)},
    }


def of_scores(
    detector: Detector, split: Split, most: int = 3, most_explained: int = 1000
) -> "dict[str, np.ndarray]":
    """Returns columns of what a detector says of N rows.

    Args:
        detector: fitted.
        split: of N rows.
        most: values in an explanation.
        most_explained: flagged rows, from the most unusual on, that are explained.

    Returns:
        `score`, `p_value`, `anomaly` (1 or 0) and, of flagged rows, `why`.
    """
    scores = np.concatenate(
        [detector.score(split.select(slice(start, start + _ROWS), split.name))
         for start in range(0, len(split), _ROWS)]
    )  # fmt: skip
    p_values = detector.p_values_of(scores)
    flagged = scores > detector.threshold
    why = np.full(len(split), "", object)
    index = np.flatnonzero(flagged)
    index = np.sort(index[np.argsort(-scores[index], kind="stable")][:most_explained])
    if len(index):
        reasons = detector.explain(split.select(index, split.name), most)
        why[index] = ["; ".join(map(str, each)) for each in reasons]
    found: dict[str, Any] = {"score": scores, "p_value": p_values, "anomaly": flagged.astype(int)}
    return {**found, "why": why}
