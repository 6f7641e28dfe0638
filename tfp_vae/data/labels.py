"""Labels for some of the examples: what semi-supervised learning starts from."""

import numpy as np

from tfp_vae.arguments import check_seed
from tfp_vae.data.answers import UNLABELLED
from tfp_vae.data.splits import Split


def keep_labels(split: Split, count: int, seed: int = 0) -> Split:
    """Returns the same examples with `count` labels, as many of each class, the rest unknown.

    Raises:
        ValueError: if there are no labels or `count` is not in [K, N].
    """
    classes = [] if split.labels is None else np.unique(split.labels[split.labels >= 0])
    if not len(classes) or not len(classes) <= count <= len(split):
        raise ValueError(
            f"The {split.name} split cannot keep so many labels. Expected labels, and a count "
            f"from {len(classes)}, the number of classes, to {len(split)}. Received {count}."
        )
    rng = np.random.default_rng([check_seed(seed), 17])
    order = rng.permutation(len(split))
    # Turn by turn: the first of every class, then the second of every class, and so on.
    turn = np.empty(len(split), int)
    for label in classes:
        members = order[split.labels[order] == label]
        turn[members] = np.arange(len(members))
    turn[split.labels < 0] = len(split)
    kept = order[np.argsort(turn[order], kind="stable")][:count]
    labels = np.full(len(split), UNLABELLED)
    labels[kept] = split.labels[kept]
    return split.relabelled(labels)
