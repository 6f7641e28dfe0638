"""What is out of distribution: sets that fit a split in shape and kind and do not belong to it.

Flips and turns keep every statistic that does not depend on places; shuffled pixels keep the values
of an image alone; noise keeps none of the structure; a class held out is the nearest thing to the
data; another data set is what papers use most (Nalisnick et al., "Do deep generative models know
what they don't know?", ICLR 2019).
"""

from collections.abc import Sequence

import numpy as np

from tfp_vae.arguments import check_choice, check_seed
from tfp_vae.data.corruptions import check_images, to_storage
from tfp_vae.data.kinds import Kind
from tfp_vae.data.splits import Data, Split

# The place of a name is part of its random numbers: new ones come last.
OOD = (
    *("flip_horizontal", "flip_vertical", "rotation_90", "uniform_noise", "gaussian_noise"),
    "shuffled_pixels",
)


def ood(split: Split, name: str, seed: int = 0) -> Split:
    """Returns the out-of-distribution (OOD) set `name` for `split`, frozen.

    It has as many examples as `split`, its shape and its kind.

    Args:
        split: the examples that are in distribution, such as `data.test`.
        name: "flip_horizontal" (left and right change places), "flip_vertical", "rotation_90"
            (counter-clockwise) of square images, "shuffled_pixels" (all images in one random order
            of their pixels), which keep their labels; "uniform_noise" between the extremes of the
            kind (of `split`, for real values); "gaussian_noise" with mean and standard deviation of
            all values of `split`, cut off at the ends of the kind. Noise of binary kinds is
            binarised like the data, and noise has no labels.
        seed: of the noise, or of the order of pixels.

    Raises:
        ValueError: for an unknown name, or a split that cannot be flipped, turned or shuffled.
    """
    check_choice("OOD set", name, OOD)
    title = f"{split.name}, {name}"
    if name.endswith("noise"):
        return _noise(split, name, seed, title)
    if len(split.shape) != 3 or (name == "rotation_90" and split.shape[0] != split.shape[1]):
        raise ValueError(
            f"The {split.name} split has no {name}. Expected "
            f"{'square ' * (name == 'rotation_90')}images (N, H, W, C). Received examples of shape "
            f"{split.shape}."
        )

    def move(images):  # the same for each part of a stream: the numbers start anew
        return _MOVES[name](images, _generator(name, seed))

    # The binary images themselves are moved: not one pixel is drawn anew.
    return split.frozen().mapped(move, title)


def _shuffled(images, rng):
    """Returns all images in one order of their pixels."""
    pixels = images.reshape(len(images), -1, images.shape[-1])
    return pixels[:, rng.permutation(pixels.shape[1])].reshape(images.shape)


_MOVES = {
    "flip_horizontal": lambda images, _: images[:, :, ::-1],
    "flip_vertical": lambda images, _: images[:, ::-1],
    "rotation_90": lambda images, _: np.rot90(images, axes=(1, 2)),
    "shuffled_pixels": _shuffled,
}


def _generator(name: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([check_seed(seed), OOD.index(name)])


def _noise(split: Split, name: str, seed: int, title: str) -> Split:
    grey = split.unfrozen().intensities()
    rng = _generator(name, seed)
    low, high = (grey.min(), grey.max()) if split.kind is Kind.REAL else (0.0, 1.0)
    if name == "uniform_noise":
        values = low + (high - low) * rng.random(grey.shape, np.float32)
        if split.kind is Kind.EIGHT_BIT:  # rounding would halve the share of the two end levels
            values = np.floor(np.minimum(values * 256, 255)) / 255
    else:
        scale = grey.std(dtype=np.float64).astype(np.float32)
        values = grey.mean(dtype=np.float64).astype(np.float32)
        values = values + scale * rng.standard_normal(grey.shape, np.float32)
        if split.kind is not Kind.REAL:
            values = np.clip(values, low, high)
    if split.kind is Kind.STATIC:
        values = rng.random(grey.shape, np.float32) < values
    elif split.kind is Kind.EIGHT_BIT:
        values = to_storage(values, True, split.kind)
    return Split(values, split.kind, name=title).frozen()


def fitted(other: Split, like: Split, resize: bool = False) -> Split:
    """Returns `other`, of another data set, with the shape and the kind of `like`, frozen.

    Its grey intensities are binarised again for a dynamic or threshold kind and put on the grid
    k/255 for the 8-bit one. The labels, which are those of other classes, are left out.

    Args:
        other: such as the test split of "fashion_mnist".
        like: such as the test split of "mnist".
        resize: whether images of another size are resized (bilinear, with antialiasing).

    Raises:
        ValueError: if the shapes differ and `resize` is off or cannot help, or if the values cannot
            be of the kind.
    """
    other_grey = other.unfrozen()
    values = other_grey.intensities()
    if other.shape != like.shape:
        if not resize:
            raise ValueError(
                f"The {other.name} examples do not fit. Expected shape {like.shape}, as the "
                f"{like.name} split, or resize=True. Received shape {other.shape}."
            )
        for each in (other, like):
            check_images(each, "be resized or resized to")
        if other.shape[-1] != like.shape[-1]:
            raise ValueError(
                f"The {other.name} images do not fit. Expected {like.shape[-1]} channels, as the "
                f"{like.name} split. Received {other.shape[-1]}."
            )
        import tensorflow as tf  # which loading data does without

        resized = tf.image.resize(values, like.shape[:2], antialias=True).numpy()
        values = np.clip(resized, 0, 1)
    title = f"{other.name}, OOD"
    if like.kind is Kind.STATIC and other.kind in (Kind.DYNAMIC, Kind.THRESHOLD):
        values = Split(values, other.kind, name=title).values()
    elif like.kind is Kind.EIGHT_BIT and other.kind is not Kind.REAL:
        values = to_storage(values, True, like.kind)
    return Split(values, like.kind, name=title).frozen()


def hold_out(data: Data, classes: Sequence[int]) -> tuple[Data, Split]:
    """Returns `data` without some classes, and the test examples of these classes.

    Args:
        data: with labels.
        classes: what to leave out, class numbers of `data`.

    Returns:
        A `Data` whose three splits have none of them, with the remaining classes renumbered from 0
        in their order; and what the test split had of them, under the class numbers of `data`.

    Raises:
        ValueError: if there are no labels, if a class does not exist, if no class would be left, or
            if a split would be empty.
    """
    if data.num_classes is None or any(s.labels is None for s in (data.validation, data.test)):
        raise ValueError(
            f"No class of {data.name} can be held out. Expected labels in every split. Received "
            "a split without."
        )
    chosen = sorted({int(each) for each in classes})
    known = np.unique(np.concatenate([s.labels for s in (data.train, data.validation, data.test)]))
    known = known[known >= 0]
    kept = np.setdiff1d(known, chosen)
    if not chosen or not set(chosen) <= set(known.tolist()) or not kept.size:
        raise ValueError(
            f"These classes cannot be held out. Expected some, but not all, of {known.tolist()}. "
            f"Received {list(classes)}."
        )
    title = " and ".join(map(str, chosen))
    splits, names = {}, data.class_names
    names = None if names is None else tuple(names[label] for label in kept)
    for name in ("train", "validation", "test"):
        split = getattr(data, name)
        index = np.flatnonzero(~np.isin(split.labels, chosen))
        _check_some(index, f"{name} split without {title}")
        labels = split.labels[index]
        found = np.where(labels < 0, labels, np.searchsorted(kept, labels))
        splits[name] = split.select(index, split.name).relabelled(found, names)
    index = np.flatnonzero(np.isin(data.test.labels, chosen))
    _check_some(index, f"test split of {title} alone")
    outside = data.test.select(index, f"{data.test.name}, classes {title}")
    return Data(f"{data.name} without {title}", **splits), outside


def _check_some(index: np.ndarray, what: str) -> None:
    if not index.size:
        raise ValueError(
            f"The {what} would be empty. Expected at least one example. Received none."
        )
