"""A prior fitted after training: to draws of q(z|x), by maximum likelihood, in seconds.

    new = vae.with_prior("mixture", data.train)
    new.prior_gain(vae, data.test).mean()       # nats of the ELBO, exactly

Encoder and decoder stay as they are, so that E_q[log p_new(z) - log p_old(z)] is all that changes
of the bound (Ghosh et al., "From variational to deterministic autoencoders", ICLR 2020, who fit to
means: a prior of means knows nothing of the width of q, and costs hundreds of nats).
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count, check_type
from tfp_vae.data import Split
from tfp_vae.distributions import draws
from tfp_vae.distributions.priors import PRIORS, Prior
from tfp_vae.distributions.priors.mixture import Mixture
from tfp_vae.models.latents import LatentVariable
from tfp_vae.randomness import fold_in

AGGREGATED = "aggregated"
FITTED = ("mixture", "flow", "aggregated")
_DRAWS = 20_000  # of all examples together, where these are fewer
_BATCH = 500


def fitted_prior(
    vae: Any,
    prior: "Prior | str",
    split: Split,
    components: int,
    num_samples: "int | None",
    seed: int,
    key: tf.Tensor,
) -> Prior:
    """Returns the prior, fitted to the top latent of a model; see `VAE.with_prior`."""
    chosen = untrained(vae, prior, split, components)
    if chosen is None:
        return _aggregated(vae, split, key)
    count = draws_per_example(vae, split) if num_samples is None else num_samples
    chosen.fit(posterior_draws(vae, split, check_count("num_samples", count), key), seed)
    return chosen


def draws_per_example(vae: Any, split: Split) -> int:
    """Returns how many draws of each example a prior is fitted to, if nobody says it."""
    # Copies of a point would stand in what is fitted and in what is kept back.
    return 1 if vae.encoders[0].draws_once else max(1, _DRAWS // len(split))


def untrained(vae: Any, prior: "Prior | str", split: Split, components: int) -> "Prior | None":
    """Returns the prior before it is fitted, None for the aggregated posterior.

    Raises:
        ValueError: if it does not fit the model or the data, see `VAE.with_prior`.
    """
    latent = vae.latents[0]
    if latent.encoder.uses_prior:
        raise ValueError(
            "Another prior would change q(z|x), which it is fitted to. Expected a posterior that "
            f"is not made with its prior. Received {type(latent.encoder).__name__}."
        )
    vae.given_of(split)  # which says which classes are not known
    if vae.condition and not vae.decoder_sees_condition:
        raise ValueError(
            "The condition acts through p(z|c) alone, and would be lost. Expected a model whose "
            f"decoder sees it. Received {type(latent.prior).__name__}."
        )
    if prior == AGGREGATED:
        _parts_of(vae, vae.at_mean().posterior(*_first(vae, split)))
        return None
    if isinstance(prior, str):
        kind = PRIORS[prior]
        options = {"components": components} if kind.has_components else {}
        chosen = kind(latent.latent_dim, **options)
    else:
        chosen = check_type("prior", prior, Prior, "with_prior")
    LatentVariable(latent.name, chosen, latent.encoder)  # which says what does not fit
    chosen.meet(latent.encoder)
    return chosen


def _first(vae, split):
    _, x, given = next(_batches(vae, split.take(1)))
    return x, given


def _parts_of(vae, q):
    """Returns loc and scale of normals with independent latents, [B, D] each."""
    entry = draws.normal_of(q)
    if entry is None or entry.scale(q).shape.rank != entry.loc(q).shape.rank:
        raise ValueError(
            "The mixture of all q(z|x) is made of normals with independent latents. Expected "
            f"such a posterior, or another prior. Received {type(vae.encoders[0]).__name__}."
        )
    return np.asarray(entry.loc(q)), np.asarray(entry.scale(q))


def _batches(vae, split):
    given = vae.given_of(split)
    for start in range(0, len(split), _BATCH):
        index = np.arange(start, min(start + _BATCH, len(split)))
        x = tf.constant(split.values(index))
        yield start, x, None if given is None else tf.constant(given[index])


def posterior_draws(vae: Any, split: Split, count: int, key: tf.Tensor) -> np.ndarray:
    """Returns draws of q of the top latent, [S N, D].

    Args:
        vae: the model.
        split: N examples.
        count: S.
        key: of the draws, int32 [2].
    """
    parts = []
    for start, x, given in _batches(vae, split):
        here = fold_in(key, start)
        q = vae.at(here).posterior(x, given)
        parts.append(np.asarray(draws.sample(q, [count], here)))
    return np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts])


def _aggregated(vae, split, key):
    """Returns the mixture of q(z|x) of all examples (the prior that is best for these)."""
    locs, scales = [], []
    for _, x, given in _batches(vae, split):
        loc, scale = _parts_of(vae, vae.at_mean().posterior(x, given))
        locs.append(loc)
        scales.append(scale)
    prior = Mixture(vae.latents[0].latent_dim, len(split))
    prior()
    prior.assign(np.full(len(split), 1 / len(split)), np.concatenate(locs), np.concatenate(scales))
    return prior


def replaced(vae: Any, prior: Prior) -> Any:
    """Returns a copy of a model with another prior of its top latent, and all else as it is."""
    top, *others = vae.latents
    latents = [LatentVariable(top.name, prior, top.encoder), *others]
    config = {**vae.get_config(), "latents": keras.saving.serialize_keras_object(latents)}
    for part in ("prior", "encoder"):  # in the place of `latents` where there is one
        config.pop(part, None)
    new = type(vae).from_config(config)
    for one, other in zip(_kept(new), _kept(vae), strict=True):
        one.assign(other)
    new.priors[0].set_weights(prior.get_weights())
    return new


def _kept(vae):
    top = {id(weight) for weight in vae.priors[0].weights}
    return [weight for weight in vae.weights if id(weight) not in top]


def gain(new: Any, old: Any, split: Split, num_samples: int, key: tf.Tensor) -> np.ndarray:
    """Returns E_q[log p_new(z) - log p_old(z)] of each example; see `VAE.prior_gain`."""
    found = []
    for start, x, given in _batches(new, split):
        here = fold_in(key, start)
        z = draws.sample(new.at(here).posterior(x, given), [num_samples], here)
        one, other = (draws.log_prob(model.at(here).prior(given), z) for model in (new, old))
        found.append(np.asarray(tf.reduce_mean(one - other, axis=0)))
    return np.concatenate(found)
