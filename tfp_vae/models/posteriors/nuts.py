"""Hamiltonian Monte Carlo over the weights of small networks: what the others are judged by."""

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.data import Split
from tfp_vae.models.graphs import traced
from tfp_vae.models.network import BayesianNetwork
from tfp_vae.models.posteriors.chains import Sampler
from tfp_vae.probability import mcmc
from tfp_vae.randomness import fold_in, normal

MOST_WEIGHTS = 50_000  # chains of full gradients through more take hours


def check_size(num_weights: int, name: str) -> None:
    """Raises `ValueError` if a network has too many weights for these chains."""
    if num_weights > MOST_WEIGHTS:
        raise ValueError(
            f"The network is too large for {name}. Expected at most {MOST_WEIGHTS:,} weights, or "
            f"another method. Received {num_weights:,}."
        )


class NUTS(Sampler):
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

    def fit(self, split: Split, seed: int = 0) -> "NUTS":
        """Runs the chains on all of `split` at once.

        Raises:
            FloatingPointError: if the chains left the finite numbers or never moved.
        """
        split = self.network_model.as_split(split)
        x, y = tf.constant(split.values()), tf.constant(split.y)
        key = fold_in(seed, 77)
        start = self.point() + 0.1 * normal([self.num_chains, self.num_weights], fold_in(key, 0))

        def log_prob(weights):  # [C, P] -> [C]
            return tf.vectorized_map(
                lambda w: self.log_joint(w, x, y), weights, fallback_to_while_loop=False
            )

        @traced
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
        facts = {
            "acceptance": float(np.mean(np.minimum(np.exp(log_accept), 1.0))),
            "divergences": float(np.mean(diverged)),
        }
        self.take(draws.numpy(), split.values(), facts)
        return self
