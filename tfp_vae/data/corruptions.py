"""Corrupted images: the same examples and labels, further and further from what was trained on.

Every corruption works on the grey intensities and gives values of the split's kind again: 8-bit
images stay on the grid k/255, dynamic ones are binarised after it. Ovadia et al., "Can you trust
your model's uncertainty?", NeurIPS 2019, measure predictions under rotation and translation so;
noise, blur and contrast follow Hendrycks & Dietterich, "Benchmarking neural network robustness",
ICLR 2019, section 3, with severities of our own that suit images of any size.
"""

import numpy as np

from tfp_vae import extras
from tfp_vae.arguments import check_choice, check_count, check_seed
from tfp_vae.data.kinds import Kind
from tfp_vae.data.splits import Split

# Severities by level; the first is none. Lengths are shares of the image's width, so that images of
# 8 and of 28 pixels are corrupted alike.
CORRUPTIONS: dict[str, tuple[float, ...]] = {
    "rotation": tuple(float(degrees) for degrees in range(0, 181, 15)),  # counter-clockwise
    "translation": (0.0, 1 / 8, 1 / 4, 3 / 8, 1 / 2),  # to the right, in at the other side
    "noise": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),  # standard deviation of the normal noise
    "blur": (0.0, 0.05, 0.08, 0.12, 0.16),  # standard deviation of the normal kernel
    "contrast": (0.0, 0.2, 0.4, 0.6, 0.8),  # share of the contrast that is lost
}
_ROWS_AND_COLUMNS = (1, 2)


def corrupted(split: Split, name: str, level: int, seed: int = 0) -> Split:
    """Returns the images of `split` under a corruption, with the same labels and kind, frozen.

    Args:
        split: images [N, H, W, C] of values in [0, 1]. Of a dynamic or threshold split the grey
            intensities are corrupted and then binarised. Binary images without grey ones (static)
            are corrupted as if 0 and 1 were intensities and drawn with the result as probability.
        name: one of `CORRUPTIONS`.
        level: place in `CORRUPTIONS[name]`; 0 is `split` itself.
        seed: of the noise and of the binarisation of static images; the rest has no chance in it.

    Raises:
        ValueError: for an unknown corruption or level, or a split that holds no such images.
    """
    severity = _severity(name, level)
    check_images(split, "be corrupted")
    if level == 0:
        return split.frozen()
    rng = np.random.default_rng([check_seed(seed), level])

    def change(stored: np.ndarray) -> np.ndarray:
        is_bytes = stored.dtype == np.uint8
        images = stored.astype(np.float32) / 255 if is_bytes else stored
        images = np.clip(_TRANSFORMS[name](images, severity, rng), 0.0, 1.0)
        if split.kind is Kind.STATIC:
            images = rng.random(images.shape, np.float32) < images
        return to_storage(images, is_bytes, split.kind)

    grey = split.unfrozen()
    if name == "noise" or split.kind is Kind.STATIC:
        grey = grey.in_memory()  # one stream of numbers for all of it
    return grey.mapped(change, f"{split.name}, {name} {severity:g}").frozen()


def to_storage(images: np.ndarray, is_bytes: bool, kind: Kind) -> np.ndarray:
    """Returns images [N, ...] in [0, 1] as a split of `kind` stores them: uint8 or float32."""
    if is_bytes:
        return np.round(images * np.float32(255)).astype(np.uint8)
    if kind is Kind.EIGHT_BIT:
        images = np.round(images * 255) / 255
    return images.astype(np.float32)


def check_images(split: Split, purpose: str) -> None:
    """Raises `ValueError` unless `split` holds images [N, H, W, C] of values in [0, 1]."""
    if len(split.shape) != 3 or split.kind is Kind.REAL:
        raise ValueError(
            f"The {split.name} split cannot {purpose}. Expected images (N, H, W, C) of values in "
            f"[0, 1]. Received examples of shape {split.shape} and kind '{split.kind}'."
        )


def _severity(name: str, level: int) -> float:
    levels = CORRUPTIONS[check_choice("corruption", name, CORRUPTIONS)]
    return levels[check_count(f"level of {name}", level, 0, len(levels) - 1)]


# Each takes images [N, H, W, C] in [0, 1] to the same shape.


def _rotation(images, degrees, rng):
    del rng
    ndimage = _ndimage()
    # Cubic splines, black outside. "grid-constant" goes on between the border and the outside;
    # "constant" would drop a border that rounding puts 1e-15 beyond the image.
    return ndimage.rotate(
        images, degrees, _ROWS_AND_COLUMNS, reshape=False, order=3, mode="grid-constant"
    )


def _ndimage():
    extras.need("images", "Corrupted images")
    from scipy import ndimage  # loaded when used

    return ndimage


def _translation(images, share, rng):
    del rng
    return np.roll(images, round(share * images.shape[2]), axis=2)


def _noise(images, scale, rng):
    return images + np.float32(scale) * rng.standard_normal(images.shape, np.float32)


def _blur(images, share, rng):
    del rng
    return _ndimage().gaussian_filter(
        images, share * images.shape[2], mode="nearest", axes=_ROWS_AND_COLUMNS
    )


def _contrast(images, lost, rng):
    del rng
    mean = images.mean(
        axis=(1, 2, 3), keepdims=True
    )  # towards which the values go: the range holds
    return mean + np.float32(1 - lost) * (images - mean)


_TRANSFORMS = {
    "rotation": _rotation,
    "translation": _translation,
    "noise": _noise,
    "blur": _blur,
    "contrast": _contrast,
}
