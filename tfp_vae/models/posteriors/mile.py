"""MILE: microcanonical Langevin chains from the members of an ensemble (Sommer et al., 2025)."""

import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.data import Split
from tfp_vae.models.ensemble import Ensemble
from tfp_vae.models.posteriors.chains import EnsembleSampler, check_length, check_some_left
from tfp_vae.models.posteriors.microcanonical import walk
from tfp_vae.randomness import fold_in


class MILE(EnsembleSampler):
    """The posterior by microcanonical Langevin chains, one from each member of an ensemble.

    Sommer et al., "Microcanonical Langevin ensembles", ICLR 2025. Full gradients: for tables and
    small images. Step size and length of every chain are tuned in the warm-up.

    Args:
        ensemble: trained, see `EnsembleSampler`.
        num_samples: kept per chain, at least 4.
        num_burnin: steps of the warm-up; 5 per sample by default, at least 500.
        thinning: steps per sample.
        energy_variance: targets of the warm-up, see `microcanonical.walk`.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        num_samples: int = 200,
        num_burnin: int | None = None,
        thinning: int = 10,
        energy_variance: "tuple[float, float]" = (0.5, 0.02),
    ):
        super().__init__(ensemble)
        self.num_samples = check_length(num_samples, "mile")
        burnin = max(500, 5 * self.num_samples) if num_burnin is None else num_burnin
        self.num_burnin = check_count("num_burnin", burnin, 0)
        self.thinning = check_count("thinning", thinning)
        self.energy_variance = energy_variance

    def fit(self, split: Split, seed: int = 0) -> "MILE":
        """Runs the chains on all of `split` at once; those that diverge are left out and counted.

        Raises:
            FloatingPointError: if no chain is left.
        """
        split = self.network_model.as_split(split)
        x, y = tf.constant(split.values()), tf.constant(split.y)

        def log_prob(weights):  # [C, P] -> [C]
            return tf.vectorized_map(
                lambda w: self.log_joint(w, x, y), weights, fallback_to_while_loop=False
            )

        found = walk(
            log_prob,
            self.starts(),
            self.num_samples,
            self.num_burnin,
            fold_in(seed, 78),
            self.thinning,
            self.energy_variance,
        )
        check_some_left(found.diverged, "MILE")
        left = ~found.diverged
        facts = {
            "energy_error": float(found.energy_error[left].max()),
            "taken_back": float(found.taken_back[left].max()),
            "step_size": found.step_size[left].tolist(),
            "decoherence_length": found.length[left].tolist(),
            "chains": int(left.sum()),
            "diverged_chains": [int(i) for i in found.diverged.nonzero()[0]],
        }
        self.take(found.samples[:, left], split.values(), facts)
        return self
