"""All methods against Hamiltonian Monte Carlo on problems small enough for it."""

from typing import NamedTuple

import keras
import numpy as np

from tfp_vae import methods
from tfp_vae.data import Split, toys
from tfp_vae.evaluation.divergence import total_variation
from tfp_vae.models import Predictive
from tfp_vae.models.posteriors.weights import WeightSamples

REFERENCE = "nuts"
# Beside the reference: all methods but one without a prior, which has no posterior to compare.
LEFT_OUT = ("ml", REFERENCE)
_NOISE = 0.15


class Comparison(NamedTuple):
    """What `compare` found.

    Attributes:
        train: the data.
        grid: inputs [n, D] of the predictives.
        predictives: {method: batch shape [n]}.
        metrics: JSON-ready.
    """

    train: Split
    grid: np.ndarray
    predictives: "dict[str, Predictive]"
    metrics: dict


def problem_data(problem: str, seed: int) -> "tuple[Split, np.ndarray]":
    """Returns the training data of "regression" or "two_moons" and the inputs to predict at."""
    if problem == "regression":
        return toys.gap(seed=seed), np.linspace(-4, 4, 161, dtype=np.float32)[:, np.newaxis]
    if problem == "two_moons":
        across = np.linspace(-3, 4, 50, dtype=np.float32)
        down = np.linspace(-2.5, 3, 50, dtype=np.float32)
        return toys.two_moons(seed=seed), np.stack(np.meshgrid(across, down), -1).reshape(-1, 2)
    raise ValueError(f"Unknown problem. Expected regression or two_moons. Received {problem!r}.")


def compare(
    problem: str, chosen, hidden: int, steps: int, chain: int, seed: int, progress=None
) -> Comparison:
    """Returns the predictive distributions of the chosen methods on one problem.

    Same network (one hidden layer, tanh), same prior N(0, 1), standardized inputs, and for the
    regression the true noise in the likelihood. The distance that the reference stands with is
    that of one half of its chains to the other, two runs: what chance makes of two that are right.

    Args:
        problem: "regression" or "two_moons".
        chosen: names in `methods.METHODS`, `REFERENCE` among them.
        hidden: width.
        steps: full-batch training steps, rounded down to hundreds if there are more.
        chain: samples of NUTS per chain.
        seed: fixes data, weights and noise.
        progress: called with (methods done, methods in all).
    """
    train, grid = problem_data(problem, seed)
    predictives, found = {}, {}
    for done, name in enumerate(chosen, 1):
        keras.utils.set_random_seed(seed)
        recipe = methods.Recipe(
            name,
            hidden=(hidden,),
            activation="tanh",
            scale=_NOISE,
            learned_prior=False,
            posterior_precision="prior",
            samples=1 if methods.METHODS[name].point_weights else 8,
            members=10,
            posterior_steps=chain,
        )
        member = methods.make_member(recipe, train.shape, _classes(train), seed=seed)
        model = recipe.weights.model(member, seed)
        at_once = min(100, steps)
        rate = keras.optimizers.schedules.CosineDecay(1e-2, steps // at_once * at_once)
        model.compile(
            optimizer=recipe.weights.optimizer(rate, len(train), seed),
            steps_per_execution=at_once,
            jit_compile=False,
        )
        model.fit(
            train,
            batch_size=len(train),
            steps_per_epoch=at_once,
            # Who only needs a place to start has it soon.
            epochs=max(1, steps // at_once) if recipe.weights.needs_optimum else 1,
            verbose=0,
        )
        predictor = methods.finish(recipe, model, train, seed)
        predictives[name] = predictor.predictive(grid, 400)
        if name == REFERENCE:
            found["reference"] = recipe.weights.summary(predictor)
            runs = [
                WeightSamples(predictor.network_model, np.concatenate(half)).predictive(grid, 400)
                for half in np.array_split(predictor.chains.samples, 2)
            ]
        if progress is not None:
            progress(done, len(chosen))
    reference = predictives[REFERENCE]
    pairs = {name: (p, reference) for name, p in predictives.items()}
    pairs[REFERENCE] = (runs[0], runs[1])
    found["methods"] = {
        name: {"total_variation": float(total_variation(*pair).mean())}
        for name, pair in pairs.items()
    }
    return Comparison(train, grid, predictives, found)


def _classes(train: Split) -> "int | None":
    return None if train.labels is None else int(train.labels.max()) + 1
