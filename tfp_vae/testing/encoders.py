"""Whether an encoder keeps what models, bounds and exports take for granted: one call."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_type
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.decoders import Normal
from tfp_vae.distributions.encoders import Encoder
from tfp_vae.distributions.priors import PRIORS
from tfp_vae.models import VAE
from tfp_vae.models.latents import covers
from tfp_vae.networks import mlp
from tfp_vae.objectives import Latent
from tfp_vae.testing import claims
from tfp_vae.testing.claims import claim, close

ROWS = 3


@claims.in_words
def check_encoder(
    encoder: Encoder,
    x: Any = None,
    *,
    seed: int = 0,
    xla: bool = True,
    export: bool = False,
) -> None:
    """Tries the whole contract of an encoder q(z|x), as the encoder of a small VAE.

    Try it with one and with two latents: in more dimensions the density is not integrated.

    Args:
        encoder: with its network, untrained or trained.
        x: float32 [N, *event], examples; by default three standard normal ones, of three numbers
            or of the shape that it was built for.
        seed: of draws and examples.
        xla: whether XLA is tried, which takes seconds.
        export: whether a model with it is written in each portable format that is installed, which
            takes many seconds.

    Raises:
        AssertionError: naming what the encoder does not keep.
        ValueError: if it is not an encoder.

    Example:
        >>> tv.testing.check_encoder(tv.encoders.Gaussian(tv.networks.mlp([4]), 2), xla=False)
    """
    name = type(check_type("encoder", encoder, Encoder, "check_encoder")).__name__
    shape = encoder.input_shape_built[1:] if encoder.built else (3,)
    rng = np.random.default_rng([seed, 53])
    x = claims.array("x", rng.standard_normal((ROWS, *shape)) if x is None else x)
    trusted, dims, rows = claims.trusted_package(encoder), encoder.latent_dim, len(x)
    trusted += _packages(encoder.network)
    claims.same_config(name, encoder)
    kind = next(each for each in PRIORS.values() if covers(each.support, encoder.support))
    model = VAE(kind(dims), encoder, Normal(mlp([]), tuple(x.shape[1:])))

    def posterior(x=x, model=model):
        return model.at_mean().posterior(x)

    q = claims.distribution_of(name, posterior(), "distribution(*parameters)")
    claim(name, q.batch_shape == (rows,), "batch shape of [N, ...] is [N]", [rows],
          list(q.batch_shape))  # fmt: skip
    claims.check_distribution(name, q, dims, seed, encoder.support)
    stacked = posterior(tf.stack([x, x]))
    z = tf.stop_gradient(draws.sample(q, [1], (seed, 3))[0])
    close(name, "sample axes in front change nothing", stacked.log_prob(z)[1], q.log_prob(z), 1e-4)
    _check_centre(name, encoder, q, rows, dims)
    variables = encoder.trainable_variables
    claims.check_slopes(name, "log q", lambda: posterior().log_prob(z), variables, seed)
    if draws.is_keyed(q):
        _check_draws(name, posterior, x, variables, seed, xla)
    _check_kl(name, q, model.at_mean().prior(), seed)

    def answer(model):
        return posterior(model=model).log_prob(z)

    claims.check_saved(name, model, trusted, answer)
    claims.check_signatures(name, model, claims.real_split(tuple(x.shape[1:])), export)


def _check_centre(name, encoder, q, rows, dims):
    try:
        centre = encoder.centre(q)
    except ValueError as error:
        claim(name, "Expected" in str(error), "no centre is refused in our words",
              "an error with Expected and Received", error)  # fmt: skip
        return
    received = list(np.shape(centre))
    claim(name, received == [rows, dims], "the centre is [N, D]", [rows, dims], received)
    claim(name, np.isfinite(centre), "the centre is finite", "finite numbers", "others")


def _check_draws(name, posterior, x, variables, seed, xla):
    """Draws are functions of a key with slopes: the gradient of a bound goes through them."""
    q = posterior()
    rng = np.random.default_rng([seed, 59])
    drawn = {"normal": rng.standard_normal, "uniform": rng.random}
    noise = [
        tf.constant(drawn[kind]((len(x), *shape)), tf.float32) for kind, shape in draws.noise_of(q)
    ]
    is_reparameterized = q.reparameterization_type == tfd.FULLY_REPARAMETERIZED
    if is_reparameterized and draws.family_of(q).has_slopes_of_noise:
        claims.check_slopes(
            name, "a draw", lambda: draws.from_noise(posterior(), *noise)[0], variables, seed
        )

    def both(x, key):
        with tf.GradientTape() as tape:
            tape.watch(x)
            z, log_q = draws.sample_and_log_prob(posterior(x), [2], key)
            value = log_q()
        return z, value, tape.gradient(value, x)

    key = tf.constant([seed, 5], tf.int32)
    what = "a keyed draw with its log q"
    claims.check_modes(name, what, both, x, key, xla=xla, rounding=2e-4)  # slopes cancel


def _check_kl(name, q, prior, seed):
    """The KL to a prior, a standard normal, is the mean of log q - log p, also by dimensions."""
    z, log_q = draws.sample_and_log_prob(q, [claims.DRAWS], (seed, 7))
    latent = Latent("z", z, q, prior, log_q)
    ratio = np.asarray(latent.log_q - latent.log_p, np.float64)
    kl = np.asarray(tf.reduce_mean(latent.kl(), axis=0))
    error = ratio.std(axis=0) / np.sqrt(len(ratio)) + 1e-3 * (1 + np.abs(kl))
    claim(name, np.abs(ratio.mean(axis=0) - kl) < claims.DEVIATIONS * error,
          "KL(q || p) is the mean of log q - log p", ratio.mean(axis=0), kl)  # fmt: skip
    each = latent.kl_per_dimension()
    if each is not None:
        total = tf.reduce_sum(tf.reduce_mean(each, axis=0), axis=-1)
        close(name, "the KLs of the dimensions sum to the KL", total, kl, 1e-4, 1e-4)


def _packages(network: keras.Layer) -> "tuple[str, ...]":
    """Returns the packages that a network of the user's own needs; stock Keras needs none."""
    if type(network).__module__.split(".")[0] == "keras":
        return ()
    return claims.trusted_package(network)
