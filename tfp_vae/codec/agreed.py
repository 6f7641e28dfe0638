"""What both sides of a codec compute from the model, so that they agree to the last bit.

Sums of floating point depend on their order, and so on threads, processors and libraries. Here all
networks run in float64, on batches of one size, and what they put out is rounded far more coarsely
than it can differ: a number is another one on the other side about once in 10^10.
"""

import hashlib
import json
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.codec.stack import Cells, Normals, Tables, shares
from tfp_vae.distributions import draws, heads
from tfp_vae.models import VAE
from tfp_vae.models.precision import cannot, in_precision

MOST_AT_ONCE = 64  # images in a batch
_PIXELS = 2**20  # of a batch, at most
_FEATURES = 2.0**14  # what a network puts out is a whole number of such parts
_MOST_FEATURE = 2.0**9
_MOST_CELLS = 16  # bits of a latent


class Agreed:
    """The distributions of a model as both sides see them.

    Args:
        model: a `VAE` of values that have tables of probabilities; it is copied.

    Raises:
        ValueError: naming what of the model cannot be coded.
    """

    def __init__(self, model: VAE):
        _check(model)
        self.shape = tuple(model.decoder.event_shape)
        self.size = math.prod(self.shape)
        self.batch = max(1, min(MOST_AT_ONCE, _PIXELS // self.size))
        self.digest = digest(model)
        self._model: Any = in_precision(model, "float64")
        self.dims = [latent.latent_dim for latent in self._model.latents]
        self._draw = self._model.at_mean()
        self._functions: dict[Any, Any] = {}
        self._priors: dict[int, Normals] = {}
        self._head = self._model.decoder.head
        above: tuple[np.ndarray, ...] = ()
        try:  # what cannot be coded is told before anything is
            for level, size in enumerate(self.dims):
                self.posterior(level, np.zeros((1, *self.shape), np.float32), above)
                self.prior(level, above, 1)
                above = (*above, np.zeros((1, size)))
            self.num_values = self.tables(above).shape[1]
        except TypeError as error:
            raise cannot("float64", error) from error

    def posterior(self, level: int, x: np.ndarray, above: "tuple[np.ndarray, ...]") -> Normals:
        """Returns q(z_l | x, z_>l).

        Args:
            level: l, 0 for the top.
            x: images as the model sees them, [n, *shape].
            above: latents above, top first, [n, D'] each.
        """

        def function(x, *above):
            z = tuple(each[tf.newaxis] for each in above)
            return _components(self._draw.posterior(x, None, z), "posterior", bool(above))

        return self._run(("posterior", level), function, len(x), x, *above)

    def prior(self, level: int, above: "tuple[np.ndarray, ...]", count: int) -> Normals:
        """Returns p(z_l | z_>l); see `posterior`."""
        if not level:
            if level not in self._priors:
                found = _components(self._draw.prior(), "prior", False)
                self._priors[level] = Normals(*(np.array(x, np.float64) for x in found))
            known = self._priors[level]
            return Normals(*(np.broadcast_to(x, (count, *x.shape)) for x in known))

        def function(*above):
            z = tuple(each[tf.newaxis] for each in above)
            prior = self._draw.prior(None, z)
            found = _components(prior, "prior", True)
            if prior.batch_shape.rank:
                return found
            return tuple(tf.repeat(each[tf.newaxis], self.batch, axis=0) for each in found)

        return self._run(("prior", level), function, count, *above)

    def tables(self, z: "tuple[np.ndarray, ...]") -> Tables:
        """Returns the shares of the values of all pixels given all latents, [n, D] each."""

        def function(*z):
            return (self._draw.likelihood(self._model.code(z)).features,)

        (features,) = self._outputs(("likelihood",), function, len(z[-1]), *z)
        features = features.reshape(-1, features.shape[-1])
        rounded = np.clip(np.rint(features * _FEATURES) / _FEATURES, -_MOST_FEATURE, _MOST_FEATURE)
        return _OfHead(self._head, rounded, self._function)

    def _run(self, key, function, count, *inputs):
        return Normals(*self._outputs(key, function, count, *inputs))

    def _outputs(self, key, function, count, *inputs):
        """Returns what a function makes of examples, in batches of one size with zeros behind."""
        compiled = self._function(key, function)
        parts = []
        for start in range(0, max(count, 1), self.batch):
            here = [np.asarray(x[start : start + self.batch], np.float64) for x in inputs]
            missing = self.batch - len(here[0])
            filled = [np.pad(x, [(0, missing)] + [(0, 0)] * (x.ndim - 1)) for x in here]
            found = [np.array(x) for x in compiled(*map(tf.constant, filled))]
            parts.append([x[: self.batch - missing].astype(np.float64) for x in found])
        found = [np.concatenate(each) for each in zip(*parts, strict=True)]
        for each in found:
            if not np.isfinite(each).all():
                raise ValueError(
                    f"The model cannot be coded with. Expected finite numbers of its {key[0]}. "
                    "Received others."
                )
        return found

    def _function(self, key, function):
        if key not in self._functions:
            self._functions[key] = tf.function(function, autograph=False, reduce_retracing=True)
        return self._functions[key]


class _OfHead(Tables):
    """The tables of a head, made when they are asked for."""

    def __init__(self, head: heads.Head, features: np.ndarray, function: Callable):
        self._features = features
        self._made = function("tables", lambda x: head.tables(head.parameters(x)))
        self.shape = (
            len(features),
            self._made(tf.zeros([1, features.shape[1]], tf.float64)).shape[1],
        )

    def __getitem__(self, part: slice) -> np.ndarray:
        return shares(self._made(tf.constant(self._features[part])).numpy())


def _check(model):
    if not isinstance(model, VAE):
        raise ValueError(
            "A codec is made of a VAE. Expected a VAE of discrete values. Received a "
            f"{type(model).__name__}."
        )
    if model.condition:
        raise ValueError(
            "A codec cannot be made of a conditional model, whose conditions the other side would "
            f"have to know. Expected a VAE without a condition. Received a {type(model).__name__}."
        )
    if model.random_layers():
        raise ValueError(
            "A codec cannot be made of Bayesian weights. Expected a VAE whose weights are numbers. "
            f"Received {len(model.random_layers())} layers that draw noise."
        )
    draw, above = model.at_mean(), ()
    for latent in model.latents:
        x = tf.zeros([1, *model.decoder.event_shape])
        _components(draw.posterior(x, None, above), "posterior", bool(above))
        _components(draw.prior(None, above), "prior", bool(above))
        above = (*above, tf.zeros([1, 1, latent.latent_dim]))
    likelihood = draw.likelihood(model.code(tuple(each[0] for each in above)))
    # Pixels that depend on each other have a head too, but no features that are of z alone.
    head = getattr(model.decoder, "head", None)
    if head is None or not head.has("tables") or not hasattr(likelihood, "features"):
        received = model.decoder if head is None or head.has("tables") else head
        raise ValueError(
            "A codec needs the probabilities of all values of a pixel given z alone. Expected a "
            "decoder of binary values or grey levels, such as decoders.Bernoulli or "
            f"decoders.DiscretizedLogistic. Received {type(received).__name__}."
        )


def _components(distribution, what, has_samples):
    found = draws.components(distribution)
    if found is None:
        raise ValueError(
            f"The {what} is no normal with independent dimensions, nor a mixture of them, which "
            "alone can be coded dimension by dimension. Expected real latents with "
            "--latent_prior=standard or mixture (vae.with_prior fits one to a trained model) and "
            "--posterior=diagonal. "
            f"Received a {type(distribution).__name__}."
        )
    if has_samples and distribution.batch_shape.rank:
        return tuple(each[0] for each in found)
    return tuple(found)


def digest(model: VAE) -> str:
    """Returns the SHA-256 of all that a model codes with: what its parts are, and their weights.

    The same for a model and what is loaded from its file.
    """
    parts = [latent.get_config() for latent in model.latents]
    parts.append(keras.saving.serialize_keras_object(model.decoder))
    if model.bottom_up is not None:
        parts.append(keras.saving.serialize_keras_object(model.bottom_up))
    text = json.dumps([_named_alike(part) for part in parts], sort_keys=True, default=str)
    sha = hashlib.sha256(text.encode())
    for weight in [*_weights(model)]:
        sha.update(f"{weight.dtype}{weight.shape}".encode())
        sha.update(np.ascontiguousarray(weight))
    return sha.hexdigest()


def _weights(model):
    shared = [] if model.bottom_up is None else [model.bottom_up]
    for layer in (*model.priors, *model.encoders, model.decoder, *shared):
        yield from layer.get_weights()


def _named_alike(config: Any) -> Any:
    """Returns a configuration without what tells nothing of the numbers, such as names."""
    if isinstance(config, dict):
        left_out = ("name", "module", "build_config", "batch_shape", "trainable")
        return {key: _named_alike(x) for key, x in config.items() if key not in left_out}
    if isinstance(config, list | tuple):
        return [_named_alike(each) for each in config]
    return config


def cells_of(agreed: Agreed, x: np.ndarray) -> "tuple[list[Cells], float]":
    """Returns the cells of all latents, and about how many bits a draw of all of them takes.

    A cell is a quarter to an eighth of the smallest scales of q(z|x): what z is off by costs less
    than 0.003 nats per latent, of which half the cell would cost 0.001.

    Args:
        agreed: the model.
        x: some images, [n, *shape], n >= 0.
    """
    found: list[Cells] = []
    above: tuple[np.ndarray, ...] = ()
    needed = 0.0
    for level, size in enumerate(agreed.dims):
        posterior = agreed.posterior(level, x, above)
        prior = agreed.prior(level, above, len(x) if level else max(len(x), 1))
        seen = [each for each in (posterior, prior) if len(each.scale)]
        if seen:
            scales = [np.quantile(x.scale.reshape(-1, size), 0.05, axis=0) for x in seen]
            reach = [np.max(np.abs(x.loc) + 8 * x.scale, axis=(0, 1)) for x in seen]
            cells = _cells(np.min(scales, axis=0), np.max(reach, axis=0))
            widest = np.max(posterior.scale / cells.width, initial=1.0)
            around = int(min(np.ceil(8 * widest), cells.radius))
            cells = cells._replace(around=around)
        else:  # there are no images, and nothing will be coded
            cells = _cells(np.ones(size), np.full(size, 8.0))
        found.append(cells)
        needed += float(np.quantile(posterior.bits(cells), 0.99)) if len(x) else 0.0
        above = (*above, cells.value(cells.nearest(posterior.centre())))
    return found, needed


def _cells(scale, reach):
    exponents = np.ceil(-np.log2(scale / 4))
    # No more cells than the coder can tell the shares of apart.
    exponents = np.minimum(exponents, np.floor(_MOST_CELLS - np.log2(reach)))
    exponents = np.clip(exponents, -8, _MOST_CELLS).astype(int)
    radius = int(np.clip(np.ceil(np.ldexp(reach, exponents)).max(), 1, 2**_MOST_CELLS))
    return Cells(exponents, radius)
