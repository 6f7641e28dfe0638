"""What a prior is: a layer that is a distribution once it knows what it may depend on."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count, lacks
from tfp_vae.data import Split
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import REAL, tfd
from tfp_vae.registry import Registry

# A package of its own: there are a Mixture of priors, one of posteriors and one of networks.
registered = keras.saving.register_keras_serializable(package="tfp_vae.priors")
PRIORS = Registry("tfp_vae.distributions.priors", "prior", first=("standard",))


class Spec(NamedTuple):
    """What a prior is told of its model when it makes its variables.

    Attributes:
        latent_dim: D.
        event_shape: of an example; None outside of a model.
        condition_size: C, numbers of the condition; 0 without one.
        above_dims: sizes of the latents above, top first.
        is_bounded: whether all examples are in [0, 1].
    """

    latent_dim: int
    event_shape: "tuple[int, ...] | None" = None
    condition_size: int = 0
    above_dims: "tuple[int, ...]" = ()
    is_bounded: bool = False


class Context(NamedTuple):
    """What a prior may depend on when it is asked for its distribution.

    Attributes:
        given: the encoded condition, [B, C], or None.
        above: draws of the latents above, top first, [S, B, D'] each.
        encode: a function of examples [B, ...] that returns q(z|x) of the same latent; None outside
            of a model. A prior that needs the encoder asks here and holds none itself.
    """

    given: "tf.Tensor | None" = None
    above: "tuple[tf.Tensor, ...]" = ()
    encode: "Callable[[tf.Tensor], tfd.Distribution] | None" = None


class Prior(keras.Layer):
    """p(z): `prior()` has batch shape [] and event shape [D].

    A subclass gives `distribution(context)`; one with variables makes them in `build(spec)`.
    Given a condition or latents above, the batch shape is [B] or [S, B].

    Args:
        latent_dim: D.

    Attributes:
        needs_condition: whether it is p(z|c), which only a conditional model has.
        needs_above: whether it is p(z|above), which only a latent below others has.
        has_components: whether the constructor takes `components`.
        has_flow: whether the constructor takes the `kind` of a flow.
        uses_encoder: whether it asks for q(z|x), so that it is nothing without its model.
        is_nowhere: whether it stands for no p(z) at all, as of an autoencoder.
        support: where its density is: `REAL`, `BOX` or `SPHERE` of `distributions.base`; of codes
            which ones, in words.
    """

    needs_condition = False
    needs_above = False
    has_components = False
    has_flow = False
    uses_encoder = False
    is_nowhere = False
    support: str = REAL

    def __init__(self, latent_dim: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.latent_dim = check_count("latent_dim", latent_dim)

    def __call__(self, context: "Context | tf.Tensor | None" = None) -> tfd.Distribution:
        """Returns the prior as a distribution.

        Args:
            context: what it depends on; a condition [B, C] may be given as it is.
        """
        # Keras calls a layer with at least one tensor; a prior may depend on nothing.
        if not isinstance(context, Context):
            context = Context(given=context)
        if not self.built:
            given = context.given
            size = 0 if given is None else int(given.shape[-1])
            self.build(Spec(self.latent_dim, condition_size=size))
        return self.distribution(context)

    def meet(self, encoder: keras.Layer) -> None:
        """Takes what has to be known of the encoder of the same latent; here nothing.

        A model says it before it builds the prior; nothing of it may be kept as a layer.
        """

    def build(self, spec: "Spec | None" = None) -> None:
        """Makes the variables; none here.

        Raises:
            ValueError: if the prior does not fit the model.
        """
        self.built = True

    def distribution(self, context: Context) -> tfd.Distribution:
        """Returns the distribution."""
        raise lacks(self, "distribution(context)", "a tfp distribution over [D]")

    @property
    def waits_for_data(self) -> bool:
        """Whether `adapt` has to be called before training, and was not."""
        return False

    def adapt(self, split: Split, seed: int = 0) -> None:
        """Takes what has to be known of the training data before training; here nothing.

        Raises:
            ValueError: if the data do not fit.
        """

    def fit(self, z: np.ndarray, seed: int = 0, steps: int = 1000) -> None:
        """Fits the prior alone to draws by maximum likelihood, by Adam on batches of 500.

        A tenth of the draws is kept back, and the weights that are best there are what is left.

        Args:
            z: draws [N, D], N >= 20.
            seed: of the batches.
            steps: at most; it ends where a fifth of them brought nothing.

        Raises:
            ValueError: if it has no weights, or needs more than z.
        """
        self.check_fit(len(z))
        _climb(self, np.asarray(z, np.float32), np.random.default_rng([seed, 71]), steps)

    def check_fit(self, count: int) -> None:
        """Raises `ValueError` if the prior cannot be fitted to so many draws alone."""
        if self.uses_encoder or self.needs_condition or self.needs_above:
            raise ValueError(
                "This prior is nothing without its model. Expected one that is fitted to draws "
                f"alone, such as priors.Mixture or priors.Flow. Received {type(self).__name__}."
            )
        self()  # which makes the variables
        if not self.trainable_variables:
            raise ValueError(
                "There is nothing to fit. Expected a prior with weights, such as priors.Mixture "
                f"or priors.Flow. Received {type(self).__name__}."
            )
        if count < 20:
            raise ValueError(f"Too few draws to fit. Expected at least 20. Received {count}.")

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "latent_dim": self.latent_dim}

    def get_build_config(self) -> None:
        """Returns nothing: the model that holds the prior builds it."""
        return None


_BATCH = 500
_RATE = 2e-3
_EVERY = 20  # steps between two looks at what is kept back


def _climb(prior, z, rng, steps):
    """Raises mean log p(z) of a prior; see `Prior.fit`."""
    z = z[rng.permutation(len(z))]
    kept, used = tf.constant(z[: len(z) // 10]), z[len(z) // 10 :]
    optimizer = keras.optimizers.Adam(_RATE, global_clipnorm=5.0)
    variables = prior.trainable_variables
    optimizer.build(variables)

    def score(batch):
        return tf.reduce_mean(draws.log_prob(prior(), batch))

    @tf.function(autograph=False, reduce_retracing=True)
    def step(batch):
        with tf.GradientTape() as tape:
            loss = -score(batch)
        optimizer.apply(tape.gradient(loss, variables), variables)

    judged = tf.function(score, autograph=False)
    best, since = float(judged(kept)), 0
    weights = prior.get_weights()
    for number in range(1, steps + 1):
        step(tf.constant(used[rng.integers(len(used), size=min(_BATCH, len(used)))]))
        if number % _EVERY and number < steps:
            continue
        found = float(judged(kept))
        if found > best:
            best, since, weights = found, number, prior.get_weights()
        elif number - since > max(steps // 5, 5 * _EVERY):
            break
    prior.set_weights(weights)
