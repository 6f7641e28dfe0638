"""A score of somebody else: bright images are out of distribution."""

import numpy as np

from tfp_vae.evaluation.ood.base import SCORES, DensityScore


@SCORES.register("toy_brightness", "mean of the values")
class Brightness(DensityScore):
    """The mean of the values of an example."""

    reported_as, compared = "toy_brightness", False

    def __call__(self, seen):
        """Returns the score, [N]."""
        values = np.asarray(seen.split.values(), np.float64)
        return values.reshape(len(values), -1).mean(axis=1)
