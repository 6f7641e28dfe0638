"""Draws of a distribution as pure functions of standard numbers: keyed here, exported elsewhere.

    z, log_prob = from_noise(distribution, *noise)       # no random operation: any runtime has it
    z, log_prob = sample_and_log_prob(distribution, [S], key)

A family says once how its draws are made of standard normal and uniform numbers; the same entry
serves keyed draws, which are then the same eagerly, in a graph and under XLA, and the signatures of
an export, whose noise is an input. A new family registers itself beside its class:

    @draws.family(MyDistribution)
    class _(draws.Family): ...

Operations are those that ONNX and LiteRT have: no solves, no broadcasts by TFP's own operators,
which leave files that no runtime loads. tests/distributions compares each with TFP.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tfp_vae import randomness
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.portable import logsumexp

NORMAL, UNIFORM = "normal", "uniform"
_SAMPLERS = {NORMAL: randomness.normal, UNIFORM: randomness.uniform}
_LOG_2_PI = math.log(2 * math.pi)


class Noise(NamedTuple):
    """Standard numbers that one draw of one batch member needs.

    Attributes:
        kind: "normal" or "uniform".
        shape: of the numbers, without axes of samples and batch.
    """

    kind: str
    shape: "tuple[int, ...]"


class Components(NamedTuple):
    """sum_k w_k N(loc_k, diag(scale_k)^2), of one component too.

    Attributes:
        log_weights: [*batch, K], nats.
        loc: [*batch, K, D].
        scale: [*batch, K, D].
    """

    log_weights: tf.Tensor
    loc: tf.Tensor
    scale: tf.Tensor


class Family:
    """How draws, densities and centres of a class of distributions are computed.

    The defaults are TFP's own, which cannot be keyed or exported where they draw.

    Attributes:
        has_slopes_of_noise: whether the gradient of a draw is its slope at fixed noise; otherwise
            it is that of expectations alone.
    """

    has_slopes_of_noise = True

    def noise(self, distribution: tfd.Distribution) -> "tuple[Noise, ...]":
        """Returns what one draw needs.

        Raises:
            ValueError: if draws cannot be made from standard numbers.
        """
        raise ValueError(
            f"Draws of {distribution.name} are not functions of standard numbers here. Expected a "
            "distribution with an entry in tfp_vae.distributions.draws, such as normals, mixtures "
            f"of them and flows. Received a {type(distribution).__name__}; `draws.family` adds one."
        )

    def transform(
        self, distribution: tfd.Distribution, *noise: tf.Tensor
    ) -> "tuple[tf.Tensor, Callable[[], tf.Tensor]]":
        """Returns draws, and a function that returns their log-densities.

        Args:
            distribution: batch shape [*batch], event shape [*event].
            *noise: of the shapes of `noise`, with [*samples, *batch] in front.
        """
        raise NotImplementedError

    def log_prob(self, distribution: tfd.Distribution, value: tf.Tensor) -> tf.Tensor:
        """Returns the log-density at `value`, in nats."""
        return distribution.log_prob(value)

    def centre(self, distribution: tfd.Distribution) -> tf.Tensor:
        """Returns the point that stands for the distribution in a picture or an encoding."""
        try:
            return distribution.mean()
        except NotImplementedError as error:
            raise ValueError(
                f"There is no centre of a {type(distribution).__name__}. Expected a distribution "
                "with a mean, or an encoder that overrides `centre`. Received neither."
            ) from error

    def members(self, distribution: tfd.Distribution) -> "tfd.Distribution | None":
        """Returns the distribution of every dimension, [*batch, D], if they are independent."""
        return None

    def components(self, distribution: tfd.Distribution) -> "Components | None":
        """Returns what a mixture of normals with independent dimensions is made of; or None."""
        return None

    def batch_shape(self, distribution: tfd.Distribution) -> tf.Tensor:
        """Returns the batch shape, an int32 tensor."""
        return distribution.batch_shape_tensor()

    def kl_divergence(self, posterior: tfd.Distribution, prior: tfd.Distribution) -> tf.Tensor:
        """Returns KL(posterior || prior), nats; raises `NotImplementedError` without a formula."""
        return tfd.kl_divergence(posterior, prior)

    def held(self, distribution: tfd.Distribution) -> tfd.Distribution:
        """Returns the distribution with its parameters held: log q has no slope by them.

        Raises:
            ValueError: if that is not known here, as of what a network computes at each value.
        """
        try:
            found = tf.nest.map_structure(tf.stop_gradient, distribution, expand_composites=True)
        except (TypeError, ValueError, NotImplementedError):
            found = distribution
        if found is distribution:  # no composite tensor: nothing was held
            raise ValueError(
                "The parameters of a distribution cannot be held. Expected one whose density is a "
                "function of tensors, as those of TFP, or a family with `held`. Received a "
                f"{type(distribution).__name__}."
            )
        return found


class OfTensors(Family):
    """A family of our own whose constructor takes tensors, which are all that its density is of."""

    def held(self, distribution: tfd.Distribution) -> tfd.Distribution:
        """Returns the distribution of the same tensors, held."""
        held = {
            name: tf.stop_gradient(value) if tf.is_tensor(value) else value
            for name, value in distribution.parameters.items()
        }
        return type(distribution)(**held)


_DEFAULT = Family()


@functools.singledispatch
def family_of(distribution: tfd.Distribution) -> Family:
    """Returns the entry of the class of a distribution."""
    return _DEFAULT


def family(*classes: type) -> "Callable[[type[Family]], type[Family]]":
    """Returns a decorator that makes a `Family` the entry of these classes of distributions."""

    def decorate(kind):
        entry = kind()
        for each in classes:
            family_of.register(each)(lambda _: entry)
        return kind

    return decorate


def is_keyed(distribution: tfd.Distribution) -> bool:
    """Whether draws are functions of standard numbers, and so the same in all modes."""
    try:
        noise_of(distribution)
    except ValueError:
        return False
    return True


def noise_of(distribution: tfd.Distribution) -> "tuple[Noise, ...]":
    """Returns the standard numbers that one draw needs; raises `ValueError` if there are none."""
    return family_of(distribution).noise(distribution)


def from_noise(
    distribution: tfd.Distribution, *noise: tf.Tensor
) -> "tuple[tf.Tensor, Callable[[], tf.Tensor]]":
    """Returns draws [*samples, *batch, *event] made of noise, and their log-densities, lazily."""
    return family_of(distribution).transform(distribution, *noise)


def log_prob(distribution: tfd.Distribution, value: tf.Tensor) -> tf.Tensor:
    """Returns the log-density at `value` by portable operations where the family has them."""
    return family_of(distribution).log_prob(distribution, value)


def held(distribution: tfd.Distribution) -> tfd.Distribution:
    """Returns the distribution with its parameters held; raises `ValueError` if they cannot be."""
    return family_of(distribution).held(distribution)


def centre(distribution: tfd.Distribution) -> tf.Tensor:
    """Returns the mean, or where a flow carries the centre of its base, [*batch, *event]."""
    return family_of(distribution).centre(distribution)


def members(distribution: tfd.Distribution) -> "tfd.Distribution | None":
    """Returns the distribution of every dimension, batch shape [*batch, D], event shape [].

    None where the dimensions depend on each other, or nobody said that they do not.
    """
    return family_of(distribution).members(distribution)


def components(distribution: tfd.Distribution) -> "Components | None":
    """Returns what a mixture of normals with independent dimensions is made of.

    A normal is one of a single component. None for all that is no such mixture.
    """
    return family_of(distribution).components(distribution)


def batch_shape(distribution: tfd.Distribution) -> tf.Tensor:
    """Returns the batch shape, an int32 tensor: a constant where it is known without the data."""
    known = distribution.batch_shape
    if known.is_fully_defined():
        return tf.constant(known.as_list(), tf.int32)
    return family_of(distribution).batch_shape(distribution)


def kl_divergence(posterior: tfd.Distribution, prior: tfd.Distribution) -> tf.Tensor:
    """Returns KL(posterior || prior), nats, with the batch shape of both together.

    Of normals whose prior is diagonal by the formula, in fewer operations than TFP's general one
    for linear operators or numbers, and in portable ones; of others by TFP.

    Raises:
        NotImplementedError: if TFP has no closed form.
    """
    return family_of(posterior).kl_divergence(posterior, prior)


def sample_and_log_prob(
    distribution: tfd.Distribution, sample_shape: Any, key: tf.Tensor, examples: bool = False
) -> "tuple[tf.Tensor, Callable[[], tf.Tensor]]":
    """Returns draws [*sample_shape, *batch, *event] and a function for their log-densities.

    Draws are reparameterised where the distribution is. Of a family without an entry TFP draws,
    whose numbers depend on how it is compiled.

    Args:
        distribution: any.
        sample_shape: integers, or integer tensors.
        key: int32 [2].
        examples: whether the last axis of `sample_shape` is that of the examples of a batch, such
            as of draws from a prior beside them; see `randomness.part`.
    """
    if not is_keyed(distribution):
        index, count = randomness.current_part()
        key = key if count == 1 else randomness.fold_in(key, index)
        value = distribution.sample(sample_shape, seed=key)
        return value, lambda: distribution.log_prob(value)
    sample_shape = tf.convert_to_tensor(sample_shape, tf.int32)
    # The examples are the first axis of the batch shape; a prior without one is the same for all.
    axis = sample_shape.shape[0] if distribution.batch_shape.rank else None
    axis = sample_shape.shape[0] - 1 if examples else axis
    noise = []
    for number, (kind, shape) in enumerate(noise_of(distribution)):
        whole = [sample_shape, batch_shape(distribution), tf.constant(shape, tf.int32)]
        here = key if number == 0 else randomness.fold_in(key, number)
        noise.append(_SAMPLERS[kind](tf.concat(whole, axis=0), here, axis))
    return from_noise(distribution, *noise)


def sample(
    distribution: tfd.Distribution, sample_shape: Any, key: tf.Tensor, examples: bool = False
) -> tf.Tensor:
    """Returns draws, see `sample_and_log_prob`."""
    return sample_and_log_prob(distribution, sample_shape, key, examples)[0]


# Multivariate normals: z = loc + L noise, log N(z; loc, L L') = log N(noise; 0, I) - log det L.


@family(tfd.MultivariateNormalDiag)
class DiagonalNormal(Family):
    """N(loc, diag(scale)^2)."""

    def noise(self, distribution: tfd.Distribution) -> "tuple[Noise, ...]":
        """One normal number per dimension."""
        return (Noise(NORMAL, tuple(distribution.event_shape)),)

    def loc(self, distribution: tfd.Distribution) -> tf.Tensor:
        """Returns the mean, [*batch, D]."""
        loc = distribution.parameters["loc"]
        return tf.zeros(distribution.event_shape) if loc is None else tf.convert_to_tensor(loc)

    def scale(self, distribution: tfd.Distribution) -> tf.Tensor:
        """Returns the standard deviations [*batch, D], or the factor L [*batch, D, D]."""
        scale = distribution.parameters["scale_diag"]
        return tf.ones(distribution.event_shape) if scale is None else tf.convert_to_tensor(scale)

    def diagonal(self, distribution: tfd.Distribution) -> tf.Tensor:
        """Returns the diagonal of L, [*batch, D]."""
        return self.scale(distribution)

    def transform(
        self, distribution: tfd.Distribution, noise: tf.Tensor
    ) -> "tuple[tf.Tensor, Callable[[], tf.Tensor]]":
        """Returns loc + L noise."""
        value = self.loc(distribution) + self.scale(distribution) * noise
        return value, lambda: self._density(noise, distribution)

    def _density(self, noise, distribution):
        standard = -0.5 * (tf.square(noise) + _LOG_2_PI)
        return tf.reduce_sum(standard - tf.math.log(self.diagonal(distribution)), axis=-1)

    def log_prob(self, distribution: tfd.Distribution, value: tf.Tensor) -> tf.Tensor:
        """Returns the log-density, without a solve."""
        noise = (value - self.loc(distribution)) / self.scale(distribution)
        return self._density(noise, distribution)

    def centre(self, distribution: tfd.Distribution) -> tf.Tensor:
        """Returns the mean."""
        return self.loc(distribution)

    def members(self, distribution: tfd.Distribution) -> "tfd.Distribution | None":
        """Returns the normals of the dimensions."""
        return tfd.Normal(self.loc(distribution), self.scale(distribution))

    def components(self, distribution: tfd.Distribution) -> "Components | None":
        """Returns the normal as a mixture of one."""
        loc = self.loc(distribution)
        scale = tf.broadcast_to(self.scale(distribution), tf.shape(loc))
        each = loc[..., tf.newaxis, :], scale[..., tf.newaxis, :]
        return Components(tf.zeros_like(each[0][..., 0]), *each)

    def batch_shape(self, distribution: tfd.Distribution) -> tf.Tensor:
        """Returns that of mean and scales together, in fewer operations than TFP's."""
        return tf.shape(self.loc(distribution) + self.diagonal(distribution))[:-1]

    def kl_divergence(self, posterior: tfd.Distribution, prior: tfd.Distribution) -> tf.Tensor:
        """Returns the sum over dimensions, where the prior is diagonal."""
        there = normal_of(prior)
        if there is None:
            return tfd.kl_divergence(posterior, prior)
        scale, prior_scale = self.scale(posterior), there.scale(prior)
        loc, prior_loc = self.loc(posterior), there.loc(prior)
        if prior_scale.shape.rank > prior_loc.shape.rank:  # a triangular system is to be solved
            return tfd.kl_divergence(posterior, prior)
        variance = tf.square(scale)
        if scale.shape.rank > loc.shape.rank:
            variance = tf.reduce_sum(variance, axis=-1)
        spread = (variance + tf.square(loc - prior_loc)) / tf.square(prior_scale)
        log_ratio = tf.math.log(self.diagonal(posterior)) - tf.math.log(prior_scale)
        return tf.reduce_sum(0.5 * (spread - 1.0) - log_ratio, axis=-1)


@family(tfd.MultivariateNormalTriL)
class TriangularNormal(DiagonalNormal):
    """N(loc, L L')."""

    def scale(self, distribution: tfd.Distribution) -> tf.Tensor:
        """Returns the lower triangular factor L, [*batch, D, D]."""
        return tf.convert_to_tensor(distribution.parameters["scale_tril"])

    def diagonal(self, distribution: tfd.Distribution) -> tf.Tensor:
        """Returns the diagonal of L, [*batch, D], without an operation that LiteRT lacks."""
        scale = self.scale(distribution)
        return tf.reduce_sum(scale * tf.eye(scale.shape[-1]), axis=-1)

    def transform(
        self, distribution: tfd.Distribution, noise: tf.Tensor
    ) -> "tuple[tf.Tensor, Callable[[], tf.Tensor]]":
        """Returns loc + L noise."""
        moved = tf.reduce_sum(self.scale(distribution) * tf.expand_dims(noise, -2), axis=-1)
        return self.loc(distribution) + moved, lambda: self._density(noise, distribution)

    def log_prob(self, distribution: tfd.Distribution, value: tf.Tensor) -> tf.Tensor:
        """Returns TFP's log-density, which solves a triangular system."""
        return distribution.log_prob(value)

    def members(self, distribution: tfd.Distribution) -> "tfd.Distribution | None":
        """Returns None: the dimensions depend on each other."""
        return None

    def components(self, distribution: tfd.Distribution) -> "Components | None":
        """Returns None: the dimensions depend on each other."""
        return None


@family(tfd.Normal)
class ScalarNormal(Family):
    """N(loc, scale^2) of numbers."""

    def noise(self, distribution: tfd.Distribution) -> "tuple[Noise, ...]":
        """One normal number."""
        return (Noise(NORMAL, ()),)

    def transform(
        self, distribution: tfd.Distribution, noise: tf.Tensor
    ) -> "tuple[tf.Tensor, Callable[[], tf.Tensor]]":
        """Returns loc + scale noise."""
        value = distribution.loc + distribution.scale * noise
        return value, lambda: self._density(noise, distribution)

    def _density(self, noise, distribution):
        return -0.5 * (tf.square(noise) + _LOG_2_PI) - tf.math.log(distribution.scale)

    def log_prob(self, distribution: tfd.Distribution, value: tf.Tensor) -> tf.Tensor:
        """Returns the log-density."""
        return self._density((value - distribution.loc) / distribution.scale, distribution)

    def centre(self, distribution: tfd.Distribution) -> tf.Tensor:
        """Returns the mean."""
        return distribution.mean()

    def kl_divergence(self, posterior: tfd.Distribution, prior: tfd.Distribution) -> tf.Tensor:
        """Returns that of each number: one logarithm, where TFP has an exponential more."""
        if not isinstance(prior, tfd.Normal):
            return tfd.kl_divergence(posterior, prior)
        ratio = posterior.scale / prior.scale
        offset = (posterior.loc - prior.loc) / prior.scale
        return 0.5 * (tf.square(ratio) + tf.square(offset) - 1.0) - tf.math.log(ratio)


def inside(uniform: tf.Tensor) -> tf.Tensor:
    """Returns the middles of the cells of the uniform's grid: float32, neither 0 nor 1."""
    # The middle of the last cell is no float32: it would be rounded to 1, whose logit is infinite.
    return tf.minimum(uniform + 2.0**-25, 1.0 - 2.0**-24)


class _Quantile(Family):
    """Families of numbers whose quantile function is in closed form."""

    def noise(self, distribution: tfd.Distribution) -> "tuple[Noise, ...]":
        """One uniform number."""
        return (Noise(UNIFORM, ()),)

    def transform(
        self, distribution: tfd.Distribution, noise: tf.Tensor
    ) -> "tuple[tf.Tensor, Callable[[], tf.Tensor]]":
        """Returns the quantile of the middle of a cell of the uniform's grid: neither 0 nor 1."""
        value = self.quantile(distribution, inside(noise))
        return value, lambda: distribution.log_prob(value)

    def quantile(self, distribution: tfd.Distribution, probability: tf.Tensor) -> tf.Tensor:
        """Returns the value below which lies a share `probability`."""
        raise NotImplementedError


@family(tfd.Laplace)
class LaplaceNumbers(_Quantile):
    """The double exponential distribution."""

    def quantile(self, distribution: tfd.Distribution, probability: tf.Tensor) -> tf.Tensor:
        """Returns loc - scale sign(u) log(1 - 2 |u|) with u = p - 1/2."""
        offset = probability - 0.5
        length = -tf.math.log(1.0 - 2.0 * tf.abs(offset))
        return distribution.loc + distribution.scale * tf.sign(offset) * length

    def log_prob(self, distribution: tfd.Distribution, value: tf.Tensor) -> tf.Tensor:
        """Returns the log-density."""
        distance = tf.abs(value - distribution.loc) / distribution.scale
        return -distance - tf.math.log(2.0 * distribution.scale)


@family(tfd.Logistic)
class LogisticNumbers(_Quantile):
    """The logistic distribution."""

    def quantile(self, distribution: tfd.Distribution, probability: tf.Tensor) -> tf.Tensor:
        """Returns loc + scale logit(p)."""
        logit = tf.math.log(probability) - tf.math.log(1.0 - probability)
        return distribution.loc + distribution.scale * logit


@family(tfd.Uniform)
class UniformNumbers(_Quantile):
    """The uniform distribution on an interval."""

    def quantile(self, distribution: tfd.Distribution, probability: tf.Tensor) -> tf.Tensor:
        """Returns low + p (high - low)."""
        return distribution.low + probability * (distribution.high - distribution.low)

    def log_prob(self, distribution: tfd.Distribution, value: tf.Tensor) -> tf.Tensor:
        """Returns the log-density, -inf outside of the interval."""
        low, high = distribution.low, distribution.high
        return tf.where((value >= low) & (value < high), -tf.math.log(high - low), -math.inf)


@family(tfd.Independent)
class IndependentNumbers(Family):
    """Independent members of another family, the last axes of whose batch are the event."""

    def noise(self, distribution: tfd.Distribution) -> "tuple[Noise, ...]":
        """That of the members, for each of them."""
        inner = distribution.distribution
        axes = len(distribution.event_shape) - len(inner.event_shape)
        members = tuple(distribution.event_shape)[:axes]
        return tuple(Noise(kind, (*members, *shape)) for kind, shape in noise_of(inner))

    def transform(
        self, distribution: tfd.Distribution, *noise: tf.Tensor
    ) -> "tuple[tf.Tensor, Callable[[], tf.Tensor]]":
        """Returns the draws of the members."""
        value, each = from_noise(distribution.distribution, *noise)
        return value, lambda: self._sum(distribution, each())

    def _sum(self, distribution, each):
        axes = len(distribution.event_shape) - len(distribution.distribution.event_shape)
        return tf.reduce_sum(each, axis=list(range(-axes, 0))) if axes else each

    def log_prob(self, distribution: tfd.Distribution, value: tf.Tensor) -> tf.Tensor:
        """Returns the sum over the members."""
        return self._sum(distribution, log_prob(distribution.distribution, value))

    def kl_divergence(self, posterior: tfd.Distribution, prior: tfd.Distribution) -> tf.Tensor:
        """Returns the sum over the members, where both have such and as many."""
        axes = [len(each.event_shape) for each in (posterior, prior)]
        if not isinstance(prior, tfd.Independent) or axes[0] != axes[1]:
            return tfd.kl_divergence(posterior, prior)
        return self._sum(posterior, kl_divergence(posterior.distribution, prior.distribution))

    def centre(self, distribution: tfd.Distribution) -> tf.Tensor:
        """Returns the centres of the members."""
        return centre(distribution.distribution)

    def members(self, distribution: tfd.Distribution) -> "tfd.Distribution | None":
        """Returns the members of a vector of numbers."""
        inner = distribution.distribution
        is_vector = len(distribution.event_shape) == 1 and not inner.event_shape.rank
        return inner if is_vector else None


@family(tfd.Sample)
class IdenticalNumbers(IndependentNumbers):
    """So many independent draws of one distribution without a batch, as the base of a flow."""

    def noise(self, distribution: tfd.Distribution) -> "tuple[Noise, ...]":
        """That of the one distribution, for each draw."""
        inner = distribution.distribution
        if inner.batch_shape.rank:
            return super(IndependentNumbers, self).noise(distribution)
        return super().noise(distribution)

    def members(self, distribution: tfd.Distribution) -> "tfd.Distribution | None":
        """Returns None: there is one distribution for all dimensions."""
        return None

    def centre(self, distribution: tfd.Distribution) -> tf.Tensor:
        """Returns the one centre, for each draw."""
        return tf.broadcast_to(centre(distribution.distribution), distribution.event_shape)

    def kl_divergence(self, posterior: tfd.Distribution, prior: tfd.Distribution) -> tf.Tensor:
        """Returns TFP's."""
        return tfd.kl_divergence(posterior, prior)


@family(tfd.MixtureSameFamily)
class Mixture(Family):
    """A mixture: a uniform number picks the component. Draws are not reparameterised in it."""

    def noise(self, distribution: tfd.Distribution) -> "tuple[Noise, ...]":
        """A uniform number, and the noise of one component, which all of them share."""
        return (Noise(UNIFORM, ()), *noise_of(distribution.components_distribution))

    def _log_weights(self, distribution):
        logits = distribution.mixture_distribution.logits_parameter()
        return logits - logsumexp(logits, -1, keepdims=True)

    def transform(
        self, distribution: tfd.Distribution, uniform: tf.Tensor, *noise: tf.Tensor
    ) -> "tuple[tf.Tensor, Callable[[], tf.Tensor]]":
        """Returns draws of the components that the uniform numbers pick."""
        components = distribution.components_distribution
        event = len(components.event_shape)
        # One copy of the noise for all components, whose axis is the last of the batch.
        spread = [
            tf.expand_dims(each, -1 - len(shape))
            for each, (_, shape) in zip(noise, noise_of(components), strict=True)
        ]
        every, _ = from_noise(components, *spread)  # [*samples, *batch, K, *event]
        probs = tf.exp(self._log_weights(distribution))
        upper = tf.cumsum(probs, axis=-1)
        index = tf.reduce_sum(tf.cast(tf.expand_dims(uniform, -1) >= upper, tf.int32), axis=-1)
        count = probs.shape[-1]
        chosen = tf.one_hot(tf.minimum(index, count - 1), count)  # [*samples, *batch, K]
        chosen = tf.reshape(chosen, tf.concat([tf.shape(chosen), [1] * event], 0))
        value = tf.reduce_sum(every * chosen, axis=-1 - event)
        return value, lambda: self.log_prob(distribution, value)

    def log_prob(self, distribution: tfd.Distribution, value: tf.Tensor) -> tf.Tensor:
        """Returns the log of the weighted sum of densities."""
        components = distribution.components_distribution
        value = tf.expand_dims(value, -1 - len(components.event_shape))
        each = log_prob(components, value)
        return logsumexp(each + self._log_weights(distribution), -1)


@family(tfd.TransformedDistribution)
class Transformed(Family):
    """A flow: z = f(u), log q(z) = log q(u) - log |det f'(u)|; f is not inverted."""

    def noise(self, distribution: tfd.Distribution) -> "tuple[Noise, ...]":
        """That of the base."""
        return noise_of(distribution.distribution)

    def transform(
        self, distribution: tfd.Distribution, *noise: tf.Tensor
    ) -> "tuple[tf.Tensor, Callable[[], tf.Tensor]]":
        """Returns where the flow carries draws of the base."""
        base, base_log_prob = from_noise(distribution.distribution, *noise)
        bijector = distribution.bijector
        value = bijector.forward(base)

        def density():
            axes = len(distribution.distribution.event_shape)
            return base_log_prob() - bijector.forward_log_det_jacobian(base, event_ndims=axes)

        return value, density

    def log_prob(self, distribution: tfd.Distribution, value: tf.Tensor) -> tf.Tensor:
        """Returns the log-density of the base at f^-1(value), less log |det f'| there."""
        bijector, base = distribution.bijector, distribution.distribution
        inner = bijector.inverse(value)
        volume = bijector.forward_log_det_jacobian(inner, event_ndims=len(base.event_shape))
        return log_prob(base, inner) - volume

    def centre(self, distribution: tfd.Distribution) -> tf.Tensor:
        """Returns where the flow carries the centre of its base."""
        return distribution.bijector.forward(centre(distribution.distribution))


def normal_of(distribution: tfd.Distribution) -> "DiagonalNormal | None":
    """Returns the entry of a multivariate normal, which has `loc` and `scale`; None for others."""
    entry = family_of(distribution)
    return entry if isinstance(entry, DiagonalNormal) else None
