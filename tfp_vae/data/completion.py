"""Images to complete: some quadrants are seen, the others are to be modelled given them."""

import numpy as np

from tfp_vae.arguments import check_choice
from tfp_vae.data.splits import Data, Split

QUADRANTS = (1, 2, 3)


def seen_quadrants(shape: tuple[int, ...], quadrants: int) -> np.ndarray:
    """Returns which pixels are seen, bool [H, W, channels].

    One quadrant: the lower left; two: the left half; three: all but the lower right. These are the
    ones of Sohn et al. (2015, sec. 5.1) in the code of Pyro's tutorial on it.

    Args:
        shape: of the images, (H, W, channels) with H and W of at least 2.
        quadrants: 1, 2 or 3.

    Raises:
        ValueError: for another number or another shape.
    """
    check_choice("number of quadrants", quadrants, QUADRANTS)
    if len(shape) != 3 or min(shape[:2]) < 2:
        raise ValueError(
            "Only images have quadrants. Expected examples of shape (H, W, channels), H and W at "
            f"least 2. Received shape {tuple(shape)}."
        )
    low, left = np.arange(shape[0]) >= shape[0] // 2, np.arange(shape[1]) < shape[1] // 2
    low, left = low[:, np.newaxis], left[np.newaxis, :]
    seen = {1: low & left, 2: left & np.ones_like(low), 3: low & left | ~low}[quadrants]
    return np.broadcast_to(seen[..., np.newaxis], shape).copy()


def completion(data: Data, quadrants: int) -> Data:
    """Returns the same images cut in two: the unseen pixels as examples, the seen as targets.

    Both are vectors, in the order of the pixels of the image; `seen_quadrants` says which pixel is
    where. The seen pixels are intensities, also where the unseen ones are binarised from theirs. A
    `ConditionalVAE` with `condition_dim` then is p(unseen | seen).

    Args:
        data: of images.
        quadrants: how many quadrants are seen, 1, 2 or 3.

    Raises:
        ValueError: for data that are not images, or are augmented, or another number of quadrants.
    """
    seen = seen_quadrants(data.shape, quadrants)
    if data.train.augment:
        raise ValueError(
            "Both parts of images in quadrants would have to move alike. Expected no augment. "
            f"Received {data.train.augment}."
        )

    def cut(split: Split) -> Split:
        unseen = split.mapped(lambda values: values[:, ~seen], split.name)
        return unseen.retargeted(split.unfrozen().intensities()[:, seen])

    name = f"{data.name}, {quadrants} of 4 quadrants seen"
    return Data(name, cut(data.train), cut(data.validation), cut(data.test))
