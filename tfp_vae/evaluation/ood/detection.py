"""How well a score tells what is out of distribution from what is in it.

One convention: a higher score means "more out of distribution", and out of distribution is the
positive class. Every figure depends on the order of the scores alone, so infinite ones are welcome
and no transform that rises changes anything. `ood.scores` has the scores.
"""

import numpy as np

TPR = 0.95


def detection_metrics(
    inside_scores, outside_scores, prefix: str = "", num: int = 200, seed: int = 0
) -> dict:
    """Returns what is reported of a score [N] in and [M] out of distribution, JSON-ready.

    Args:
        inside_scores: [N], of examples that are in distribution (test data).
        outside_scores: [M], of examples that are not.
        prefix: of every key.
        num: how often both sets are resampled for the intervals.
        seed: of the resampling.

    Returns:
        `auroc`: area under the ROC curve, P(outside > inside) + P(equal) / 2, where 0.5 is a score
        that knows nothing; `auroc_se`: its standard error (DeLong et al., 1988), None for a set of
        one. `aupr_outside`: area under precision and recall by average precision (no
        interpolation) with "outside" as the positive class, which for a score that knows nothing is
        M / (N + M); `aupr_inside`: the same with "inside" as the positive class and the scores
        turned round, N / (N + M) for one that knows nothing. `fpr_at_95_tpr`: the least share of
        inside examples that is called outside where at least 95 % of the outside ones are, down is
        better. Each with `_low` and `_high`, the 95 % percentile bootstrap over both sets. And
        `num_inside`, `num_outside`.

    Raises:
        ValueError: if the scores are not two lists of numbers.
    """
    inside, outside = ranked(inside_scores, outside_scores)
    if num < 2:
        raise ValueError(f"No interval can be taken. Expected num >= 2. Received {num}.")
    found = areas(inside, outside)
    rng = np.random.default_rng(seed)
    drawn = [
        areas(rng.choice(inside, len(inside)), rng.choice(outside, len(outside)))
        for _ in range(num)
    ]
    result = {}
    for name, value in found.items():
        result[name] = value
        if name == "auroc":
            result["auroc_se"] = auroc_standard_error(inside, outside)
        low, high = np.quantile([each[name] for each in drawn], [0.025, 0.975])
        result[f"{name}_low"], result[f"{name}_high"] = float(low), float(high)
    result |= {"num_inside": len(inside), "num_outside": len(outside)}
    return {prefix + name: value for name, value in result.items()}


def auroc_standard_error(inside_scores, outside_scores) -> float | None:
    """Returns the standard error of the AUROC of scores [N] inside and [M] outside.

    DeLong, DeLong & Clarke-Pearson, 1988: the variances of each example's share of the other set
    that it is on the right side of, over N and over M. By midranks (Sun & Xu, 2014), so that it is
    fast and counts ties as halves. None for a set of one example.
    """
    from scipy import stats

    inside, outside = ranked(inside_scores, outside_scores)
    if min(len(inside), len(outside)) < 2:
        return None
    ranks = stats.rankdata(np.concatenate([inside, outside]))
    below = (ranks[len(inside) :] - stats.rankdata(outside)) / len(inside)
    above = 1 - (ranks[: len(inside)] - stats.rankdata(inside)) / len(outside)
    variance = below.var(ddof=1) / len(outside) + above.var(ddof=1) / len(inside)
    return float(np.sqrt(variance))


def areas(inside_scores, outside_scores) -> dict[str, float]:
    """Returns auroc, aupr_outside, aupr_inside and fpr_at_95_tpr; see `detection_metrics`."""
    from sklearn import metrics

    inside, outside = ranked(inside_scores, outside_scores)
    is_outside = np.repeat([0, 1], [len(inside), len(outside)])
    scores = np.concatenate([inside, outside])
    # Every threshold: the curve without those inside its straight parts would miss the point at
    # which 95 % are reached first.
    fpr, tpr, _ = metrics.roc_curve(is_outside, scores, drop_intermediate=False)
    return {
        "auroc": float(metrics.auc(fpr, tpr)),
        "aupr_outside": float(metrics.average_precision_score(is_outside, scores)),
        "aupr_inside": float(metrics.average_precision_score(1 - is_outside, -scores)),
        "fpr_at_95_tpr": float(fpr[np.argmax(tpr >= TPR)]),
    }


def ranked(inside_scores, outside_scores) -> tuple[np.ndarray, np.ndarray]:
    """Returns the scores [N], [M] as their dense ranks among all, which are finite, ties kept.

    Raises:
        ValueError: if the scores are not two lists of numbers.
    """
    arrays = []
    for name, scores in (("inside", inside_scores), ("outside", outside_scores)):
        scores = np.asarray(scores, np.float64)
        if scores.ndim != 1 or not scores.size or np.isnan(scores).any():
            raise ValueError(
                f"The {name} scores cannot be ranked. Expected numbers, shape (N,), at least one. "
                f"Received shape {scores.shape} with {np.isnan(scores).sum()} NaN."
            )
        arrays.append(scores)
    _, ranks = np.unique(np.concatenate(arrays), return_inverse=True)
    return tuple(np.split(ranks.astype(np.float64), [len(arrays[0])]))
