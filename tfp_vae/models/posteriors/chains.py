"""Markov chains over the weights: what they found, whether they agree, and predictions from them.

Mixing is measured on what is predicted: weights have symmetries, so that chains may disagree on
them and agree on every function.
"""

import warnings
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.models.ensemble import Ensemble
from tfp_vae.models.graphs import traced
from tfp_vae.models.posteriors.weights import WeightPosterior, WeightSamples, flat
from tfp_vae.probability import mcmc

FEWEST = 4  # samples per chain, of whose halves R-hat is made


class Chains(NamedTuple):
    """What a run of MCMC found.

    Attributes:
        samples: weights, [C, S, P].
        rhat: potential scale reduction of the predicted parameters, [n]; 1 is converged.
        effective_sample_size: of the predicted parameters, all chains together, [n].
        facts: what else the sampler has to say of itself, JSON-ready.
    """

    samples: np.ndarray
    rhat: np.ndarray
    effective_sample_size: np.ndarray
    facts: dict

    def summary(self) -> dict:
        """Returns the worst R-hat and effective sample size and the `facts`, JSON-ready.

        R-hat of a chain that stood still is not a number, and is None here.
        """

        def finite(value):
            return float(value) if np.isfinite(value) else None

        return {
            "rhat_max": finite(self.rhat.max()),
            "effective_sample_size_min": finite(self.effective_sample_size.min()),
            **self.facts,
        }


def check_length(num_samples: Any, name: str) -> int:
    """Returns so many samples per chain; raises `ValueError` if they are too few for R-hat."""
    if num_samples < FEWEST:
        raise ValueError(
            f"Too few samples for {name}: its chains would have no R-hat. Expected at least "
            f"{FEWEST} per chain. Received {num_samples}."
        )
    return check_count("num_samples", num_samples, FEWEST)


class Sampler(WeightPosterior):
    """A posterior whose draws are the states of chains; a subclass has `fit`.

    Attributes:
        chains: what `fit` found; None before.
        cure: what to try where the chains break down, in words.
    """

    cure: ClassVar[str] = "a model trained closer to its maximum is the likely cure"
    chains: "Chains | None" = None
    _samples: "WeightSamples | None" = None

    def take(self, draws: Any, x: Any, facts: dict) -> None:
        """Takes the states of the chains and measures how well they mix.

        Args:
            draws: weights, [S, C, P].
            x: training inputs, [N, ...], at a few of which predictions are compared.
            facts: see `Chains`.

        Raises:
            FloatingPointError: if the chains left the finite numbers or never moved.
        """
        self._forget()
        draws = np.asarray(draws, np.float32)
        length, count, _ = draws.shape
        samples = WeightSamples(self.network_model, draws.reshape(length * count, -1))
        few = x[:: max(1, len(x) // 20)][:20]
        predict = traced(self.parameters_of)
        predicted = predict(samples.samples, tf.constant(few)).numpy()
        predicted = predicted.reshape(length, count, -1)
        moved = np.ptp(predicted, axis=(0, 1)) > 0  # a fixed scale does not mix
        if not np.isfinite(predicted).all() or not moved.any():
            raise FloatingPointError(
                f"{type(self).__name__} broke down. Expected chains that move among finite "
                "predictions. Received "
                f"{'predictions that never change' if not moved.any() else 'NaN or infinity'}; "
                f"{self.cure}."
            )
        predicted = predicted[..., moved]
        rhat = np.ones(predicted.shape[-1])
        halves = length >= FEWEST
        if count > 1:
            rhat = mcmc.potential_scale_reduction(predicted, split_chains=halves).numpy()
        size = effective_sample_size(predicted)
        self._samples = samples
        self.chains = Chains(np.swapaxes(draws, 0, 1), rhat, size, facts)

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


class EnsembleSampler(Sampler):
    """Chains that start from the members of a trained ensemble, one from each.

    Args:
        ensemble: of `BayesianNetwork`s of ordinary layers with a `weight_prior`, all on the same
            data.

    Raises:
        ValueError: for anything else.
    """

    def __init__(self, ensemble: Ensemble):
        if not isinstance(ensemble, Ensemble) or ensemble.groups is not None:
            raise ValueError(
                f"{type(self).__name__} starts from the members of an ensemble. Expected a trained "
                f"Ensemble of one data set. Received {ensemble!r}."
            )
        super().__init__(ensemble.member(0))
        self.ensemble = ensemble

    def starts(self) -> np.ndarray:
        """Returns the weights of all members, [C, P], float32."""
        return flat([np.asarray(each) for each in self.ensemble.stacks if each.trainable])


def check_some_left(diverged: np.ndarray, name: str) -> None:
    """Raises `FloatingPointError` if no chain is left to predict from.

    Args:
        diverged: of each chain whether it left the numbers, [C].
        name: of the sampler.
    """
    if diverged.all():
        raise FloatingPointError(
            f"{name} broke down. Expected chains that stay among finite energies. Received "
            f"{len(diverged)} that diverged; a lower rate, or members trained closer to their "
            "maximum, is the likely cure."
        )


def effective_sample_size(draws: np.ndarray) -> np.ndarray:
    """Returns the effective sample size of all chains together, [S, C, n] -> [n]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TFP takes the real part of a transform by a cast
        cross = 1 if draws.shape[1] > 1 else None
        size = mcmc.effective_sample_size(draws, cross_chain_dims=cross).numpy()
    return size if cross else size.sum(axis=0)
