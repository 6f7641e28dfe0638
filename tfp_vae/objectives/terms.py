"""What every bound is made of: log-likelihoods, latents and weights under S draws.

    log w = log p(x|z) + sum_l (log p(z_l|z_>l) - log q(z_l|x, z_>l))        [S, B], nats

A term is computed when a bound asks for it, in the form that it asks for: closed or sampled KL, the
density of the posterior with its parameters held or not.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd


class Tap:
    """Scales what flows back through draws, by numbers that are known when the bound is.

    Of z = tap(z) the value is z, and the gradient is multiplied by `ratio` where it is set: so one
    backward pass gives estimators whose encoder has other weights than the model.
    """

    def __init__(self) -> None:
        self.ratio: tf.Tensor | float | None = None

    def __call__(self, value: tf.Tensor) -> tf.Tensor:
        """Returns `value`, [S, B, *event], tapped."""

        @tf.custom_gradient
        def tapped(value):
            def back(upstream):
                if self.ratio is None:
                    return upstream
                ratio = tf.cast(self.ratio, upstream.dtype)
                if ratio.shape.rank:  # [rows, B] of M2 are [S, K B] of its draws, in this order
                    axes = upstream.shape.rank
                    ones = tf.ones([axes - 2], tf.int32)
                    ratio = tf.reshape(ratio, tf.concat([tf.shape(upstream)[:2], ones], 0))
                return upstream * ratio

            return tf.identity(value), back

        return tapped(value)


class LatentTerms:
    """The terms of one latent variable, S samples of B examples, all in nats.

    Attributes:
        name: such as "z".
        is_drawn: whether its rows are draws of q; False where all values are summed over.
        tap: of the draws, None where nothing scales what flows back through them.
    """

    name: str
    is_drawn = True
    tap: "Tap | None" = None

    @property
    def log_q(self) -> tf.Tensor:
        """Log q(z|x), [S, B]."""
        raise NotImplementedError

    @property
    def log_p(self) -> tf.Tensor:
        """Log p(z), [S, B]."""
        raise NotImplementedError

    def kl(self) -> tf.Tensor:
        """Returns KL(q || p): [1, B] in closed form, else log q - log p at the samples, [S, B]."""
        return self.log_q - self.log_p

    def kl_per_dimension(self) -> "tf.Tensor | None":
        """Returns the KL of each dimension, [1, B, D], where both factorise, else None."""
        return None

    def stopped(self) -> "LatentTerms":
        """Returns the terms with the parameters of q held in log q: its path through z is left.

        Raises:
            ValueError: if they cannot be held.
        """
        raise ValueError(
            f"The parameters of q({self.name}) cannot be held. Expected a posterior whose "
            "parameters are tensors. Received one that is computed in another way."
        )

    def fixed(self) -> "LatentTerms":
        """Returns the terms with the draws held: the path of log q through its parameters is left.

        Raises:
            ValueError: if they cannot be held.
        """
        raise ValueError(
            f"The draws of {self.name} cannot be held. Expected a latent with its draws and its "
            "posterior. Received one of which only the terms are known."
        )

    def scale_path(self, ratio: "tf.Tensor | float") -> None:
        """Multiplies what flows back through the draws.

        Args:
            ratio: [rows, B], or one number.

        Raises:
            ValueError: if the draws have no tap.
        """
        if self.tap is None:
            raise ValueError(
                f"What flows back through the draws of {self.name} cannot be scaled. Expected "
                "draws with a tap, as a model makes them for its objective. Received draws "
                "without."
            )
        self.tap.ratio = ratio


class Latent(LatentTerms):
    """A latent variable with its draws and the two distributions that they are judged by.

    Args:
        name: such as "z".
        value: draws, [S, B, *event].
        posterior: q(z|x, above), batch shape [B] or [S, B].
        prior: p(z|above), batch shape [], [B] or [S, B].
        log_q: a function that returns log q at the draws, where they were made with it.
        tap: that `value` has gone through.
    """

    def __init__(
        self,
        name: str,
        value: tf.Tensor,
        posterior: tfd.Distribution,
        prior: tfd.Distribution,
        log_q: "Callable[[], tf.Tensor] | None" = None,
        tap: "Tap | None" = None,
    ):
        self.name, self.value = name, value
        self.posterior, self.prior = posterior, prior
        self._log_q, self.tap = log_q, tap
        self._known: dict[str, tf.Tensor] = {}

    def _once(self, name, make):
        if name not in self._known:
            self._known[name] = make()
        return self._known[name]

    @property
    def log_q(self) -> tf.Tensor:
        """Log q(z|x), [S, B]; of a flow without inverting it."""
        make = self._log_q or (lambda: draws.log_prob(self.posterior, self.value))
        return self._once("log_q", make)

    @property
    def log_p(self) -> tf.Tensor:
        """Log p(z), [S, B]."""
        return self._once("log_p", lambda: draws.log_prob(self.prior, self.value))

    def kl(self) -> tf.Tensor:
        """Returns KL(q || p), [1 or S, B], or at the samples where there is no closed form."""

        def make():
            try:
                found = draws.kl_divergence(self.posterior, self.prior)
            except NotImplementedError:
                return self.log_q - self.log_p
            return found if found.shape.rank == 2 else found[tf.newaxis]

        return self._once("kl", make)

    def kl_per_dimension(self) -> "tf.Tensor | None":
        """Returns the KL of each dimension, [1 or S, B, D], if q and p factorise."""
        found = kl_per_dimension(self.posterior, self.prior, self.value)
        return found if found is None or found.shape.rank == 3 else found[tf.newaxis]

    def stopped(self) -> "LatentTerms":
        """Returns the latent with the parameters of q held in log q (Roeder et al., 2017)."""
        try:
            held = draws.held(self.posterior)
        except ValueError:
            return super().stopped()
        return Latent(self.name, self.value, held, self.prior, tap=self.tap)

    def at(self, value: tf.Tensor) -> "Latent":
        """Returns the latent at other values, [S, B, *event]."""
        return Latent(self.name, value, self.posterior, self.prior)

    def fixed(self) -> "LatentTerms":
        """Returns the latent with its draws held, for score functions."""
        return Latent(self.name, tf.stop_gradient(self.value), self.posterior, self.prior)


class Enumerated(Latent):
    """A latent variable whose rows are all of its values, each with its mass q(z|x).

    See `Latent` for the arguments. A sum has no estimator, see `KnownLatent`.
    """

    is_drawn = False

    def kl(self) -> tf.Tensor:
        """Returns log q - log p of each value, [S, B]."""
        return self.log_q - self.log_p

    def stopped(self) -> "LatentTerms":
        """Returns itself."""
        return self

    def fixed(self) -> "LatentTerms":
        """Returns itself."""
        return self


def log_mass_of(latents: "tuple[LatentTerms, ...]") -> "tf.Tensor | None":
    """Returns `Terms.log_mass` of latents one of which may be enumerated, [S, B] or None."""
    found = [latent.log_q for latent in latents if isinstance(latent, Enumerated)]
    return found[0] if found else None


class KnownLatent(LatentTerms):
    """A latent variable whose terms are given: a class that is summed over, a row per class.

    A sum has no estimator: its derivative is that of all its terms, whatever is held elsewhere.

    Args:
        name: such as "y".
        log_q: [S, B].
        log_p: [S, B].
        kl: [1 or S, B]; log q - log p by default.
    """

    is_drawn = False

    def __init__(
        self, name: str, log_q: tf.Tensor, log_p: tf.Tensor, kl: "tf.Tensor | None" = None
    ):
        self.name, self._log_q, self._log_p, self._kl = name, log_q, log_p, kl

    @property
    def log_q(self) -> tf.Tensor:
        """Log q, [S, B]."""
        return self._log_q

    @property
    def log_p(self) -> tf.Tensor:
        """Log p, [S, B]."""
        return self._log_p

    def kl(self) -> tf.Tensor:
        """Returns KL(q || p), [1 or S, B]."""
        return self.log_q - self.log_p if self._kl is None else self._kl

    def stopped(self) -> "LatentTerms":
        """Returns itself."""
        return self

    def fixed(self) -> "LatentTerms":
        """Returns itself."""
        return self


class Reshaped(LatentTerms):
    """The terms of a latent in other rows, such as [S, K B] as [S K, B].

    Args:
        latent: the latent.
        rows: a function of tensors [1 or S, ...] to those of the rows.
    """

    def __init__(self, latent: LatentTerms, rows: Callable[[tf.Tensor], tf.Tensor]):
        self.name, self._latent, self._rows = latent.name, latent, rows
        self.is_drawn, self.tap = latent.is_drawn, latent.tap

    @property
    def log_q(self) -> tf.Tensor:
        """Log q(z|x), by rows."""
        return self._rows(self._latent.log_q)

    @property
    def log_p(self) -> tf.Tensor:
        """Log p(z), by rows."""
        return self._rows(self._latent.log_p)

    def kl(self) -> tf.Tensor:
        """Returns KL(q || p), by rows."""
        return self._rows(self._latent.kl())

    def stopped(self) -> "LatentTerms":
        """Returns the terms with the parameters of q held in log q."""
        return Reshaped(self._latent.stopped(), self._rows)

    def fixed(self) -> "LatentTerms":
        """Returns the terms with the draws held."""
        return Reshaped(self._latent.fixed(), self._rows)


class WeightTerms(NamedTuple):
    """What the weights add to a bound.

    Attributes:
        kl: KL(q(w) || p(w)), [], nats, summed over all weights.
        num_data: N, the size of the training set, that `kl` is divided by.
    """

    kl: "tf.Tensor | float" = 0.0
    num_data: float = 1.0

    def per_example(self) -> "tf.Tensor | float":
        """Returns KL / N, nats per example."""
        return self.kl / self.num_data


class Terms(NamedTuple):
    """What every bound is made of; S samples, B examples; all in nats.

    Attributes:
        log_likelihood: log p(x|z), [S, B].
        latents: the terms of the latent variables, top first; () for a network of weights alone.
        log_mass: log of the share of each row in an expectation, [S, B]; None for -log S. Rows of
            enumerated classes have log q(y|x) - log S, with 0 and -inf in the place of log q where
            the class is known.
        weights: of the weights.
        sample_weight: [B] weights of the examples, or None.
        rows_per_draw: R, rows next to each other that one draw has: a row of each class.
    """

    log_likelihood: tf.Tensor
    latents: "tuple[LatentTerms, ...]" = ()
    log_mass: "tf.Tensor | None" = None
    weights: WeightTerms = WeightTerms()
    sample_weight: "tf.Tensor | None" = None
    rows_per_draw: int = 1

    def log_weights(self, kl_weight: "tf.Tensor | float" = 1.0) -> tf.Tensor:
        """Returns log p(x, z) - log q(z|x), [S, B]: the log importance weights.

        Args:
            kl_weight: beta, for log p(x|z) + beta (log p(z) - log q(z|x)).
        """
        total = self.log_likelihood
        plain = isinstance(kl_weight, float) and kl_weight == 1.0
        for latent in self.latents:
            ratio = latent.log_p - latent.log_q
            total = total + (ratio if plain else kl_weight * ratio)
        return total

    def log_shares(self) -> tf.Tensor:
        """Returns `log_mass`, or -log S in its place, [S, B]."""
        if self.log_mass is not None:
            return self.log_mass
        rows = tf.cast(tf.shape(self.log_likelihood)[0], tf.float32)
        return tf.zeros_like(self.log_likelihood) - tf.math.log(rows)

    def log_q_of_draws(self) -> tf.Tensor:
        """Returns log q of all latents that are drawn, [S, B]."""
        total = tf.zeros_like(self.log_likelihood)
        for latent in self.latents:
            if latent.is_drawn:
                total = total + latent.log_q
        return total

    def mean(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the expectation over the rows, [1 or S, B] -> [B]."""
        if self.log_mass is None:
            return tf.reduce_mean(values, axis=0)
        # A row of mass 0 counts for nothing, whatever is in it.
        return tf.reduce_sum(tf.math.multiply_no_nan(values, tf.exp(self.log_mass)), axis=0)

    def reconstruction(self) -> tf.Tensor:
        """Returns E_q[log p(x|z)], [B]."""
        return self.mean(self.log_likelihood)

    def kl(self) -> tf.Tensor:
        """Returns the KL of all latents, [B]."""
        total = tf.zeros_like(self.log_likelihood[0])
        for latent in self.latents:
            total += self.mean(latent.kl())
        return total

    def stopped(self) -> "Terms":
        """Returns the terms with the parameters of every q held in log q."""
        return self._replace(latents=tuple(latent.stopped() for latent in self.latents))

    def fixed(self) -> "Terms":
        """Returns the terms with all draws held, in log q and in log p of the latents."""
        return self._replace(latents=tuple(latent.fixed() for latent in self.latents))

    def scale_path(self, ratio: "tf.Tensor | float") -> None:
        """Multiplies what flows back through the draws by `ratio`, [S, B] or a number."""
        for latent in self.latents:
            if latent.is_drawn:
                latent.scale_path(ratio)


def kl_per_dimension(
    posterior: tfd.Distribution, prior: tfd.Distribution, value: "tf.Tensor | None" = None
) -> "tf.Tensor | None":
    """Returns KL of each latent dimension, nats, if both distributions factorise, else None.

    Args:
        posterior: q(z|x), batch shape [B] or [S, B].
        prior: p(z).
        value: draws of q, [S, B, D], for pairs whose KL has no closed form.

    Returns:
        [B, D] (or [S, B, D]) in closed form, else log q - log p of each dimension at the draws, [S,
        B, D]; None without either.
    """
    q, p = draws.members(posterior), draws.members(prior)
    if q is None or p is None:
        return None
    try:
        return draws.kl_divergence(q, p)
    except NotImplementedError:
        return None if value is None else q.log_prob(value) - p.log_prob(value)


def batch_mean(values: tf.Tensor, sample_weight: "tf.Tensor | None" = None) -> tf.Tensor:
    """Returns the mean over the batch, [B, ...] -> [...], of values times their weights.

    As everywhere in Keras the divisor is B, not the sum of the weights, so that a weight of 2 is
    the same as seeing the example twice.
    """
    if sample_weight is not None:
        weight = tf.cast(sample_weight, values.dtype)
        values = values * tf.reshape(weight, [-1] + [1] * (values.shape.rank - 1))
    # A replica may be left without rows by a short last batch: its part is 0, not 0 / 0.
    count = tf.cast(tf.shape(values)[0], values.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(values, axis=0), count)
