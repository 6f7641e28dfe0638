"""`Draw`: the distributions of a model under one draw of all that is random in it.

    draw = vae.at(0)                      # weights drawn once, by a key
    posterior = draw.posterior(x)         # q(z|x)
    likelihood = draw.likelihood(z)       # p(x|z), under the same weights
    vae.at_mean().prior()                 # all weights at their posterior means

Outside of models/ this is the only way to the distributions: what a call is keyed by is said, never
left to the state of a layer.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.priors import Context
from tfp_vae.layers import noise as noises
from tfp_vae.layers.noise import ESTIMATOR, FrozenNoise, Noise, use
from tfp_vae.objectives import Enumerated, Latent, Tap
from tfp_vae.randomness import fold_in

_WEIGHTS = 2**30  # folded into the key of a batch for the noise of random layers

Latents = tuple[Latent, ...]  # top first


class Draw:
    """A model under one draw of all that is random.

    As a context manager it opens its noise for direct calls of layers of the model:

        with model.at(0): features = model.network(x)

    Args:
        model: whose distributions.
        key: int32 [2], or an integer.
        mode: "estimator", "shared" or "mean"; see `layers.noise`.
        training: whether layers such as dropout of Keras train.
        frozen: whether the noise is a constant in a traced graph; made under `tf.init_scope`.
        number: which of the draws of a prediction it is, see `layers.noise.Noise`.
    """

    def __init__(
        self,
        model: keras.Model,
        key: Any,
        mode: str = ESTIMATOR,
        training: "bool | None" = False,
        frozen: bool = False,
        number: "tf.Tensor | int | None" = None,
    ):
        self.model, self.training = model, training
        self.key = fold_in(key)
        kind = FrozenNoise if frozen else Noise
        own = fold_in(self.key, _WEIGHTS)
        self.noise = kind(own, mode, numbers=model.noise_numbers(), draw=number)
        self._entered: list[contextlib.ExitStack] = []

    @contextlib.contextmanager
    def open(self) -> Iterator["Draw"]:
        """A context in which the random layers of the model draw from this noise."""
        with use(self.noise):
            yield self

    def __enter__(self) -> "Draw":
        stack = contextlib.ExitStack()
        stack.enter_context(self.open())
        self._entered.append(stack)
        return self

    def __exit__(self, *error: object) -> None:
        self._entered.pop().close()

    # The three distributions of a model with latents.

    def prior(self, given: Any = None, above: "tuple[tf.Tensor, ...]" = ()) -> tfd.Distribution:
        """Returns p(z_l | z_>l, c): the top latent's where nothing lies above.

        Args:
            given: conditions as a `Split` has them, [B] or [B, C], or None.
            above: draws of the latents above, top first, [S, B, D'] each.
        """
        latent = self.model.latents[len(above)]
        encoded = self.model.condition.encode(given) if given is not None else None

        def encode(x):
            # p(z) is one density, also where q(z|x) of a batch has the moments of the batch: these
            # would have those of what is encoded here in their running ones.
            with self.open():
                features = self.model.bottom_up_of(x, given, False)
                return self.model.encoded(features, given, tuple(above), False)

        with self.open():
            return latent.prior(Context(encoded, tuple(above), encode))

    def posterior(
        self,
        x: tf.Tensor,
        given: Any = None,
        above: "tuple[tf.Tensor, ...]" = (),
        features: "tf.Tensor | None" = None,
    ) -> tfd.Distribution:
        """Returns q(z_l | x, z_>l, c), batch shape that of `x` [..., B, *event].

        Args:
            x: examples.
            given: see `prior`.
            above: see `prior`.
            features: what `features` returned of `x`, where several latents are asked for.
        """
        with self.open():
            if features is None:
                features = self.model.bottom_up_of(x, given, self.training)
            return self.model.encoded(features, given, tuple(above), self.training)

    def features(self, x: tf.Tensor, given: Any = None) -> tf.Tensor:
        """Returns what all encoders see of examples: of one pass, if the model shares it."""
        with self.open():
            return self.model.bottom_up_of(x, given, self.training)

    def centre(self, x: tf.Tensor, given: Any = None) -> tf.Tensor:
        """Returns the centre of q(z|x) of what the decoder sees, [B, D]; see `VAE.encode`.

        Args:
            x: values [B, ...] as the model sees them, which nobody looks at.
            given: see `prior`.
        """
        features = self.features(x, given)
        above: tuple[tf.Tensor, ...] = ()
        for latent in self.model.latents:
            q = self.posterior(x, given, above, features)
            above = (*above, latent.encoder.centre(q))
        return self.model.code(above)

    def likelihood(self, z: tf.Tensor, given: Any = None) -> tfd.Distribution:
        """Returns p(x|z, c), batch shape that of `z` [..., B, D] without its last axis.

        Args:
            z: what `VAE.code` makes of draws of all latents: those of the lowest.
            given: see `prior`.
        """
        with self.open():
            return self.model.decoded(z, given, self.training)

    # Draws.

    def infer(
        self,
        x: tf.Tensor,
        samples: "tf.Tensor | int",
        given: Any = None,
        top: "tfd.Distribution | None" = None,
        key: "tf.Tensor | None" = None,
        tapped: bool = False,
    ) -> Latents:
        """Returns draws [S, B, D] of all latents given examples [B, ...], top first.

        Args:
            x: examples.
            samples: S.
            given: see `prior`.
            top: q of the top latent, where it is known already.
            key: of the draws, int32 [2]; that of the weights by default.
            tapped: whether a bound may scale what flows back through the draws, see `Bound.taps`.
        """
        key = self.key if key is None else key
        features = self.features(x, given)
        found: list[Latent] = []
        for level, latent in enumerate(self.model.latents):
            above = tuple(each.value for each in found)
            posterior = top
            if posterior is None or level:
                posterior = self.posterior(x, given, above, features)
            here = fold_in(key, level) if level else key
            if latent.encoder.enumerates:
                found.append(self._every(latent, posterior, self.prior(given, above)))
                continue
            shape = [] if above else [samples]
            value, log_q = draws.sample_and_log_prob(posterior, shape, here)
            prior = self.prior(given, above)
            tap = Tap() if tapped else None
            value = value if tap is None else tap(value)
            found.append(Latent(latent.name, value, posterior, prior, log_q, tap))
        return tuple(found)

    def _every(self, latent, posterior, prior):
        """Returns all codes of a latent, [K^T, B, D], in the place of draws."""
        every = latent.encoder.book.every()[:, tf.newaxis]
        value = tf.tile(every, [1, draws.batch_shape(posterior)[0], 1])
        return Enumerated(latent.name, value, posterior, prior)

    def sample(self, count: "tf.Tensor | int", given: Any = None) -> "tuple[tf.Tensor, ...]":
        """Returns draws [count, D] of all latents from the prior, top first (ancestral)."""
        found: list[tf.Tensor] = []
        for level in range(len(self.model.latents)):
            prior = self.prior(given, tuple(found))
            shape = [] if prior.batch_shape.rank else [count]
            found.append(draws.sample(prior, shape, fold_in(self.key, 0, level)))
        return tuple(found)

    # Of models of targets.

    def parameters(self, x: tf.Tensor, behind: int = 0) -> tf.Tensor:
        """Returns parameters of the likelihood of a network, [B, ...] -> [B, Q].

        Args:
            x: examples, or what the first `behind` layers of the network make of them.
            behind: how many layers are passed already; see `BayesianNetwork.features`.
        """
        network = self.model.network
        with self.open():
            if not behind:
                return self.model.likelihood(network(x, training=self.training))
            for layer in network.layers[behind:]:
                x = layer(x, training=self.training)
            return self.model.likelihood(x)


def own_random_layers(model: keras.Model) -> None:
    """Says of every random layer inside a model that the model hands out its noise."""
    for layer in model.random_layers():
        noises.own(layer, type(model).__name__)
