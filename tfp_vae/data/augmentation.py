"""Augmented images: of each training image a slightly moved one, another in every epoch.

For few examples, and for models that would else learn where a stroke is to the pixel. What is
learned then is the distribution of moved images, so bounds of training and of test data are no
longer of the same one.
"""

import math

import keras
import tensorflow as tf

from tfp_vae import randomness


def augmented(images: tf.Tensor, share: float, key: tf.Tensor) -> tf.Tensor:
    """Returns float images [B, H, W, C], each moved at random; outside is background, 0.

    Shift, zoom and turn are uniform: the shift up to `share` of height and width, the zoom from
    1 - share to 1 + share alike in both, the turn up to half `share` of a full one, about the
    middle. Values between pixels are interpolated linearly.

    Args:
        images: [B, H, W, C].
        share: at most how far, in [0, 1).
        key: stateless seed, integers [2].
    """
    height, width = images.shape[1:3]
    draws = share * (2.0 * randomness.uniform([4, tf.shape(images)[0]], key, axis=1) - 1.0)
    down, right, zoom, turn = tf.unstack(draws)
    # Where the value of pixel (x, y) comes from: the inverse of what is done to the image.
    cos, sin = (f(turn * math.pi) / (1.0 + zoom) for f in (tf.cos, tf.sin))
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    from_x = middle_x + right * width - cos * middle_x + sin * middle_y
    from_y = middle_y + down * height - sin * middle_x - cos * middle_y
    none = tf.zeros_like(cos)
    rows = tf.stack([cos, -sin, from_x, sin, cos, from_y, none, none], axis=1)
    return keras.ops.image.affine_transform(
        images, rows, "bilinear", "constant", data_format="channels_last"
    )
