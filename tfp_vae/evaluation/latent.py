"""What the latents of a model do."""

import numpy as np
import tensorflow as tf

from tfp_vae.data import Split
from tfp_vae.layers.noise import MEAN
from tfp_vae.models import VAE
from tfp_vae.models.memory import in_batches
from tfp_vae.models.metrics import ACTIVE_UNIT_THRESHOLD
from tfp_vae.randomness import fold_in


def posterior_means(model: VAE, split: Split, batch_size: int = 1000) -> np.ndarray:
    """Returns the centre of q(z|x) of every example, [N, D]; of a conditional model of q(z|x, c).

    The mean, or where a flow carries the centre of its base. Bayesian weights are at their means.
    """
    split, given = split.frozen(), model.given_of(split)

    def run(_, index):
        condition = None if given is None else given[index]
        return model.encode(split.values(index), condition).numpy()

    return np.concatenate([part[:size] for part, size in in_batches(split, batch_size, run)])


def level_kls(model: VAE, split: Split, batch_size: int = 1000) -> "dict[str, float]":
    """Returns the mean KL of each of several latents at a draw, nats: {"kl_z1": ...}; {} of one.

    They sum to the KL of the ELBO; a level whose KL is about 0 is not used.
    """
    if len(model.latents) == 1:
        return {}
    split, given = split.frozen(), model.given_of(split)

    def run(start, index):
        x = tf.constant(split.values(index))
        condition = None if given is None else given[index]
        key = fold_in(model.caller_key(0), start)
        latents = model.at(key, MEAN).infer(x, 1, condition)
        return np.stack([tf.reduce_mean(latent.kl(), axis=0) for latent in latents], axis=1)

    found = [part[:size] for part, size in in_batches(split, batch_size, run)]
    means = np.concatenate(found).mean(axis=0)
    return {f"kl_{each.name}": float(kl) for each, kl in zip(model.latents, means, strict=True)}


def active_units(model: VAE, split: Split) -> int:
    """Returns the number of latent dimensions with Var_x(E_q(z|x)[z_d]) > 0.01.

    Burda, Grosse & Salakhutdinov, 2016, section 5.2. Of a conditional model q(z|x, c) what moves
    with c alone says nothing of x: the variance is that within a class, or around the best linear
    function of a vector.
    """
    means = posterior_means(model, split).astype(np.float64)
    given = model.given_of(split.frozen())
    condition = None if given is None else model.condition.encode(given).numpy()
    design = condition_columns(condition, len(means), model.num_classes)
    explained = design @ np.linalg.lstsq(design, means, rcond=None)[0]
    return int((np.mean((means - explained) ** 2, axis=0) > ACTIVE_UNIT_THRESHOLD).sum())


def condition_columns(condition, count: int, num_classes: "int | None") -> np.ndarray:
    """Returns what may explain a latent without x: a constant, and a condition, float64 [N, C]."""
    ones = np.ones((count, 1))
    if condition is None:
        return ones
    condition = np.asarray(condition, np.float64)
    return condition if num_classes is not None else np.concatenate([ones, condition], axis=1)
