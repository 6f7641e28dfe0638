"""The test bound of a VAE against the training examples seen, for several latent sizes.

The figure of Kingma & Welling (2014, figure 2). All numbers are nats per example.
"""

import dataclasses
import time
from collections.abc import Callable

import keras

from tfp_vae import evaluation, plots, report, training
from tfp_vae.data import Data
from tfp_vae.models import VAE


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is trained and how.

    Attributes:
        data: trained and tested on.
        sizes: latent sizes D, a model each.
        build: (data, D) -> a compiled VAE.
        batch_size: of training.
        epochs: of training.
        seed: of initial weights and noise, the same for every size.
    """

    data: Data
    sizes: "tuple[int, ...]"
    build: "Callable[[Data, int], VAE]"
    batch_size: int
    epochs: int
    seed: int = 0


def learn(plan: Plan, size: int) -> dict:
    """Trains one model and returns its curve and its test ELBO."""
    keras.utils.set_random_seed(plan.seed)
    vae, data = plan.build(plan.data, size), plan.data
    started = time.monotonic()
    history = vae.fit(
        data.train,
        batch_size=plan.batch_size,
        validation_data=data.test,
        epochs=plan.epochs,
        callbacks=[training.ShowProgress()],
        verbose=0,
    )
    return {
        "train_seconds": time.monotonic() - started,
        "examples_seen": [(epoch + 1) * len(data.train) for epoch in history.epoch],
        "test_elbo_curve": history.history["val_elbo"],
        "active_units": evaluation.active_units(vae, data.test),
        **{f"test_{k}": v for k, v in evaluation.elbo(vae, data.test, verbose=True).items()},
    }


def run(plan: Plan, folder: report.RunFolder, source: dict) -> "dict[str, dict]":
    """Trains a model per size and writes what is known after each, so that none is lost.

    Args:
        plan: what to train.
        folder: made; gets `metrics.json`.
        source: what the metrics say of where the data come from.

    Returns:
        {size: what `learn` found}.
    """
    results: dict[str, dict] = {}
    metrics = {
        **source,
        "kind": plan.data.kind,
        "digests": plan.data.digests,
        "seed": plan.seed,
        "latent_dims": results,
        "versions": report.versions(),
    }
    for size in plan.sizes:
        print(f"latent size {size}", flush=True)
        results[str(size)] = learn(plan, size)
        folder.write_json("metrics.json", metrics)
    return results


def write(plan: Plan, folder: report.RunFolder, results: "dict[str, dict]") -> str:
    """Draws `latent_sizes.png` into the run folder and returns the test bounds as a table."""
    names = {size: f"{size} latents" for size in results}
    curves = {
        names[size]: (result["examples_seen"], result["test_elbo_curve"])
        for size, result in results.items()
    }
    title = f"{plan.data.name} ({plan.data.kind})"
    folder.write_figure("latent_sizes.png", plots.bound_against_examples(curves, title))
    rows = {names[size]: result["test_elbo"] for size, result in results.items()}
    errors = {f"{names[size]}_se": result["test_elbo_se"] for size, result in results.items()}
    return report.summary(rows | errors)
