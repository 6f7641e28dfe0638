"""Whether a bound keeps what training and evaluation take for granted: one call for all of it.

It is tried where all is known: z ~ N(0, 1), x|z ~ N(z, 1), so that p(x) = N(0, 2) and p(z|x) =
N(x/2, 1/2), with posteriors q(z|x) that are exact, or too wide and off.
"""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_type
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.decoders import Normal
from tfp_vae.distributions.encoders import Gaussian
from tfp_vae.distributions.priors import StandardNormal
from tfp_vae.models import VAE
from tfp_vae.networks import mlp
from tfp_vae.objectives import Bound, KnownLatent, Latent, Tap, Terms, WeightTerms
from tfp_vae.testing import claims
from tfp_vae.testing.claims import claim, close

X = np.array([-1.0, 0.5, 2.0, 3.0], np.float32)
SAMPLES, STEP = 6, 1000


@claims.in_words
def check_bound(bound: Bound, *, tight: bool = True, seed: int = 0, xla: bool = True) -> None:
    """Tries the whole contract of a bound, on a model whose log p(x) is known.

    Args:
        bound: with the arguments that it is used with.
        tight: whether it is log p(x) where q(z|x) is exact, as the ELBO and its kin are; False for
            one with a further term.
        seed: of draws.
        xla: whether XLA is tried, which takes seconds.

    Raises:
        AssertionError: naming what the bound does not keep.
        ValueError: if it is not a bound.

    Example:
        >>> tv.testing.check_bound(tv.objectives.IWAE(), xla=False)
    """
    check_type("bound", bound, Bound, "check_bound")  # type: ignore[type-abstract]
    name = type(bound).__name__
    trusted = claims.trusted_package(bound)
    claims.same_config(name, bound)
    terms = _terms(seed)
    _check_shapes(name, bound, terms)
    _check_is_a_bound(name, bound, tight, seed)
    _check_rows(name, bound, terms)
    _check_weights(name, bound, terms)
    _check_signs(name, bound, seed)

    def both(noise):
        with tf.GradientTape() as tape:
            tape.watch(noise)
            found = _terms(seed, noise=noise)
            value, loss = bound(found), bound.loss(found, STEP)
        return value, loss, tape.gradient(loss, noise)

    noise = _noise(seed, SAMPLES, len(X))
    claims.check_modes(name, "bound, loss and gradient", both, noise, xla=xla)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(bound))
    for step in (0, 3, STEP):
        close(name, f"get_config keeps the loss at step {step}", again.loss(terms, step),
              bound.loss(terms, step), 0, 0)  # fmt: skip
    _check_in_a_model(name, bound, trusted, seed)


def _noise(seed: int, samples: int, count: int) -> tf.Tensor:
    numbers = np.random.default_rng([seed, 61]).standard_normal((samples, count, 1))
    return tf.constant(numbers, tf.float32)


def _terms(seed, loc=0.5, scale=0.8, shift=0.0, samples=SAMPLES, noise=None, x=X):
    """Returns terms with q(z|x) = N(loc x, scale^2) and x|z ~ N(z + shift, 1)."""
    noise = _noise(seed, samples, len(x)) if noise is None else noise
    q = tfd.MultivariateNormalDiag(
        tf.constant(x[:, np.newaxis]) * loc, tf.ones([len(x), 1]) * scale
    )
    tap = Tap()
    z = tap(q.loc + q.stddev() * noise)
    p = tfd.MultivariateNormalDiag(tf.zeros([1]), tf.ones([1]))
    log_likelihood = tfd.Normal(z[..., 0] + shift, 1.0).log_prob(x)
    return Terms(log_likelihood, (Latent("z", z, q, p, tap=tap),))


def _log_evidence() -> np.ndarray:
    return -0.25 * X**2 - 0.5 * math.log(4 * math.pi)


def _check_shapes(name, bound, terms):
    value = bound(terms)
    claim(name, tf.is_tensor(value), "the bound is a tensor", "[B]", type(value).__name__)
    claim(name, value.shape == X.shape, "the bound of each example is [B]", list(X.shape),
          list(value.shape))  # fmt: skip
    claim(name, np.isfinite(value), "the bound is finite", "finite numbers", value.numpy())
    loss = bound.loss(terms, STEP)
    claim(name, tf.is_tensor(loss), "the loss is a tensor", [], type(loss).__name__)
    claim(name, loss.shape == () and np.isfinite(loss), "the loss is one finite number", [],
          list(loss.shape))  # fmt: skip
    is_name = isinstance(bound.name, str) and bound.name.isidentifier()
    claim(name, is_name, "it has the name of a metric", "an identifier", repr(bound.name))
    ones = terms._replace(sample_weight=tf.ones(len(X)))
    close(name, "weights of one change nothing", bound.loss(ones, STEP), loss)
    first = terms._replace(sample_weight=tf.constant([4.0] + [0.0] * (len(X) - 1)))
    changed = abs(float(bound.loss(first, STEP)) - float(loss)) > 1e-6
    claim(name, changed, "weights of examples weigh in the loss", "another loss", "the same")


def _check_is_a_bound(name, bound, tight, seed):
    """Its mean over draws is at most log p(x), and log p(x) where q(z|x) is exact."""
    known, count = _log_evidence(), 400
    # All at once: each example so many times, side by side.
    values = np.asarray(bound(_terms(seed, scale=1.1, x=np.tile(X, count))), np.float64)
    values = values.reshape(count, len(X))
    error = values.std(axis=0) / math.sqrt(count) + 1e-5
    mean = values.mean(axis=0)
    claim(name, mean - known < claims.DEVIATIONS * error, "its mean is at most log p(x)",
          f"at most {known}", mean)  # fmt: skip
    if tight:
        exact = bound(_terms(seed, scale=math.sqrt(0.5), samples=1000))
        # The ELBO has the KL in closed form and draws the likelihood: not exact in each draw.
        close(name, "it is log p(x) where q(z|x) is exact", exact, known, 0, 0.25)


def _check_rows(name, bound, terms):
    """Rows are an expectation: their order and how they are weighed is all that counts."""
    rows = len(terms.log_likelihood)
    log_mass = -math.log(rows) * tf.ones_like(terms.log_likelihood)
    close(name, "a log_mass of -log S is the same as none", bound(_known(terms, log_mass)),
          bound(_known(terms)), 1e-4, 1e-4)  # fmt: skip
    order = list(reversed(range(rows)))
    close(name, "the order of rows does not matter", bound(_known(terms, rows=order)),
          bound(_known(terms)), 1e-4, 1e-4)  # fmt: skip
    half = [i // 2 for i in range(2 * rows)]
    close(name, "rows given twice change nothing", bound(_known(terms, rows=half)),
          bound(_known(terms)), 1e-4, 1e-4)  # fmt: skip
    first = tf.concat([tf.zeros([1, len(X)]), tf.fill([rows - 1, len(X)], -math.inf)], axis=0)
    close(name, "rows of no mass count for nothing", bound(_known(terms, first)),
          bound(_known(terms, rows=[0])), 1e-4, 1e-4)  # fmt: skip


def _known(terms: Terms, log_mass: Any = None, rows: Any = None) -> Terms:
    """Returns the terms as numbers, in other rows, whose log_mass is given."""
    (latent,) = terms.latents
    rows = list(range(len(terms.log_likelihood))) if rows is None else rows

    def chosen(values):
        return tf.gather(values, rows)

    known = KnownLatent("z", chosen(latent.log_q), chosen(latent.log_p))
    return Terms(chosen(terms.log_likelihood), (known,), log_mass)


def _check_weights(name, bound, terms):
    """The KL of weights is subtracted once, divided by N."""
    with_weights = terms._replace(weights=WeightTerms(tf.constant(50.0), 100.0))
    close(name, "KL / N of weights is subtracted", bound(with_weights), bound(terms) - 0.5, 1e-4,
          1e-4)  # fmt: skip


def _check_signs(name, bound, seed):
    """Going down the loss brings q nearer to p(z|x), and the likelihood nearer to the data."""
    samples = 500
    for what, start, low, high in (
        ("q(z|x) is left of p(z|x)", {"loc": -0.5}, -np.inf, 0.0),
        ("q(z|x) is right of p(z|x)", {"loc": 1.5}, 0.0, np.inf),
        ("x|z is left of the data", {"shift": -2.0}, -np.inf, 0.0),
        ("x|z is right of the data", {"shift": 2.0}, 0.0, np.inf),
    ):
        ((key, value),) = start.items()
        place = tf.constant(value)
        with tf.GradientTape() as tape:
            tape.watch(place)
            # The positive examples: "left" is the same side for all of them.
            found = _terms(seed, samples=samples, x=X[1:], **{key: place})
            loss = bound.loss(found, STEP)
        slope = tape.gradient(loss, place)
        side = "below 0" if high == 0 else "above 0"
        claim(name, slope is not None, f"the loss has a gradient where {what}", side, "None")
        claim(name, low < float(slope) < high, f"the gradient points downhill where {what}", side,
              float(slope))  # fmt: skip


def _check_in_a_model(name, bound, trusted, seed):
    """A model trains a step with it, reports it beside the ELBO, and comes back from a file."""
    rng = np.random.default_rng([seed, 67])
    copy = type(bound).from_config(bound.get_config())
    parts = StandardNormal(1), Gaussian(mlp([]), 1), Normal(mlp([]), (3,))
    model = VAE(*parts, objective=copy, num_samples=2, seed=seed)
    bound.check(model)
    model.compile(optimizer="sgd", run_eagerly=True)
    split = claims.real_split((3,), 4, int(rng.integers(100)))
    found = model.fit(split, batch_size=4, epochs=1, verbose=0).history
    claim(name, {"loss", "elbo", bound.name} <= set(found), "fit reports it beside the ELBO",
          sorted({"loss", "elbo", bound.name}), sorted(found))  # fmt: skip
    claim(name, np.isfinite([found["loss"], found[bound.name]]), "a step of training is finite",
          "finite numbers", found)  # fmt: skip

    def answer(model):
        return model.objective(_terms(seed)), model.objective.loss(_terms(seed), 3)

    claims.check_saved(name, model, trusted, answer)
