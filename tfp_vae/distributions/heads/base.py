"""What a head is: everything that one family of p(value | features) knows.

    features [..., F] -> parameters [..., Q] -> distribution, batch shape [...], event shape []

The same head is the end of a decoder, where the value is one of an example's (a pixel, a column of
a table), and the likelihood of a network, where it is the target. A head of yours is one file:

    @heads.HEADS.register("student_t", "a real number with heavy tails")   # , "targets" of y alone
    @keras.saving.register_keras_serializable(package="mine")
    class StudentT(heads.Head):
        num_features = 2

        def parameters(self, features):
            return tf.stack([features[..., 0], positive(features[..., 1])], axis=-1)

        def distribution(self, parameters):
            return tfd.StudentT(4.0, parameters[..., 0], parameters[..., 1])

`tfp_vae.testing.check_head(StudentT())` tries it. So it trains, is evaluated, saved and loaded.
Exports use TFP's own forms of log p and mean, and leave out, with the reason, what a format has no
operations for; `portable_log_prob` and its like are for those. `fisher_root` is for Laplace
approximations, `expected_log_prob` for last layers that are integrated out, `steps` for the page of
a decoder, `tables` for a codec.
"""

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.data import Kind, Split, kinds
from tfp_vae.distributions.base import tfd
from tfp_vae.registry import Registry

registered = keras.saving.register_keras_serializable(package="tfp_vae.heads")


# Those of targets alone are the group "targets"; a decoder takes all others.
HEADS = Registry(
    "tfp_vae.distributions.heads",
    "head",
    first=("bernoulli", "continuous_bernoulli", "normal", "discretized_logistic", "categorical"),
)


class Head(keras.Layer):
    """p(value | features), independently for every value: calling it gives the parameters.

    The parameters are all that `distribution` needs: it owns no variable, so that parameters can be
    stacked over draws of the weights, averaged and exported.

    A subclass gives `distribution`; `parameters` and `num_features` unless one feature is the one
    parameter; `kinds` if values of examples are not real; `check` and `adapt` if targets are
    not real numbers or have units.

    Attributes:
        kinds: the kinds of values of examples that this is a density or mass function of; empty for
            a head of targets alone.
        preferred_kind: the one of them that grey images are turned into when nobody says.
        num_features: F, numbers per value that the network has to put out.
        task: of targets, "classification" or "regression".
        is_discrete: whether log p is the log of a probability, not of a density.
        profiles: whether something of it is not trained but set, in training, to its optimum for
            each batch of examples, see `profiled`.
        support: (low, high) of a density that is not on all real numbers, or None.
    """

    kinds: "frozenset[Kind]" = frozenset({Kind.UNIT_INTERVAL, Kind.REAL})
    preferred_kind: Kind = Kind.UNIT_INTERVAL
    num_features: int = 1
    task: str = "regression"
    is_discrete: bool = False
    profiles: bool = False
    support: "tuple[float, float] | None" = None

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Returns `parameters` in float32, whatever the compute dtype was."""
        return self.parameters(tf.cast(features, tf.float32))

    def parameters(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the parameters, float32 [..., F] -> [..., Q]; the features unless overridden."""
        return features

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns the distribution of values, [..., Q] -> batch shape [...], event shape []."""
        raise NotImplementedError(
            f"{type(self).__name__} has no distribution. Expected a method "
            "distribution(parameters) that returns a tfp distribution. Received none."
        )

    def joint(self, parameters: tf.Tensor, axes: int) -> tfd.Distribution:
        """Returns the distribution of whole examples, whose values are independent.

        Args:
            parameters: [..., *event, Q].
            axes: of the event.
        """
        return tfd.Independent(self.distribution(parameters), axes)

    def likelihood(self, features: tf.Tensor, axes: int = 0) -> tfd.Distribution:
        """Returns p(example | features): `joint` of `parameters`, without a detour if there is one.

        Args:
            features: float32 [..., *event, F].
            axes: of the event.
        """
        return self.joint(self.parameters(features), axes)

    def profiled(
        self, features: tf.Tensor, x: tf.Tensor, axes: int, weight: "tf.Tensor | None" = None
    ) -> tfd.Distribution:
        """Returns `likelihood` at the optimum, for a batch in training, of what is not trained.

        A head that `profiles` keeps a running value of it, for evaluation; here it is `likelihood`.

        Args:
            features: float32 [S, B, *event, F].
            x: the examples, [B, *event].
            axes: of the event.
            weight: of each example, [B], or None.
        """
        del x, weight
        return self.likelihood(features, axes)

    def without_profile(self) -> "Head":
        """Returns a head that trains what this one sets to an optimum; itself where it sets none.

        For decoders whose values are not independent given z: the optimum is another there.
        """
        return self

    def squared_deviations(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns ((x - loc) / scale)^2 of every value, [..., Q] and [...] -> [...].

        Its mean is 1 at the best common factor on the scales.
        """
        raise self.lacks("squared_deviations")

    # The data.

    def check_kind(self, kind: Kind) -> None:
        """Raises `ValueError`, naming the ways out, if values of `kind` have no likelihood."""
        if kind in self.kinds:
            return
        ways = _ways_out(kind)
        expected = f"kind {' or '.join(sorted(self.kinds))}" if self.kinds else "it for targets"
        raise ValueError(
            f"{type(self).__name__} does not fit {_in_words(kind)} values. Expected "
            f"{expected}. Received kind '{kind}'. Ways out: "
            + "; ".join(f"({i}) {way}" for i, way in enumerate(ways, 1))
            + "."
        )

    def check(self, split: Split) -> None:
        """Raises `ValueError` if the targets of `split` have no probability: here, are not real."""
        if split.targets is None:
            labels = "no targets" if split.labels is None else "class labels"
            raise ValueError(
                f"{type(self).__name__} is a likelihood of real targets. Expected a {split.name} "
                f"split with targets. Received one with {labels}."
            )
        if split.targets.ndim != 1:
            raise ValueError(
                f"{type(self).__name__} has one target per example. Expected {split.name} targets "
                f"of shape (N,). Received {split.targets.shape}."
            )
        if not self.kinds or Kind.REAL in self.kinds:
            return
        binary = self.kinds <= kinds.BINARY
        wanted = kinds.violation(split.targets, Kind.STATIC if binary else self.preferred_kind)
        if wanted:
            raise ValueError(
                f"{type(self).__name__} has no probability of the {split.name} targets. Expected "
                f"{wanted}. Received targets from {split.targets.min():g} to "
                f"{split.targets.max():g}."
            )

    def adapt(self, split: Split) -> None:
        """Takes what has to be known of the training targets, such as their units; here nothing."""

    def adapt_to(self, values: np.ndarray) -> None:
        """Takes what has to be known of training examples [N, *event]; here nothing."""

    @property
    def has_units(self) -> bool:
        """Whether `adapt` takes numbers from the data, which are weights that are not trained."""
        return bool(self.non_trainable_variables)

    @property
    def shared_scale(self) -> "tf.Tensor | None":
        """The one learned standard deviation of all normal targets, in their units; or None."""
        return None

    def set_shared_scale(self, scale: float) -> None:
        """Sets `shared_scale`, of a head that has one."""
        raise ValueError(
            f"{type(self).__name__} has no learned scale. Expected a head with shared_scale. "
            f"Received the scale {scale}."
        )

    # For other runtimes: TFP's own forms, unless the head has some by operations that all have.

    def portable_log_prob(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns log p of every value, by operations that ONNX and LiteRT have, nats.

        Args:
            parameters: [..., Q].
            x: values [...].
        """
        return self.distribution(parameters).log_prob(x)

    def portable_mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the mean, by operations that ONNX and LiteRT have, [..., Q] -> [...]."""
        return self.distribution(parameters).mean()

    def portable_variance(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the variance, by operations that ONNX and LiteRT have, [..., Q] -> [...]."""
        return self.distribution(parameters).variance()

    def log_probs(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns log p of every class by operations that all have, [..., Q] -> [..., K], nats."""
        return tf.nn.log_softmax(self.distribution(parameters).logits_parameter())

    # Abilities: without them something cannot be done, and the default says what.

    def has(self, ability: str) -> bool:
        """Returns whether the class overrides a method, such as "fisher_root"."""
        return getattr(type(self), ability) is not getattr(Head, ability)

    def fisher_root(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns R with R'R the Fisher information of the parameters, [..., Q] -> [..., R, Q]."""
        raise self.lacks("fisher_root")

    def expected_log_prob(
        self, mean: tf.Tensor, variance: tf.Tensor, value: tf.Tensor
    ) -> tf.Tensor:
        """Returns E[log p(value | f)] over f ~ N(mean, variance), or a bound below it, nats [...].

        Args:
            mean: of independent normal features, float32 [..., F].
            variance: of each, [..., F].
            value: targets, [...].
        """
        raise self.lacks("expected_log_prob")

    def steps(self) -> dict:
        """Returns how a page finds the mean in the features of a value, JSON-ready.

        {"mean": a name in `means` of export/page/templates/decoder.js, and what that needs}.
        """
        raise self.lacks("steps")

    def nodes(self, parameters: tf.Tensor) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns values and log masses that an expectation is a sum over, [n] or [..., n] each.

        Args:
            parameters: [..., Q].
        """
        raise self.lacks("nodes")

    def exposed(self, parameters: tf.Tensor, log_exposure: tf.Tensor) -> tf.Tensor:
        """Returns the parameters of counts at an exposure of those at 1, [..., Q].

        Args:
            parameters: [..., Q].
            log_exposure: [...].
        """
        raise self.lacks("exposed")

    def adapt_exposed(self, split: Split, exposure: np.ndarray) -> None:
        """Takes what `adapt` takes, of counts at exposures [N], as if each of them was 1."""
        raise self.lacks("exposed")

    def tables(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the probabilities of all values in order, [..., Q] -> [..., n]: for a codec.

        They are of the dtype of the parameters, which a codec has in float64.
        """
        raise self.lacks("tables")

    def lacks(self, ability: str) -> ValueError:
        """Returns the error of an ability that the class does not override."""
        return ValueError(
            f"{type(self).__name__} has no {_ABILITIES[ability]}. Expected a head with a method "
            f"{ability} (help(tfp_vae.heads.Head.{ability}) says what it returns). Received one "
            "without it."
        )


_ABILITIES = {
    "fisher_root": "Fisher information, which a Laplace approximation is made of",
    "expected_log_prob": "expectation of log p over normal features, which an estimator without "
    "noise is made of",
    "squared_deviations": "location and scale, which a look at the scale needs",
    "steps": "mean that a page can draw",
    "nodes": "values that an expectation is a sum over, which cells that are missing not at random "
    "need",
    "exposed": "rate that an exposure could multiply",
    "tables": "table of probabilities, which a codec needs",
}
# Kinds that values of a kind can be turned into, and how.
_GREY = (Kind.UNIT_INTERVAL, Kind.EIGHT_BIT)


def _in_words(kind: Kind) -> str:
    if kind in _GREY:
        return "grey"
    return "binary" if kind.is_binary else "real"


def _heads_of(kind: Kind) -> str:
    names = [HEADS[name].__name__ for name in HEADS if kind in HEADS[name].kinds]
    return f"the {' or '.join(names)} likelihood"


def _ways_out(kind: Kind) -> "list[str]":
    if kind in _GREY:
        binary = f"binarise the data (kind 'dynamic' or 'threshold') for {_heads_of(Kind.DYNAMIC)}"
        return [binary, *(f"use {_heads_of(grey)} (kind '{grey}')" for grey in _GREY)]
    if kind.is_binary:
        return [f"use {_heads_of(kind)}", "keep the grey values (kind 'eight_bit')"]
    return [f"use {_heads_of(kind)}", "scale the data to [0, 1]"]
