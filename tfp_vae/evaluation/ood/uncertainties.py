"""The scores of classifiers."""

import numpy as np

from tfp_vae.evaluation.ood.base import SCORES, ClassScore


@SCORES.register("predictive_entropy", "entropy of p(y|x), nats")
class PredictiveEntropy(ClassScore):
    """The entropy of the mean prediction, nats."""

    reported_as = "entropy"

    def __call__(self, predictive):
        """Returns the total uncertainty."""
        return predictive.total.numpy().astype(np.float64)


@SCORES.register("mutual_information", "of the class and the weights, nats")
class MutualInformation(ClassScore):
    """What is uncertain because the weights are, nats."""

    reported_as = "mutual_information"
    needs_draws = True

    def __call__(self, predictive):
        """Returns the epistemic uncertainty."""
        return predictive.epistemic.numpy().astype(np.float64)


@SCORES.register("one_minus_max_probability", "1 - the highest probability")
class OneMinusMaxProbability(ClassScore):
    """1 - max p(y|x), in [0, 1] (Hendrycks & Gimpel, 2017)."""

    reported_as = "max_probability"

    def __call__(self, predictive):
        """Returns 1 - the highest probability."""
        log_probs = predictive.log_probs.numpy().astype(np.float64)
        return -np.expm1(log_probs.max(axis=1))
