"""Networks and missing pixels: what a user would fill in, chosen on validation data.

A network has no model of its inputs, so somebody else has to guess them. Every imputer learns from
training inputs as the network saw them and fills in the rest from what is observed.
"""

from collections.abc import Callable, Sequence

import numpy as np

from tfp_vae.arguments import check_choice
from tfp_vae.data import Kind, Split
from tfp_vae.evaluation.missing import check_mask

NUM_NEIGHBOURS = (1, 5, 20)
IMPUTERS = ("zero", "mean", *(f"neighbours_{k}" for k in NUM_NEIGHBOURS), "normal")


def imputed(
    train: Split,
    split: Split,
    observed: np.ndarray,
    name: str,
    *,
    num_reference: int = 2000,
) -> Split:
    """Returns `split` with everything that is not observed filled in, with the same labels.

    Args:
        train: the training split; a dynamic one is frozen.
        split: what to fill in; values that are not observed are never read.
        observed: bool, of shape [N, ...] or one that broadcasts to it; `data.observed_pixels`.
        name: one of `IMPUTERS`: "zero"; "mean" of the value over training data; "neighbours_K",
            the mean of the K training examples that are nearest in what is observed
            (`sklearn.impute.KNNImputer`); "normal", the conditional mean under a multivariate
            normal (`sklearn.covariance.LedoitWolf`), which is where regressing each value on the
            others in turn ends.
        num_reference: how many training examples, the first ones, "neighbours_K" and "normal" see.

    Returns:
        A `Split` of the same kind; for binary kinds of kind unit interval, because the best guess
        of a binary value is its probability.

    Raises:
        ValueError: for an unknown imputer, or a mask or shape that does not fit.
    """
    from sklearn.impute import KNNImputer

    check_choice("imputer", name, IMPUTERS)
    if train.shape != split.shape:
        raise ValueError(
            f"The {split.name} examples have a wrong shape. Expected {train.shape}, as in "
            f"training. Received {split.shape}."
        )
    values = split.values()
    mask = check_mask(observed, values.shape)
    known = train.values()
    if name in ("zero", "mean"):
        guess = known.mean(axis=0, dtype=np.float64) if name == "mean" else 0.0
        filled = np.where(mask, values, guess)
    else:
        flat = np.where(mask, values, np.nan).reshape(len(values), -1)
        known = known[:num_reference].reshape(-1, flat.shape[1])
        if name == "normal":
            guess = _normal(known, flat)
        else:
            guess = KNNImputer(n_neighbors=int(name.split("_")[1])).fit(known).transform(flat)
        filled = np.where(mask, values, guess.reshape(values.shape))
    kind = Kind.UNIT_INTERVAL if split.kind.is_binary else split.kind
    if kind is not Kind.REAL:
        filled = np.clip(filled, 0, 1)
    if kind is Kind.EIGHT_BIT:
        filled = np.round(filled * 255) / 255
    title = f"{split.name}, {name}"
    return Split(filled.astype(np.float32), kind, split.labels, title, split.targets)


def choose_imputer(
    train: Split,
    validation: Split,
    observed: np.ndarray,
    score: Callable[[Split], float],
    names: Sequence[str] = IMPUTERS,
    **kwargs,
) -> tuple[str, dict[str, float]]:
    """Returns the imputer with the highest score on validation data, and the score of each.

    Args:
        train: the training split.
        validation: the validation split; what is chosen on test data flatters itself.
        observed: masks of the validation data, made as those of the test data will be.
        score: of an imputed split with the labels or targets, up is better, such as the mean
            log-probability that a network gives to the labels. The first of equals is chosen.
        names: of the candidates.
        **kwargs: of `imputed`.

    Raises:
        ValueError: for unknown imputers, or if no score is a number.
    """
    scores = {
        name: float(score(imputed(train, validation, observed, name, **kwargs))) for name in names
    }
    if not scores or any(np.isnan(value) for value in scores.values()):
        raise ValueError(
            f"No imputer can be chosen. Expected a score of at least one, and numbers. Received "
            f"{scores}."
        )
    return max(scores, key=scores.get), scores


def _normal(known: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Returns `flat` [N, P] with E[missing | observed] under the normal of `known` in place of NaN.

    One linear system per example.
    """
    from sklearn.covariance import LedoitWolf

    fitted = LedoitWolf().fit(known.astype(np.float64))
    mean, covariance = fitted.location_, fitted.covariance_
    filled = flat.astype(np.float64)
    for row in filled:
        gone = np.isnan(row)
        seen = ~gone
        if gone.any():
            weights = np.linalg.solve(covariance[np.ix_(seen, seen)], row[seen] - mean[seen])
            row[gone] = mean[gone] + covariance[np.ix_(gone, seen)] @ weights
    return filled
