"""What stands beside the examples of a split, checked: labels, targets, factors, masks."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfp_vae.arguments import check_choice
from tfp_vae.data import kinds

UNLABELLED = -1  # the label of an example whose class is not known, as in scikit-learn
_MOST_LABEL = np.iinfo(np.int32).max  # batches of labels are int32


def class_numbers(labels: Any, name: str) -> np.ndarray:
    """Returns labels as int64; raises `ValueError` for what is no class and not `UNLABELLED`."""
    labels = np.asarray(labels)
    if labels.dtype.kind not in "biu":
        raise ValueError(
            f"The {name} labels are no class numbers. Expected integers. Received dtype "
            f"{labels.dtype}."
        )
    wrong = (labels < UNLABELLED) | (labels > _MOST_LABEL)
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"The {name} labels are no class numbers. Expected integers from 0 to {_MOST_LABEL}, "
            f"or {UNLABELLED} for none. "
            f"Received {labels[index]} at index {index}."
        )
    return labels.astype(np.int64)


def real_numbers(targets: Any, name: str, what: str = "target") -> np.ndarray:
    """Returns targets as float32; raises `ValueError` for what is no finite number there."""
    targets = np.asarray(targets)
    kinds.check_numbers(targets, f"The {name} {what}")
    kinds.check_finite(targets, f"The {name} {what} array")
    small = kinds.intensities(targets) if targets.dtype != np.uint8 else targets.astype(np.float32)
    if not np.isfinite(small).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(small))[0])
        raise ValueError(
            f"The {name} {what}s are too large. Expected numbers that float32 can hold; scale "
            f"them. Received {targets[index]} at index {index}."
        )
    return small


def masks(observed: Any, name: str) -> np.ndarray:
    """Returns which values are observed as bool; raises `ValueError` for what is no mask."""
    observed = np.asarray(observed)
    if observed.dtype != np.bool_:
        raise ValueError(
            f"The {name} split is not told which values are observed. Expected an array of bool, "
            f"True where a value is. Received dtype {observed.dtype}."
        )
    return observed


_CHECKED: "dict[str, Callable[[Any, str], np.ndarray]]" = {
    "labels": class_numbers,
    "targets": real_numbers,
    "factors": lambda factors, name: real_numbers(factors, name, "factor"),
    "observed": masks,
}


def beside(given: Mapping[str, Any], shape: tuple[int, ...], name: str) -> dict[str, np.ndarray]:
    """Returns what stands beside examples of `shape` [N, ...], without what is None.

    Args:
        given: some of "labels" [N], "targets" [N] or [N, T], "factors" [N, F] and "observed", bool
            of `shape`.
        shape: of the examples.
        name: of the split, for errors.

    Raises:
        ValueError: if one is unknown or does not fit the examples, or for labels and targets both.
    """
    given = {check_choice("array beside examples", k, _CHECKED): v for k, v in given.items()}
    given = {key: value for key, value in given.items() if value is not None}
    if "labels" in given and "targets" in given:
        raise ValueError(
            f"The {name} split has both labels and targets. Expected labels for classes or "
            f"targets for regression. Received labels of shape {np.shape(given['labels'])} and "
            f"targets of shape {np.shape(given['targets'])}."
        )
    found = {key: _CHECKED[key](value, name) for key, value in given.items()}
    count = shape[0]
    for key, value in found.items():
        fits, expected = {
            "labels": (value.shape == (count,), f"({count},)"),
            "targets": (value.ndim in (1, 2), f"({count},) or ({count}, T)"),
            "factors": (value.ndim == 2, f"({count}, F)"),
            "observed": (value.shape == shape, f"{shape}"),
        }[key]
        if not fits or len(value) != count or not value.size:
            what = {"observed": "masks of observed values"}.get(key, key)
            raise ValueError(
                f"The {name} {what} do not fit the examples. Expected shape {expected}. Received "
                f"shape {value.shape}."
            )
    return found
