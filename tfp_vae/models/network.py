"""The Bayesian neural network: a network whose weights have a posterior, and a likelihood."""

import math
from typing import Any

import keras
import tensorflow as tf

from tfp_vae import keras_private, objectives
from tfp_vae.arguments import check_count, check_type
from tfp_vae.data import Kind, Split
from tfp_vae.distributions.base import registered, tfd
from tfp_vae.distributions.heads import Head
from tfp_vae.distributions.integrated import Integrated
from tfp_vae.layers import priors
from tfp_vae.layers.noise import MEAN, SHARED
from tfp_vae.layers.priors import WeightPrior
from tfp_vae.models import units
from tfp_vae.models.draw import own_random_layers
from tfp_vae.models.supervised import SupervisedModel
from tfp_vae.networks import check_ends_free, output_shape
from tfp_vae.randomness import fold_in


@registered
class BayesianNetwork(SupervisedModel):
    """p(y|x) = E_q(w)[p(y | network(x; w))], trained on mean log p(y|x, w) - KL(q(w) || p(w)) / N.

    What the layers are decides which method it is: layers of `tfp_vae.layers` are variational
    inference, `MonteCarloDropout` is Monte Carlo dropout, ordinary Keras layers are maximum
    likelihood or, with `weight_prior`, maximum a posteriori: the limit of a posterior that is a
    point, whose KL is -log p(w) and a constant. (The KL of dropout at rate r divides the squares of
    the kernels behind it by 1 - r; here it does not.)

    Args:
        network: a Keras layer or model, [B, ...] -> [B, likelihood.num_features].
        likelihood: p(y | features), from `tfp_vae.likelihoods` or any `tfp_vae.heads.Head`.
        weight_prior: prior of the weights that have no posterior, as `prior` of a Bayesian layer;
            None for none.
        objective: see `tfp_vae.objectives`; the ELBO by default.
        num_samples: S, passes with noise of their own per training step.
        num_predictive_samples: draws of the weights behind `predict`.
        seed: see `VariationalModel`.
        data_kind: see `VariationalModel`.
        num_data: see `VariationalModel`.

    Example:
        >>> data = tv.data.load("digits", kind="unit_interval")
        >>> dense = tv.layers.DenseLocalReparameterization
        >>> network = keras.Sequential(
        ...     [keras.layers.Flatten(), dense(64, activation="relu"), dense(10)]
        ... )
        >>> bnn = tv.BayesianNetwork(network, tv.likelihoods.Categorical(10))
        >>> bnn.compile(optimizer="adam")
        >>> history = bnn.fit(data.train, epochs=1, verbose=0)
        >>> bnn.predictive(data.test, num_samples=10).probs.shape
        TensorShape([359, 10])
    """

    parts = ("objective", "network", "likelihood", "weight_prior")

    def __init__(
        self,
        network: keras.Layer,
        likelihood: Head,
        weight_prior: "WeightPrior | float | str | dict | None" = None,
        objective: "objectives.Bound | None" = None,
        num_samples: int = 1,
        num_predictive_samples: int = 32,
        seed: int = 0,
        data_kind: "Kind | str | None" = None,
        num_data: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(objective, seed, data_kind, num_data, **kwargs)
        for what, value, kind, such_as in (
            ("network", network, keras.Layer, "keras.Sequential([...])"),
            ("likelihood", likelihood, Head, "tfp_vae.likelihoods.Categorical(10) or Normal()"),
        ):
            check_type(what, value, kind, "BayesianNetwork", such_as)
        if likelihood.profiles:
            raise ValueError(
                f"{type(likelihood).__name__} learns its scale from many values of each example. "
                "Expected a likelihood of targets, such as likelihoods.Normal(), or "
                "heads.Normal(scale='trained'). Received scale='shared'."
            )
        num_samples = check_count("num_samples", num_samples)
        draws = check_count("num_predictive_samples", num_predictive_samples)
        if isinstance(weight_prior, priors.Horseshoe) or weight_prior == "horseshoe":
            raise ValueError(
                "The horseshoe has a pole at 0, so that there is no maximum a posteriori. Expected "
                "another weight_prior. Received a Horseshoe."
            )
        self.network, self.likelihood = network, likelihood
        self.weight_prior = None if weight_prior is None else priors.get(weight_prior)
        self.num_samples = num_samples
        self.num_predictive_samples = draws
        self._track_accuracy()

    @property
    def head(self) -> Head:
        """The likelihood."""
        return self.likelihood

    @property
    def is_random(self) -> bool:
        """Whether two passes differ: whether there is more to predict from than one function."""
        return bool(self.random_layers())

    def build(self, input_shape: Any) -> None:
        """Builds network and likelihood for inputs [B, ...]."""
        input_shape = (None, *input_shape[1:])
        with self.at(0, MEAN):  # the network may be that of another model already
            features = output_shape(self.network, input_shape, type(self).__name__)
        if len(features) != 2 or features[-1] != self.likelihood.num_features:
            raise ValueError(
                f"Network and likelihood do not fit. Expected a network with outputs of shape "
                f"(B, {self.likelihood.num_features}), as {type(self.likelihood).__name__} needs. "
                f"Received {tuple(features)}."
            )
        check_ends_free(self.network, type(self).__name__)
        if self.integrated_layer() is not None:  # an expectation that has no form is refused here
            if not self.likelihood.built:
                self.likelihood.build(features)
            one = tf.ones([1, self.likelihood.num_features])
            self.likelihood.expected_log_prob(one, one, one[:, 0])
        units.check_first(self.network)
        if not self.likelihood.built:
            self.likelihood.build(features)
        self.event_shape = input_shape[1:]
        own_random_layers(self)
        for layer in self.collecting_layers():
            layer.attach(self.likelihood)
        self.built = True

    def call(
        self,
        x: tf.Tensor,
        training: "bool | None" = None,
        num_samples: "int | None" = None,
        seed: "int | None" = None,
    ) -> "tfd.Distribution | Integrated":
        """Returns p(y|x, w) under `num_samples` passes, a distribution with batch shape [S, B].

        With a last layer such as `DenseDeterministic` its log p is the expectation over that.
        """
        key = self.noise_key(training) if seed is None else self.caller_key(seed)
        last = self.integrated_layer()
        passes, variances = [], []
        for i in range(num_samples or self.num_samples):
            with self.at(fold_in(key, i), training=training):
                if last is None:
                    passes.append(self.likelihood(self.network(x, training=training)))
                    continue
                features = x
                for layer in self.network.layers[:-1]:
                    features = layer(features, training=training)
                mean, variance = last.moments(features)
                passes.append(mean)
                variances.append(variance)
        if last is None:
            return self.distribution(tf.stack(passes))
        return Integrated(self.likelihood, tf.stack(passes), tf.stack(variances))

    def integrated_layer(self) -> "keras.Layer | None":
        """Returns the last layer if the likelihood takes the expectation over its weights."""
        layers = self.network.layers if isinstance(self.network, keras.Sequential) else []
        return layers[-1] if layers and getattr(layers[-1], "is_integrated", False) else None

    @property
    def num_certain_layers(self) -> int:
        """How many layers of a `keras.Sequential` lie before the first that is random."""
        layers = self.network.layers if isinstance(self.network, keras.Sequential) else []
        random = {id(layer) for layer in self.random_layers()}
        for before, layer in enumerate(layers):
            if random & {id(layer), *map(id, keras_private.all_sublayers(layer))}:
                return before
        return len(layers)

    def features(self, x: tf.Tensor) -> tf.Tensor:
        """Returns what the layers before the first random one make of examples [B, ...].

        They are the same under every draw of the weights, so that S draws of a network with a
        Bayesian last layer cost little more than one pass.
        """
        for layer in self.network.layers[: self.num_certain_layers]:
            x = layer(x, training=False)
        return x

    def num_draws(self, num_samples: int) -> int:
        """Returns how many draws of the weights say all that `num_samples` would.

        One of a network of points; of layers that are one of finitely many functions, which draws
        take in turn, each once.
        """
        known = [getattr(layer, "num_functions", None) for layer in self.random_layers()]
        return num_samples if None in known else math.lcm(*known)

    def draw_parameters(self, x: tf.Tensor, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns parameters of the likelihood under draws of the weights, [S, B, Q]."""
        behind = self.num_certain_layers if self.is_random else 0
        x = self.features(x) if behind else x

        def draw(index):
            return self.at(fold_in(key, index), SHARED, number=index).parameters(x, behind)

        if not self.is_random:
            return draw(0)[tf.newaxis]
        # One draw at a time: memory holds one set of weights whatever S is.
        return tf.map_fn(
            draw,
            tf.range(self.num_draws(num_samples)),
            fn_output_signature=tf.TensorSpec([x.shape[0], None], tf.float32),
            parallel_iterations=1,
        )

    def frozen_parameters(self, x: tf.Tensor, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns `draw_parameters` with the draws as constants, [S, B, Q]."""
        passes = []
        behind = self.num_certain_layers if self.is_random else 0
        x = self.features(x) if behind else x
        for index in range(self.num_draws(num_samples)):
            with tf.init_scope():
                draw = self.at(fold_in(key, index), SHARED, frozen=True, number=index)
            passes.append(draw.parameters(x, behind))
        return tf.stack(passes)

    def mean_parameters(self, x: tf.Tensor) -> tf.Tensor:
        """Returns parameters of the likelihood with all weights at their means, [B, Q]."""
        return self.at_mean().parameters(x)

    def kl_divergence(self, num_samples: int = 1) -> "tf.Tensor | float":
        """Returns what the weights cost the bound, in nats.

        KL(q(w) || p(w)) of those with a posterior, `posterior_kl`, and -log p(v) of points with a
        prior, `point_log_prior`. With both the ELBO is a bound of log p(y, v|x).
        """
        return self.posterior_kl(num_samples) - self.point_log_prior()

    def point_log_prior(self) -> "tf.Tensor | float":
        """Returns log p(v) in nats, summed over the weights that are points; 0.0 without prior."""
        if self.weight_prior is None:
            return 0.0
        return priors.log_prob(self.weight_prior, self.point_weights())

    @property
    def has_weight_kl(self) -> bool:
        """Whether weights have a posterior or a prior."""
        return self.weight_prior is not None or super().has_weight_kl

    def point_weights(self) -> list:
        """Returns the trainable weights of the network that have no posterior of a layer."""
        owned = [w for x in self.random_layers() for w in getattr(x, "own_weights", ())]
        ids = {id(w) for w in owned}
        return [w for w in self.network.trainable_variables if id(w) not in ids]

    def take_units(self, split: Split, anew: bool = True) -> None:
        """Takes the units of the targets and the means and scales of the inputs."""
        if anew or not units.are_taken(self.likelihood.non_trainable_variables):
            self.likelihood.adapt(split)
        if found := units.standardizers(self.network):
            units.adapt(found, split.values(), anew)

    def holders(self) -> list[keras.Layer]:
        """Returns the layers that standardize, and the likelihood if it has units."""
        likelihood = [self.likelihood] if self.likelihood.has_units else []
        return [*units.standardizers(self.network), *likelihood]

    def check_split(self, split: Split) -> None:
        """Raises `ValueError` if shapes or targets do not fit; builds a model that is not built."""
        self.check_inputs(split)
        self.likelihood.check(split)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {
            **super().get_config(),
            "num_samples": self.num_samples,
            "num_predictive_samples": self.num_predictive_samples,
        }
