"""Approximations of the posterior over the weights of an ordinary network.

They start from a `BayesianNetwork` of ordinary Keras layers with a `weight_prior`, trained to its
maximum a posteriori point, and have one thing in common: they draw sets of weights. Predicting
from a set is running the network's own code with other weights.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.data import Split
from tfp_vae.models.ensemble import Ensemble
from tfp_vae.models.graphs import forget
from tfp_vae.models.network import BayesianNetwork
from tfp_vae.models.predictive import Predictor
from tfp_vae.models.variational import VariationalModel
from tfp_vae.randomness import fold_in


class WeightPosterior(Predictor):
    """A distribution over all trainable weights of a network with a likelihood, as one vector [P].

    A subclass has `draw`. The weights are those of `network` and `likelihood` in Keras' order, each
    row by row, one after the other.

    Args:
        model: a trained `BayesianNetwork` without Bayesian layers.

    Attributes:
        needs_prior: whether the prior is that of the model.
        has_networks: whether a draw is the network itself with other weights.

    Raises:
        ValueError: if the model has Bayesian layers, no prior, or was never trained.
    """

    needs_prior: ClassVar[bool] = True
    has_networks: ClassVar[bool] = True

    def __init__(self, model: BayesianNetwork):
        name = type(self).__name__
        if not isinstance(model, BayesianNetwork) or model.is_random:
            raise ValueError(
                f"{name} is a posterior over ordinary weights. Expected a BayesianNetwork without "
                f"Bayesian layers or Monte Carlo dropout. Received {model!r}."
            )
        if self.needs_prior and model.weight_prior is None:
            raise ValueError(
                f"{name} needs a prior. Expected a model with weight_prior. Received one without."
            )
        if not model.built or model.num_data is None:
            raise ValueError(f"{name} starts from a trained model. Expected one. Received {model}.")
        self.network_model = model
        self.variables = list(model.trainable_variables)
        self.shapes = [tuple(v.shape) for v in self.variables]
        self.sizes = [int(np.prod(shape)) for shape in self.shapes]

    def trained_model(self) -> BayesianNetwork:
        """Returns the model that the weights belong to."""
        return self.network_model

    @property
    def num_weights(self) -> int:
        """P."""
        return sum(self.sizes)

    def draw(self, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns draws of the weights, [S, P]."""
        raise NotImplementedError

    def point(self) -> tf.Tensor:
        """Returns the weights that the model has now, [P]."""
        return tf.concat([tf.reshape(v, [-1]) for v in self.variables], axis=0)

    def split(self, vector: tf.Tensor) -> list[tf.Tensor]:
        """Cuts a vector [P] into the weights."""
        parts = tf.split(vector, self.sizes)
        return [tf.reshape(p, shape) for p, shape in zip(parts, self.shapes, strict=True)]

    def with_weights(self, vector: tf.Tensor, function: Callable) -> Any:
        """Returns `function()` while the weights are `vector` [P]."""
        mapping = list(zip(self.variables, self.split(vector), strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function()

    def parameters(self, x: tf.Tensor) -> tf.Tensor:
        """Returns parameters of the likelihood, [B, Q], with the weights in force."""
        model = self.network_model
        return model.likelihood(model.network(x, training=False))

    def _forget(self):
        # Compiled draws have what they drew from in them as constants.
        forget(self)

    def log_likelihood(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Returns log p(y|x, w) of each example, [B], with the weights in force."""
        likelihood = self.network_model.distribution(self.parameters(x))
        return likelihood.log_prob(tf.cast(y, likelihood.dtype))

    def log_joint(self, vector: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Returns log p(y|x, w) + log p(w) of all data and the weights `vector` [P], a scalar.

        Weights without a prior of their own, such as the scale of a normal likelihood, have a flat
        one on the unconstrained variable.
        """
        return self.with_weights(
            vector,
            lambda: tf.reduce_sum(self.log_likelihood(x, y)) - self.network_model.kl_divergence(),
        )

    def draw_parameters(self, x: tf.Tensor, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns parameters of the likelihood under draws of the weights, [S, B, Q]."""

        def one(index):  # one set of weights in memory at a time, whatever S is
            return self.parameters_of(self.draw(1, fold_in(key, index)), x)[0]

        return tf.map_fn(
            one,
            tf.range(num_samples),
            fn_output_signature=tf.TensorSpec([x.shape[0], None], tf.float32),
            parallel_iterations=1,
        )

    def parameters_of(self, draws: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns parameters of the likelihood for weights [S, P], [S, B, Q]."""
        return tf.map_fn(
            lambda vector: self.parameters_with(vector, x),
            draws,
            fn_output_signature=tf.TensorSpec([x.shape[0], None], tf.float32),
            parallel_iterations=1,
        )

    def parameters_with(self, vector: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns parameters of the likelihood for weights [P], [B, Q]."""
        return self.with_weights(vector, lambda: self.parameters(x))

    def frozen_parameters(self, x: tf.Tensor, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns `draw_parameters` with the draws as constants, [S, B, Q]."""
        with tf.init_scope():
            draws = self.frozen_draws(num_samples, key)
        return tf.stack([self.parameters_with(draw, x) for draw in draws])

    def as_model(self, num_samples: int = 32, seed: int | None = None) -> VariationalModel:
        """Returns the posterior as a Keras model, which is saved, loaded and exported as one.

        An `Ensemble` of draws, see `as_ensemble`, unless a posterior has a form of its own.
        """
        return self.as_ensemble(num_samples, seed)

    def as_ensemble(self, num_samples: int = 32, seed: int | None = None) -> Ensemble:
        """Returns draws as the members of an ensemble, a Keras model, saved and exported as one.

        Its predictions are those of `predictive` with so many draws and this seed.

        Args:
            num_samples: S, members; fewer where there are fewer draws.
            seed: fixes the draws; the model's seed by default.

        Raises:
            ValueError: if a draw is more than other weights, as in a linearised network.
        """
        if not self.has_networks:
            raise ValueError(
                f"A draw of {type(self).__name__} is a linearised network. Expected a posterior "
                "whose draws are networks. Received one that predicts by slopes."
            )
        model = self.network_model
        draws = self.frozen_draws(check_count("num_samples", num_samples), model.caller_key(seed))
        parts = zip(*(self.split(draw) for draw in draws), strict=True)
        drawn = {id(v): tf.stack(each) for v, each in zip(self.variables, parts, strict=True)}
        found = Ensemble(model, len(draws), seed=model.seed, data_kind=model.data_kind)
        for weight, stack in zip(model.weights, found.stacks, strict=True):
            known = tf.convert_to_tensor(weight)
            stack.assign(drawn.get(id(weight), tf.stack([known] * len(draws))))
        found.num_data, found.columns = model.num_data, model.columns
        found.class_names = model.class_names
        return found

    def frozen_draws(self, num_samples: int, key: tf.Tensor) -> list[tf.Tensor]:
        """Returns the weights that `draw_parameters` predicts from, [P] each."""
        return [self.draw(1, fold_in(key, index))[0] for index in range(num_samples)]


class WeightSamples(WeightPosterior):
    """Weights that were drawn before, such as by Markov chain Monte Carlo.

    Args:
        model: the model that the weights belong to.
        samples: [S, P], used evenly from first to last.
    """

    def __init__(self, model: BayesianNetwork, samples: Any):
        super().__init__(model)
        self.samples = tf.convert_to_tensor(samples, tf.float32)
        if self.samples.shape.rank != 2 or self.samples.shape[1] != self.num_weights:
            raise ValueError(
                f"The samples do not fit the model. Expected shape (S, {self.num_weights}). "
                f"Received {tuple(self.samples.shape)}."
            )

    def draw_parameters(self, x: tf.Tensor, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns parameters of the likelihood under the samples, [S, B, Q]."""
        return self.parameters_of(self.draw(num_samples, key), x)

    def frozen_draws(self, num_samples: int, key: tf.Tensor) -> list[tf.Tensor]:
        """Returns the samples that `draw_parameters` predicts from, [P] each."""
        return list(self.draw(num_samples, key))

    def draw(self, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns `num_samples` of the samples, evenly spaced; all of them if there are fewer."""
        del key
        have = self.samples.shape[0]
        if num_samples >= have:
            return self.samples
        return tf.gather(self.samples, np.linspace(0, have - 1, num_samples).round().astype(int))


def copied(model: "BayesianNetwork | Ensemble", split: "Split | None" = None) -> Any:
    """Returns a model with the same weights and units, which may be trained in its place.

    Args:
        model: trained.
        split: what the copy is trained on, if it is.
    """
    copy = type(model).from_config(model.get_config())
    if not copy.built:
        copy.build((None, *model.event_shape))
    for new, old in zip(copy.weights, model.weights, strict=True):
        new.assign(old)
    # Without a kind it would take units of its own.
    copy.data_kind = model.data_kind or (None if split is None else split.kind)
    return copy


def flat(stacks: "list[np.ndarray]") -> np.ndarray:
    """Returns stacked weights [M, ...] side by side, [M, P], float32."""
    return np.concatenate([np.reshape(s, (len(s), -1)) for s in stacks], axis=1, dtype=np.float32)
