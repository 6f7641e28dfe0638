"""Whether a prior keeps what models, draws and exports take for granted: one call for all of it."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_type
from tfp_vae.data import Split
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import REAL
from tfp_vae.distributions.conditions import Vector
from tfp_vae.distributions.decoders import Normal
from tfp_vae.distributions.encoders import ENCODERS, Gaussian
from tfp_vae.distributions.priors import Prior, StandardNormal
from tfp_vae.models import VAE, LatentVariable
from tfp_vae.networks import mlp
from tfp_vae.testing import claims
from tfp_vae.testing.claims import claim, close

ROWS = 3


@claims.in_words
def check_prior(
    prior: Prior,
    *,
    given: Any = None,
    above: "int | None" = None,
    event_shape: "tuple[int, ...]" = (3,),
    seed: int = 0,
    xla: bool = True,
    export: bool = False,
) -> None:
    """Tries the whole contract of a prior p(z), as the prior of a small VAE.

    Try it with one and with two latents: in more dimensions the density is not integrated.

    Args:
        prior: untrained or trained; a model of the check builds it if nobody did.
        given: float32 [N, C], conditions of a p(z|c), such as `np.eye(3)` for three classes.
        above: D' of a latent above it, of a p(z|above).
        event_shape: of the examples of the model, whose encoder the prior may ask for.
        seed: of draws, and of the encoder.
        xla: whether XLA is tried, which takes seconds.
        export: whether a model with it is written in each portable format that is installed, which
            takes many seconds.

    Raises:
        AssertionError: naming what the prior does not keep.
        ValueError: if it is not a prior, or one that needs `given` or `above` without it.

    Example:
        >>> tv.testing.check_prior(tv.priors.StandardNormal(2), xla=False)
    """
    name = type(check_type("prior", prior, Prior, "check_prior")).__name__
    for needs, value, what in (
        (prior.needs_condition, given, "given=..., conditions [N, C]"),
        (prior.needs_above, above, "above=..., the size of a latent above"),
    ):
        if needs and value is None:
            raise ValueError(f"A {name} depends on something. Expected {what}. Received none.")
    trusted, dims = claims.trusted_package(prior), prior.latent_dim
    claims.same_config(name, prior)
    given = None if given is None else claims.array("given", given).numpy()
    model = _model(prior, given, above, event_shape)
    rng = np.random.default_rng([seed, 47])
    rows = ROWS if given is None else len(given)
    beside = () if above is None else (tf.constant(rng.standard_normal((rows, above)), tf.float32),)
    start = [np.asarray(each) for each in prior.variables]

    def distribution(model=model):
        return model.at_mean().prior(given, beside)

    found = claims.distribution_of(name, distribution(), "distribution(context)")
    depends = given is not None or above is not None
    claim(name, depends or found.batch_shape == (), "a prior of nothing has batch shape []", [],
          list(found.batch_shape))  # fmt: skip
    claims.check_distribution(name, found, dims, seed, prior.support)
    if prior.support == REAL:
        # Draws of q(z|x) go everywhere: reflected, draws are on the other side of the middle.
        seen = draws.sample(found, [100], (seed, 2))
        there = found.log_prob(2 * claims.spread(seen.numpy())[0] - seen)
        claim(name, np.isfinite(there), "log p is finite on all of R^D, as its `support` says",
              "finite numbers, or another `support` of distributions.base", "others")  # fmt: skip
    z = tf.stop_gradient(draws.sample(distribution(), [1], (seed, 3))[0])

    def log_prob(z):
        return distribution().log_prob(z)

    claims.check_slopes(name, "log p by z", log_prob, [z], seed)
    claims.check_slopes(name, "log p", lambda: log_prob(z), prior.trainable_variables, seed)

    def drawn(key):
        found, log_q = draws.sample_and_log_prob(distribution(), [2], key)
        found = tf.identity(found)  # or TFP knows its way back, which has no gradient
        with tf.GradientTape() as tape:
            tape.watch(found)
            value = distribution().log_prob(found)
        density = value, tape.gradient(value, found)
        return (found, log_q(), density) if draws.is_keyed(distribution()) else ()

    def judged(z):
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = log_prob(z)
        return value, tape.gradient(value, z)

    key = tf.constant([seed, 5], tf.int32)
    if draws.is_keyed(distribution()):
        claims.check_modes(name, "a keyed draw with its log p", drawn, key, xla=xla)
        close(name, "the same key gives the same draw", drawn(key)[0], drawn(key)[0], 0, 0)
    else:
        claims.check_modes(name, "log p with its gradient", judged, z, xla=xla)
    claims.check_saved(name, model, trusted, lambda each: distribution(each).log_prob(z))
    split = claims.real_split(event_shape)
    if given is not None:
        split = _beside(split, given)
    claims.check_signatures(name, model, split, export)
    for variable, before in zip(prior.variables, start, strict=True):
        close(name, "a check leaves variables as they are", variable, before, 0, 0)


def _model(prior: Prior, given: Any, above: Any, event_shape: Any) -> VAE:
    latents = []
    if above is not None:
        top = StandardNormal(above), Gaussian(mlp([]), above)
        latents.append(LatentVariable("above", *top))
    kind = next(kind for kind in ENCODERS.values() if kind.support == prior.support)
    latents.append(LatentVariable("z", prior, kind(mlp([]), prior.latent_dim)))
    condition = None if given is None else Vector(given.shape[1])
    return VAE(latents=latents, decoder=Normal(mlp([]), event_shape), condition=condition)


def _beside(split, given):
    targets = np.resize(given, (len(split), given.shape[1]))
    return Split(split.values(), split.kind, targets=targets, name=split.name)
