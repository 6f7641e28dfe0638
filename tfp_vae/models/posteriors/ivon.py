"""The posterior that the optimizer IVON has in its state, as a predictor with its bound."""

import math

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.data import Split
from tfp_vae.models.graphs import traced
from tfp_vae.models.network import BayesianNetwork
from tfp_vae.models.posteriors.weights import WeightPosterior
from tfp_vae.optimizers import IVON
from tfp_vae.randomness import fold_in, normal


class IVONPosterior(WeightPosterior):
    """N(mean, scale^2) of every weight, as `optimizers.IVON` left it.

    Args:
        model: a `BayesianNetwork` of ordinary layers without a `weight_prior`, trained by IVON,
            which has the prior in itself.

    Attributes:
        mean: [P].
        scale: [P].
        prior_scale: of every weight, those of the likelihood too.
        temperature: N / effective sample size; below 1 the posterior is a tempered one.

    Raises:
        ValueError: for a model with a prior of its own, or trained by another optimizer.
    """

    needs_prior = False

    def __init__(self, model: BayesianNetwork):
        super().__init__(model)
        if model.weight_prior is not None:
            raise ValueError(
                "The prior would count twice: IVON has it. Expected weight_prior=None and the "
                f"prior_scale of IVON. Received {type(model.weight_prior).__name__}."
            )
        optimizer = getattr(model, "optimizer", None)
        if not isinstance(optimizer, IVON) or not optimizer.built:
            raise ValueError(
                "There is no posterior of this training. Expected a model trained by "
                f"tfp_vae.optimizers.IVON. Received {type(optimizer).__name__}."
            )
        parts = optimizer.posterior(self.variables)
        self.mean, self.scale = (
            tf.concat([tf.reshape(part, [-1]) for part in each], axis=0)
            for each in zip(*parts, strict=True)
        )
        self.prior_scale = optimizer.prior_scale
        self.temperature = model.num_data / optimizer.effective_sample_size
        self.bound: dict[str, float] = {}

    def draw(self, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns draws of the weights, [S, P]."""
        return self.mean + self.scale * normal([num_samples, self.num_weights], key)

    def kl_divergence(self) -> float:
        """Returns KL(q(w) || N(0, prior_scale^2)) in nats, summed over all weights."""
        mean, scale = np.float64(self.mean), np.float64(self.scale) / self.prior_scale
        each = (mean / self.prior_scale) ** 2 + scale**2 - 1 - 2 * np.log(scale)
        return float(each.sum() / 2)

    def elbo(self, split: Split, num_samples: int = 32, seed: int = 0) -> float:
        """Returns E_q[log p(y|x, w)] - KL / N in nats per example, at temperature 1.

        Args:
            split: the training data, N examples.
            num_samples: draws of all weights that stand for the expectation.
            seed: of the draws.
        """
        split = self.network_model.as_split(split)
        num_samples = check_count("num_samples", num_samples)
        key, model = fold_in(seed, 79), self.network_model

        @traced
        def total(x, y):
            likelihood = model.distribution(self.draw_parameters(x, num_samples, key))
            return tf.reduce_sum(likelihood.log_prob(tf.cast(y, likelihood.dtype)))

        size = min(1000, len(split))
        batches = [np.arange(i, min(i + size, len(split))) for i in range(0, len(split), size)]
        each = [
            float(total(tf.constant(split.values(i)), tf.constant(split.y[i]))) for i in batches
        ]
        return (math.fsum(each) / num_samples - self.kl_divergence()) / len(split)

    def fit(self, split: Split, seed: int = 0) -> "IVONPosterior":
        """Measures the bound on the training data, for `summary`; the posterior is there."""
        self.bound = {"posterior_elbo": self.elbo(split, seed=seed)}
        return self

    def summary(self) -> dict:
        """Returns the ELBO at temperature 1, the KL in nats and the temperature, JSON-ready."""
        kl = self.kl_divergence()
        return {**self.bound, "posterior_kl": kl, "posterior_temperature": self.temperature}
