"""Images side by side, with gaps that are told from every grey."""

import math

import numpy as np

GAP = (0.40, 0.60, 0.85)  # a blue: no grey of an image ends in it unseen


def tile(images: np.ndarray, columns: int, gap: int = 1) -> np.ndarray:
    """Returns images side by side as one image in colours, in rows of `columns`.

    Args:
        images: [n, H, W, C] in [0, 1]: grey with one channel, colours with three (or four, whose
            last is left out); of any other number of channels the mean is drawn as grey. Pixels
            that are NaN are drawn as the gaps, as are empty places of the last row.
        columns: images per row.
        gap: pixels between images and around them.

    Returns:
        [rows * (H + gap) + gap, columns * (W + gap) + gap, 3].
    """
    images = np.asarray(images)
    if images.shape[-1] not in (1, 3, 4):
        images = images.mean(axis=-1, keepdims=True)
    images = images[..., :3]
    count, height, width, _ = images.shape
    rows = math.ceil(count / columns)
    sheet = np.empty((rows * (height + gap) + gap, columns * (width + gap) + gap, 3))
    sheet[:] = GAP
    for i, image in enumerate(images):
        top = gap + (i // columns) * (height + gap)
        left = gap + (i % columns) * (width + gap)
        seen = np.where(np.isnan(image), GAP, image)  # one channel becomes three
        sheet[top : top + height, left : left + width] = seen
    return np.clip(sheet, 0, 1)
