"""Cyclical stochastic-gradient MCMC from the members of an ensemble (Zhang et al., ICLR 2020)."""

import math
from collections.abc import Sequence

import keras
import numpy as np

from tfp_vae.arguments import check_count, check_number
from tfp_vae.data import Split
from tfp_vae.models.ensemble import Ensemble
from tfp_vae.models.posteriors.chains import EnsembleSampler, check_length, check_some_left
from tfp_vae.models.posteriors.weights import copied, flat
from tfp_vae.objectives import ELBO
from tfp_vae.optimizers import CyclicalLangevin

SAMPLING = 0.2  # share of a cycle that is sampled from


class SGMCMC(EnsembleSampler):
    """The posterior by chains on gradients of batches, at temperature 1, one from each member.

    The rate falls in cycles; in the last fifth of each there is noise and every epoch gives a
    sample. Nothing is rejected, so that the rate and the noise of the batches bias the chains:
    `energy_error` says by how much their kinetic energy is off, relative to temperature 1.

    Args:
        ensemble: trained, see `EnsembleSampler`.
        num_samples: per chain, at least 4; rounded up to the same number in every cycle.
        cycles: M.
        learning_rate: at the start of a cycle, of the loss in nats per example.
    """

    cure = "a lower rate is the likely cure"

    def __init__(
        self,
        ensemble: Ensemble,
        num_samples: int = 200,
        cycles: int = 4,
        learning_rate: float = 0.01,
    ):
        super().__init__(ensemble)
        self.cycles = check_count("cycles", cycles)
        self.per_cycle = math.ceil(check_length(num_samples, "sgmcmc") / self.cycles)
        self.num_samples = self.per_cycle * self.cycles
        self.learning_rate = check_number("learning_rate", learning_rate, above=0)

    def fit(
        self,
        split: Split,
        seed: int = 0,
        batch_size: int = 32,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> "SGMCMC":
        """Runs the chains side by side; those that diverge are left out and counted.

        Args:
            split: the training data.
            seed: fixes the noise.
            batch_size: examples per step.
            callbacks: of Keras.

        Raises:
            FloatingPointError: if no chain is left.
        """
        split = self.network_model.as_split(split)
        epochs = math.ceil(self.per_cycle / SAMPLING)
        size = min(batch_size, len(split))
        steps = split.num_batches(size)
        optimizer = CyclicalLangevin(
            len(split),
            self.learning_rate,
            cycle=epochs * steps,
            sampling=self.per_cycle * steps,
            seed=seed,
        )
        chains = copied(self.ensemble, split)
        chains.objective = ELBO()  # whatever weight the KL had in the training before
        chains.compile(optimizer=optimizer, steps_per_execution=steps, jit_compile=False)
        draws, energies, rates = [], [], []

        def collect(epoch, logs):
            if epoch % epochs >= epochs - self.per_cycle:
                draws.append(flat([np.asarray(v) for v in chains.trainable_variables]))
                speeds = flat([np.asarray(v) for v in optimizer.velocities])
                rates.append(self.learning_rate * float(optimizer.share(optimizer.iterations - 1)))
                energies.append(np.square(speeds, dtype=np.float64).mean(1) * len(split))

        watch = keras.callbacks.LambdaCallback(on_epoch_end=collect)
        chains.fit(
            split,
            batch_size=size,
            epochs=epochs * self.cycles,
            verbose=0,
            callbacks=[watch, *callbacks],
        )
        found = np.stack(draws)  # [S, C, P]
        diverged = ~np.isfinite(found).all(axis=(0, 2))
        check_some_left(diverged, "SGMCMC")
        # Of sums: where the rate is all but 0 at the end of a cycle, speeds are those of before.
        temperature = np.sum(energies, axis=0)[~diverged] / np.sum(rates)
        facts = {
            "energy_error": float(np.abs(temperature - 1).max()),
            "kinetic_temperature": temperature.tolist(),
            "chains": int((~diverged).sum()),
            "diverged_chains": [int(i) for i in diverged.nonzero()[0]],
        }
        self.take(found[:, ~diverged], split.values(), facts)
        return self
