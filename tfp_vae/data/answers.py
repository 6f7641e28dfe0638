"""What stands beside the examples of a split, checked: labels or targets."""

import numpy as np

from tfp_vae.data import kinds

UNLABELLED = -1  # the label of an example whose class is not known, as in scikit-learn
_MOST_LABEL = np.iinfo(np.int32).max  # batches of labels are int32


def class_numbers(labels, name: str) -> np.ndarray:
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


def real_numbers(targets, name: str) -> np.ndarray:
    """Returns targets as float32; raises `ValueError` for what is no finite number there."""
    targets = np.asarray(targets)
    kinds.check_numbers(targets, f"The {name} target")
    kinds.check_finite(targets, f"The {name} target array")
    with np.errstate(over="ignore"):
        small = targets.astype(np.float32)
    if not np.isfinite(small).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(small))[0])
        raise ValueError(
            f"The {name} targets are too large. Expected numbers that float32 can hold; scale "
            f"them. Received {targets[index]} at index {index}."
        )
    return small
