"""Noise taken away from images by a VAE and by filters, and how wide their strokes are."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count, check_number
from tfp_vae.distributions.base import tfd
from tfp_vae.evaluation import latent_space
from tfp_vae.models import VAE

_SIZES = (3, 5)  # of the windows of filters, of which the better one is chosen on other images
_FINER = 4  # points along a pixel that widths are measured at


def _each(values: np.ndarray, function: "Callable[[np.ndarray], np.ndarray]") -> np.ndarray:
    """Returns what a function makes of each channel [H, W] of images [N, H, W, C], in [0, 1]."""
    found = np.empty(values.shape, np.float32)
    for example in range(len(values)):
        for channel in range(values.shape[-1]):
            found[example, ..., channel] = function(values[example, ..., channel])
    return np.clip(found, 0, 1)


def median(values: np.ndarray, size: int = 3) -> np.ndarray:
    """Returns images [N, H, W, C] whose pixels are medians of windows of size x size."""
    from scipy import ndimage  # loaded when used

    return _each(values, lambda image: ndimage.median_filter(image, size))


def wiener(values: np.ndarray, noise: float, size: int = 3) -> np.ndarray:
    """Returns images [N, H, W, C] after Wiener's filter, which is told the noise.

    Lim, 1990, equation 9.26: each pixel is drawn to the mean of its window of size x size by the
    share that the noise has in the variance there.

    Args:
        values: in [0, 1].
        noise: deviation of the noise.
        size: of the window, odd.
    """
    from scipy import signal  # loaded when used

    power = check_number("noise", noise, above=0) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):  # a window of one value is its mean
        return _each(values, lambda image: signal.wiener(image.astype(np.float64), size, power))


def encoded(vae: VAE, values: np.ndarray) -> np.ndarray:
    """Returns E[x|z] at the centres of q(z|x), [N, ...]; the encoder has not been told of noise."""
    draw = vae.at_mean()
    return draw.likelihood(draw.centre(tf.constant(values))).mean().numpy()


def fitted(
    vae: VAE, values: np.ndarray, noise: float, steps: int = 200, rate: float = 0.05
) -> np.ndarray:
    """Returns E[x|z] at the z that explains noisy images best, [N, ...].

    z maximises log p(z) + log p(values|z), by Adam from the centre of q(z|x): the decoder knows
    what examples look like, and the noise level how far to believe the image. Of the values 0 and 1
    it is known that they were cut there (a censored normal around E[x|z]).

    Args:
        vae: with one latent that has a density, and no condition.
        values: noisy images [N, ...] in [0, 1].
        noise: deviation of their noise.
        steps: of Adam.
        rate: its learning rate.
    """
    noise = check_number("noise", noise, above=0)
    steps, draw = check_count("steps", steps), vae.at_mean()
    x, prior = tf.constant(values), draw.prior()
    z = keras.Variable(draw.centre(x))
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build([z])
    axes = tf.range(1, tf.rank(x))

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            mean = draw.likelihood(z.value).mean()
            around = tfd.Normal(tf.cast(mean, tf.float32), noise)
            inside = tf.where(x < 1, around.log_prob(x), around.log_survival_function(1.0))
            fit = tf.reduce_sum(tf.where(x > 0, inside, around.log_cdf(0.0)), axes)
            loss = -tf.reduce_sum(fit + tf.cast(prior.log_prob(z.value), tf.float32))
        optimizer.apply([tape.gradient(loss, z.value)], [z])

    for _ in range(steps):
        step()
    return draw.likelihood(z.value).mean().numpy()


def denoised(
    vae: VAE, known: np.ndarray, others: np.ndarray, noise: float, seed: int = 0
) -> "dict[str, np.ndarray]":
    """Returns noisy images and what each way makes of them, by name, [N, ...] each.

    "noisy", "median", "wiener", "encoded", and "fitted" of a VAE with one latent.

    Args:
        vae: without a condition.
        known: images [N, H, W, C] in [0, 1].
        others: images on which the windows of filters are chosen, so that none is chosen on the
            images that it is judged by.
        noise: deviation in (0, 1]; noisy images are cut to [0, 1].
        seed: of the noise.
    """
    noisy, tried = (latent_space.noisy(x, noise, seed + i) for i, x in enumerate((known, others)))
    ways: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
        "median": median,
        "wiener": lambda values, size: wiener(values, noise, size),
    }
    found = {"noisy": noisy}
    for name, way in ways.items():
        scores = [latent_space.psnr(way(tried, size), others).mean() for size in _SIZES]
        found[name] = way(noisy, _SIZES[int(np.argmax(scores))])
    found["encoded"] = encoded(vae, noisy)
    if len(vae.latents) == 1 and not vae.off_bound:
        found["fitted"] = fitted(vae, noisy, noise)
    return found


def stroke_width(values: np.ndarray) -> np.ndarray:
    """Returns how wide the strokes of images [N, H, W, 1] in [0, 1] are, in pixels, [N].

    Twice the distance to what is dark, on the middle of the strokes: where no neighbour is farther
    from it (as Castro et al., 2019, section 3.1, do on a skeleton). What is above 1/2 is stroke; an
    image without any has 0.
    """
    from scipy import ndimage  # loaded when used

    if np.ndim(values) != 4 or np.shape(values)[-1] != 1:
        raise ValueError(
            "Strokes are those of grey images. Expected shape (N, H, W, 1). Received "
            f"{np.shape(values)}."
        )
    found = np.zeros(len(values))
    for place, image in enumerate(values[..., 0]):
        fine = ndimage.zoom(
            np.pad(np.asarray(image, np.float64), 1),
            _FINER,
            order=1,
            grid_mode=True,
            mode="grid-constant",
        )
        distance = ndimage.distance_transform_edt(fine > 0.5)
        middle = (distance > 0) & (distance == ndimage.maximum_filter(distance, 3))
        if middle.any():
            found[place] = 2 * distance[middle].mean() / _FINER
    return found
