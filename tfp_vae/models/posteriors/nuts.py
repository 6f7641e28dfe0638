"""Hamiltonian Monte Carlo over the weights of small networks: what the others are judged by."""

import warnings
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.data import Split
from tfp_vae.models.network import BayesianNetwork
from tfp_vae.models.posteriors.weights import WeightPosterior, WeightSamples
from tfp_vae.probability import mcmc
from tfp_vae.randomness import fold_in, normal


class Chains(NamedTuple):
    """What a run of MCMC found.

    Attributes:
        samples: weights, [C, S, P].
        rhat: potential scale reduction of the predicted parameters, [n]; 1 is converged. Weights
            themselves have symmetries, so that chains may disagree on them.
        effective_sample_size: of the predicted parameters, all chains together, [n].
        acceptance: mean acceptance probability.
        divergences: share of transitions whose energy error was above 1,000.
    """

    samples: np.ndarray
    rhat: np.ndarray
    effective_sample_size: np.ndarray
    acceptance: float
    divergences: float

    def summary(self) -> dict:
        """Returns the worst R-hat and effective sample size and the rates, JSON-ready.

        R-hat of a chain that stood still is not a number, and is None here.
        """

        def finite(value):
            return float(value) if np.isfinite(value) else None

        return {
            "rhat_max": finite(self.rhat.max()),
            "effective_sample_size_min": finite(self.effective_sample_size.min()),
            "acceptance": self.acceptance,
            "divergences": self.divergences,
        }


class NUTS(WeightPosterior):
    """The posterior by the No-U-Turn sampler of `tfp.mcmc` (Hoffman & Gelman, 2014).

    Full batches, all chains in one vectorised program, step size by dual averaging.

    Args:
        model: a `BayesianNetwork` of ordinary layers with a `weight_prior`; the chains start
            around the weights that it has.
        num_chains: C.
        num_samples: kept per chain, at least 2.
        num_burnin: steps of adaptation, thrown away.
        max_tree_depth: at most 2^depth - 1 leapfrog steps per sample.
    """

    def __init__(
        self,
        model: BayesianNetwork,
        num_chains: int = 4,
        num_samples: int = 500,
        num_burnin: int = 500,
        max_tree_depth: int = 7,
    ):
        super().__init__(model)
        self.num_chains = check_count("num_chains", num_chains)
        # A chain of one sample has no variance, which R-hat is made of.
        self.num_samples = check_count("num_samples", num_samples, 2)
        self.num_burnin, self.max_tree_depth = num_burnin, max_tree_depth
        self.chains: Chains | None = None
        self._samples: WeightSamples | None = None

    def fit(self, split: Split, seed: int = 0) -> "NUTS":
        """Runs the chains on all of `split` at once.

        Raises:
            FloatingPointError: if the chains left the finite numbers or never moved.
        """
        split = self.network_model.as_split(split)
        self._forget()
        x, y = tf.constant(split.values()), tf.constant(split.y)
        key = fold_in(seed, 77)
        start = self.point() + 0.1 * normal([self.num_chains, self.num_weights], fold_in(key, 0))

        def log_prob(weights):  # [C, P] -> [C]
            return tf.vectorized_map(
                lambda w: self.log_joint(w, x, y), weights, fallback_to_while_loop=False
            )

        @tf.function(autograph=False)
        def run(start):
            kernel = mcmc.NoUTurnSampler(
                log_prob, step_size=0.01, max_tree_depth=self.max_tree_depth
            )
            kernel = mcmc.DualAveragingStepSizeAdaptation(
                kernel, num_adaptation_steps=int(0.8 * self.num_burnin), target_accept_prob=0.8
            )
            return mcmc.sample_chain(
                self.num_samples,
                start,
                num_burnin_steps=self.num_burnin,
                kernel=kernel,
                trace_fn=lambda _, results: (
                    results.inner_results.log_accept_ratio,
                    results.inner_results.has_divergence,
                ),
                seed=fold_in(key, 1),
            )

        draws, (log_accept, diverged) = run(start)  # [S, C, P]
        flat = tf.reshape(draws, [-1, self.num_weights])
        self._samples = WeightSamples(self.network_model, flat)
        # Mixing is measured on what is predicted, at a few of the training inputs.
        few = x[:: max(1, len(split) // 20)][:20]
        predict = tf.function(self.parameters_of, autograph=False)
        predicted = predict(self._samples.samples, few).numpy()
        predicted = predicted.reshape(self.num_samples, self.num_chains, -1)
        moved = np.ptp(predicted, axis=(0, 1)) > 0  # a fixed scale does not mix
        if not np.isfinite(predicted).all() or not moved.any():
            raise FloatingPointError(
                "NUTS broke down. Expected chains that move among finite predictions. Received "
                f"{'predictions that never change' if not moved.any() else 'NaN or infinity'}; a "
                "model trained closer to its maximum is the likely cure."
            )
        predicted = predicted[..., moved]
        rhat = np.ones(predicted.shape[-1])
        if self.num_chains > 1:
            halves = self.num_samples >= 4
            rhat = mcmc.potential_scale_reduction(predicted, split_chains=halves).numpy()
        size = _effective_sample_size(predicted)
        self.chains = Chains(
            np.swapaxes(draws.numpy(), 0, 1),
            rhat,
            size,
            float(np.mean(np.minimum(np.exp(log_accept), 1.0))),
            float(np.mean(diverged)),
        )
        return self

    def draw_parameters(self, x: tf.Tensor, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns parameters of the likelihood under the samples, [S, B, Q]."""
        return self._known().draw_parameters(x, num_samples, key)

    def frozen_draws(self, num_samples: int, key: tf.Tensor) -> list[tf.Tensor]:
        """Returns the samples that `draw_parameters` predicts from, [P] each."""
        return self._known().frozen_draws(num_samples, key)

    def draw(self, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns `num_samples` of the samples, evenly spaced over all chains."""
        return self._known().draw(num_samples, key)

    def _known(self) -> WeightSamples:
        if self._samples is None:
            raise ValueError(
                "There are no samples yet. Expected fit(training split) before. Received no call "
                "of fit."
            )
        return self._samples


def _effective_sample_size(draws: np.ndarray) -> np.ndarray:
    """Returns the effective sample size of all chains together, [S, C, n] -> [n]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TFP takes the real part of a transform by a cast
        cross = 1 if draws.shape[1] > 1 else None
        size = mcmc.effective_sample_size(draws, cross_chain_dims=cross).numpy()
    return size if cross else size.sum(axis=0)
