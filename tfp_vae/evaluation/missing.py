"""VAEs and missing pixels: log p of what is observed, and the mean of what is not.

    log p(x_obs) = log E_r(z)[ p(x_obs|z) p(z) / r(z) ],   E[x_mis|x_obs] = E[ E[x_mis|z] | x_obs ]

by importance sampling with a proposal r(z) for p(z|x_obs), self-normalised in the second case. An
encoder asks for whole images, and p(z|x_obs) is the mean of p(z|x) over what x_mis may be. So r is
made of q(z|x) for imputations that pseudo-Gibbs chains draw (Rezende, Mohamed & Wierstra, 2014,
appendix F: z from q(z|x), x_mis from p(x|z), and again): half their mixture, half a Student's t
around their moments, which fills the gaps between few narrow parts and has tails for an encoder
that is off, and a share of the prior. The chains need no convergence: the weights make up for what
they miss, and the effective sample size says how well.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.data import Split
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd
from tfp_vae.evaluation import checks
from tfp_vae.layers.noise import MEAN, SHARED
from tfp_vae.models import VAE, ConditionalVAE, Predictive
from tfp_vae.models.graphs import compiled
from tfp_vae.models.proposals import (
    Part,
    Proposal,
    StudentT,
    Weights,
    check_spans_space,
    sample_each,
)
from tfp_vae.models.vae import warn_of_bias
from tfp_vae.randomness import fold_in

_START, _CHAIN, _DRAW = range(3)
_JITTER = 1e-4  # of the variances, so that float32 can factor their matrix


class Marginal(NamedTuple):
    """What a VAE knows of partly observed examples.

    Attributes:
        log_evidence: importance-sampled log p(x_obs), a lower bound in expectation, nats, [N].
        effective_sample_size: (sum w)^2 / sum w^2 of the S importance weights, in [1, S], [N].
        tail_index: k of the tail of the weights, [N]; see `models.vae.Bounds`.
        imputed: x where it is observed and E[x|x_obs] where not, [N, ...]; None if not asked for.
    """

    log_evidence: np.ndarray
    effective_sample_size: np.ndarray
    tail_index: np.ndarray
    imputed: np.ndarray | None


def observed_log_evidence(
    vae: VAE, x: "Split | np.ndarray", observed: np.ndarray, num_samples: int = 1000, **kwargs
) -> np.ndarray:
    """Returns log p(x_obs) of each example, nats, [N]; 0 where nothing is observed.

    Arguments are those of `marginal`.

    Warns:
        UserWarning: if effective sample size or tail of the weights say that it is too low.
    """
    found = marginal(vae, x, observed, num_samples, impute=False, **kwargs)
    warn_of_bias(found.effective_sample_size, num_samples, found.tail_index)
    return found.log_evidence


def impute(
    vae: VAE, x: "Split | np.ndarray", observed: np.ndarray, num_samples: int = 1000, **kwargs
) -> np.ndarray:
    """Returns x where it is observed and E[x|x_obs] where it is not, float32 [N, ...].

    Means, which minimise the expected squared error: grey where binary values are in doubt.
    Arguments are those of `marginal`.
    """
    return marginal(vae, x, observed, num_samples, impute=True, **kwargs).imputed


def marginal(
    vae: VAE,
    x: "Split | np.ndarray",
    observed: np.ndarray,
    num_samples: int = 1000,
    *,
    impute: bool = True,
    num_chains: int = 16,
    num_sweeps: int = 20,
    seed: int | None = None,
    batch_size: int | None = None,
    progress=None,
) -> Marginal:
    """Returns log p(x_obs), effective sample sizes and the conditional mean of each example.

    Samples stream through in chunks: memory does not grow with S. The prior's share of the proposal
    is the square of the share that is missing: with nothing missing r is q(z|x) as in `VAE.bounds`,
    with nothing observed it is p(z), and all weights are one.

    Bayesian weights are at their means in the chains and drawn with every chunk then, as in
    `VAE.bounds`.

    Args:
        vae: a trained VAE or ConditionalVAE whose likelihood is `tfd.Independent`, as all of this
            package are.
        x: a `Split` or, for p(x), an array [N, ...]; what is not observed is never read and may be
            NaN. A ConditionalVAE gives log p(x_obs|c) with the labels or targets of the `Split`.
        observed: bool, of the shape of x or one that broadcasts to it; see `data.observed_pixels`.
        num_samples: S, draws of z per example.
        impute: whether to compute the conditional mean, which some likelihoods are slow at.
        num_chains: imputations per example that the proposal is the mean of. They start at draws
            of the model.
        num_sweeps: pseudo-Gibbs sweeps of each chain.
        seed: fixes the draws; the model's seed by default.
        batch_size: examples at a time; as many as fit by default.
        progress: called with (examples done, examples in all) after every batch.

    Raises:
        ValueError: for impossible numbers or masks, or if `x` does not fit the model.
    """
    for name, value, least in (
        ("num_samples", num_samples, 1),
        ("num_chains", num_chains, 1),
        ("num_sweeps", num_sweeps, 0),
        ("batch_size", 1 if batch_size is None else batch_size, 1),
    ):
        check_count(name, value, least)
    if len(vae.latents) > 1:
        raise ValueError(
            "The proposal for missing pixels is made for one latent variable. Expected a VAE of "
            f"one. Received {len(vae.latents)}: {[latent.name for latent in vae.latents]}."
        )
    check_spans_space(vae, "missing pixels")
    values = x.values() if isinstance(x, Split) else np.asarray(x)
    mask = check_mask(observed, values.shape)
    filled = np.where(mask, values, values.dtype.type(0))
    if isinstance(x, Split):
        vae.check_split(x)
        given = vae.given_of(x)
    else:
        checks.unconditional(vae, "The marginal of an array")
        filled, given = vae.as_split(filled).values(), None
    batch_size = min(batch_size or 100, max(1, vae.rows_at_once // num_chains))
    batch_size, chunk = vae.batch_and_chunk(batch_size, len(filled), num_samples)
    options = (num_samples, chunk, impute, num_chains, num_sweeps)
    function = _compiled(vae, (batch_size, *filled.shape[1:]), given, options)
    key, parts = vae.caller_key(seed), []
    for start in range(0, len(filled), batch_size):
        here = np.arange(start, start + batch_size)
        size = min(batch_size, len(filled) - start)
        here[size:] = start  # one shape, one compilation
        inputs = [tf.constant(filled[here]), tf.constant(mask[here]), fold_in(key, start, 1), key]
        if given is not None:
            inputs.append(tf.constant(given[here]))
        part = function(*inputs)
        parts.append([each.numpy()[:size] for each in part])
        if progress is not None:
            progress(start + size, len(filled))
    evidence, size, tail, *mean = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Marginal(evidence, size, tail, np.where(mask, filled, mean[0]) if impute else None)


def class_predictive(
    vae: ConditionalVAE, split: Split, observed: np.ndarray, num_samples: int = 100, **kwargs
) -> Predictive:
    """Returns p(y|x_obs), proportional to p(x_obs|y) p(y), of each example: batch shape [N].

    Args:
        vae: a trained ConditionalVAE of classes.
        split: the examples; labels that it has are not looked at.
        observed: see `marginal`.
        num_samples: S importance samples per class.
        **kwargs: see `marginal`.
    """
    columns = []
    for label in range(vae.num_classes):
        supposed = split.relabelled(np.full(len(split), label))
        found = marginal(vae, supposed, observed, num_samples, impute=False, **kwargs)
        columns.append(found.log_evidence)
    log_joint = np.stack(columns, axis=1) + vae.log_class_prior.numpy()
    return Predictive.of(tfd.Categorical(logits=log_joint[:, np.newaxis, :]))


def check_mask(observed, shape: tuple[int, ...]) -> np.ndarray:
    """Returns `observed` as bool of `shape` [N, ...], True where a value is observed.

    Raises:
        ValueError: if it is not such a mask.
    """
    observed = np.asarray(observed)
    try:
        mask = np.broadcast_to(observed, shape)
    except ValueError:
        mask = None
    if mask is None or observed.dtype != np.bool_:
        raise ValueError(
            f"The mask does not fit. Expected booleans of a shape that broadcasts to {shape}, True "
            f"where a value is observed. Received {observed.dtype} of shape {observed.shape}."
        )
    return mask


def _compiled(vae: VAE, shape: tuple[int, ...], given: np.ndarray | None, options: tuple):
    """Returns `_marginal_of_batch` for batches of a shape, traced once per model."""

    def make():
        return lambda x, seen, key, weights_key, given=None: _marginal_of_batch(
            vae, given, x, seen, key, weights_key, *options
        )

    return compiled(vae, "marginal", (shape, options), make, jit=False)


def _marginal_of_batch(vae, given, x, seen, key, weights_key, num_samples, chunk, impute, *chains):
    """Returns log p(x_obs), ESS and tail [B] and, if asked, E[x|x_obs] [B, ...], for x [B, ...]."""
    proposal, prior = _proposal(vae.at(weights_key, MEAN), given, x, seen, key, *chains)
    event_axes = list(range(1, x.shape.rank))

    def per_example(values):
        return tf.reshape(values, [-1] + [1] * len(event_axes))

    def add_chunk(i, weights, mean):
        z = proposal.sample(chunk, fold_in(key, i, _DRAW))
        likelihood = vae.at(fold_in(weights_key, i), SHARED).likelihood(z, given)
        each = tf.where(seen, _per_value(likelihood).log_prob(x), 0.0)  # [chunk, B, ...]
        log_likelihood = tf.reduce_sum(each, axis=[axis + 1 for axis in event_axes])
        log_w = log_likelihood + draws.log_prob(prior, z) - proposal.log_prob(z)
        weights, w, rescale = weights.add(log_w, i * chunk, num_samples)
        if impute:
            more = tf.einsum("sb,sb...->b...", w, likelihood.mean())
            mean = mean * per_example(rescale) + more
        return i + 1, weights, mean

    state = (tf.constant(0), Weights.none(x.shape[0]), tf.zeros_like(x))
    num_chunks = -(-num_samples // chunk)
    _, weights, mean = tf.while_loop(lambda i, *_: i < num_chunks, add_chunk, state)
    found = (
        weights.log_mean(num_samples),
        weights.effective_sample_size(),
        weights.tail_index(num_samples),
    )
    return (*found, mean / per_example(weights.sums)) if impute else found


def _proposal(
    model, given, x, seen, key, num_chains, num_sweeps
) -> "tuple[Proposal, tfd.Distribution]":
    """Runs the chains of a batch x [B, ...], and returns r(z) and p(z)."""
    prior = model.prior(given)
    to_front = [1, 0, *range(2, x.shape.rank + 1)]
    burn_in = num_sweeps // 2

    def from_prior(count, key):
        return sample_each(prior, count, x.shape[0], key)

    def completed(z, key):
        drawn = model.likelihood(z, given).sample(seed=key)
        return tf.where(seen, x, drawn)  # [M, B, ...]

    def posterior_of(images):
        each = None if given is None else given[:, tf.newaxis]
        return model.posterior(tf.transpose(images, to_front), each)  # batch [B, M]

    def sweep(number, images):
        sweep_key = fold_in(key, _CHAIN, number)
        z = draws.sample(model.posterior(images, given), [], fold_in(sweep_key, 0))
        return number + 1, completed(z, fold_in(sweep_key, 1))

    def moments(posterior):
        """Returns mean over chains of loc - centre [B, D], and of its square and covariance."""
        off = posterior.mean() - centre
        square = tf.einsum("bmi,bmj->bij", off, off) / num_chains
        return tf.reduce_mean(off, axis=1), square + tf.reduce_mean(posterior.covariance(), axis=1)

    def measured_sweep(number, images, first, second):
        number, images = sweep(number, images)
        more_first, more_second = moments(posterior_of(images))
        return number, images, first + more_first, second + more_second

    start_key = fold_in(key, _START)
    z = from_prior(num_chains, fold_in(start_key, 0))
    state = (tf.constant(0), completed(z, fold_in(start_key, 1)))
    number, images = tf.while_loop(lambda number, _: number < burn_in, sweep, state)
    # Moments around a centre, because posteriors are narrow and float32 would lose them.
    centre = tf.reduce_mean(posterior_of(images).mean(), axis=1, keepdims=True)
    state = (number, images, *moments(posterior_of(images)))
    _, images, first, second = tf.while_loop(
        lambda number, *_: number < num_sweeps, measured_sweep, state
    )
    count = float(num_sweeps - burn_in + 1)
    first, second = first / count, second / count
    covariance = second - first[:, :, tf.newaxis] * first[:, tf.newaxis, :]
    diagonal = tf.linalg.diag_part(covariance)
    matched = StudentT.of_moments(
        centre[:, 0] + first, covariance + tf.linalg.diag(_JITTER * diagonal)
    )
    components = tfd.MixtureSameFamily(
        tfd.Categorical(logits=tf.zeros([num_chains])), posterior_of(images)
    )
    missing = tf.reduce_mean(tf.cast(~seen, tf.float32), axis=list(range(1, x.shape.rank)))
    share, share_matched = missing**2, tf.where(missing > 0, 0.5, 0.0)
    parts = [
        Part((1 - share) * share_matched, matched.sample, matched.log_prob),
        Part(
            (1 - share) * (1 - share_matched),
            lambda count, key: components.sample(count, seed=key),
            components.log_prob,
        ),
        Part(share, from_prior, lambda z: draws.log_prob(prior, z)),
    ]
    return Proposal(parts), prior


def _per_value(likelihood: tfd.Distribution) -> tfd.Distribution:
    """Returns the distribution of single values, with the event axes in its batch shape."""
    base = getattr(likelihood, "distribution", None)  # of a tfd.Independent
    if base is None or base.event_shape.rank != 0:
        raise ValueError(
            "The likelihood does not fall into values, so that none can be left out. Expected a "
            f"tfd.Independent of numbers. Received {likelihood.name}."
        )
    alone = getattr(base, "at_random", None)  # what is not seen is not asked for
    return base if alone is None else alone()
