"""Networks and missing pixels: what a user would fill in, chosen on validation data.

A network has no model of its inputs, so somebody else has to guess them. Every imputer learns from
training inputs as the network saw them and fills in the rest from what is observed.
"""

from collections.abc import Callable, Sequence

import numpy as np

from tfp_vae.data import Kind, Split
from tfp_vae.evaluation.missing import check_mask

NUM_NEIGHBOURS = (1, 5, 20)
IMPUTERS = ("zero", "mean", *(f"neighbours_{k}" for k in NUM_NEIGHBOURS), "iterative")
MOST_ITERATIVE = 100  # values per example; the time grows with the cube of it


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
            (`sklearn.impute.KNNImputer`); "iterative", one value regressed on the others in turn,
            which is multivariate normal in effect (`sklearn.impute.IterativeImputer`).
        num_reference: how many training examples, the first ones, neighbours and regressions see.

    Returns:
        A `Split` of the same kind; for binary kinds of kind unit interval, because the best guess
        of a binary value is its probability.

    Raises:
        ValueError: for an unknown imputer, a mask that does not fit, or "iterative" for examples of
            more than `MOST_ITERATIVE` values.
    """
    if name not in IMPUTERS:
        raise ValueError(
            f"Unknown imputer. Expected one of {', '.join(IMPUTERS)}. Received {name!r}."
        )
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
        imputer = _imputer(name, flat.shape[1])
        imputer.fit(known[:num_reference].reshape(-1, flat.shape[1]))
        filled = np.where(mask, values, imputer.transform(flat).reshape(values.shape))
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
    names: Sequence[str] | None = None,
    **kwargs,
) -> tuple[str, dict[str, float]]:
    """Returns the imputer with the highest score on validation data, and the score of each.

    Args:
        train: the training split.
        validation: the validation split; what is chosen on test data flatters itself.
        observed: masks of the validation data, made as those of the test data will be.
        score: of an imputed split with the labels or targets, up is better, such as the mean
            log-probability that a network gives to the labels. The first of equals is chosen.
        names: of the candidates; all `IMPUTERS` by default, "iterative" where it is allowed.
        **kwargs: of `imputed`.

    Raises:
        ValueError: for unknown imputers, or if no score is a number.
    """
    if names is None:
        size = int(np.prod(train.shape))
        names = [name for name in IMPUTERS if name != "iterative" or size <= MOST_ITERATIVE]
    scores = {
        name: float(score(imputed(train, validation, observed, name, **kwargs))) for name in names
    }
    if not scores or any(np.isnan(value) for value in scores.values()):
        raise ValueError(
            f"No imputer can be chosen. Expected a score of at least one, and numbers. Received "
            f"{scores}."
        )
    return max(scores, key=scores.get), scores


def _imputer(name: str, size: int):
    # IterativeImputer has to be enabled, by this import.
    from sklearn.experimental import enable_iterative_imputer as _  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer

    if name != "iterative":
        return KNNImputer(n_neighbors=int(name.split("_")[1]))
    if size > MOST_ITERATIVE:
        raise ValueError(
            f"Iterative imputation would take hours. Expected at most {MOST_ITERATIVE} values per "
            f"example. Received {size}."
        )
    return IterativeImputer(max_iter=10, random_state=0)
