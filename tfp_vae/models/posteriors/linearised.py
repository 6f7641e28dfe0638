"""A Laplace approximation as a Keras model: saved, loaded and exported like every other one."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_type, is_count
from tfp_vae.data import Kind, Split
from tfp_vae.distributions.base import registered, tfd
from tfp_vae.distributions.heads import Head
from tfp_vae.models.network import BayesianNetwork
from tfp_vae.models.posteriors.laplace import Laplace
from tfp_vae.models.posteriors.weights import copied
from tfp_vae.models.supervised import SupervisedModel


@registered
class LinearisedNetwork(SupervisedModel):
    """A network linearised at its trained point, with a normal distribution of its weights.

    `Laplace.as_model` makes one. It predicts as that posterior does; it has no training, so it
    cannot be compiled, and no bound.

    Args:
        pattern: the `BayesianNetwork` at its trained point.
        structure: as `Laplace` has it.
        layers: as `Laplace` has it.
        predictive: as `Laplace` has it.
        kept: {name: shape} of what the structure keeps, the point of the weights among them.
        input_shape: shape of an example; needed if `pattern` is not built yet.
        seed: see `VariationalModel`.
        data_kind: see `VariationalModel`.
        num_data: see `VariationalModel`.

    Raises:
        ValueError: for a pattern that `Laplace` does not take, or names and shapes that are no
            part of the structure.
    """

    parts = ("pattern",)

    def __init__(
        self,
        pattern: BayesianNetwork,
        structure: str,
        layers: str,
        predictive: str,
        kept: "Mapping[str, Sequence[int]]",
        input_shape: "Sequence[int] | None" = None,
        seed: int = 0,
        data_kind: "Kind | str | None" = None,
        num_data: int | None = None,
        **kwargs: Any,
    ):
        check_type("pattern", pattern, BayesianNetwork, type(self).__name__)
        super().__init__(pattern.objective, seed, data_kind, num_data, **kwargs)
        if not pattern.built:
            pattern.build((None, *(input_shape or ())))
        pattern.num_data = pattern.num_data or num_data
        self.pattern = pattern
        self.event_shape = tuple(pattern.event_shape)
        self._laplace = Laplace(pattern, structure, layers, predictive=predictive)
        self.kept = {}
        for name, shape in dict(kept).items():
            if not str(name).isidentifier() or not all(map(is_count, shape)):
                raise ValueError(
                    "Impossible parts of a posterior. Expected names with shapes, such as "
                    f"{{'scale': [100]}}. Received {name!r}: {shape!r}."
                )
            self.kept[name] = self.add_weight(
                name=name, shape=tuple(shape), initializer="zeros", trainable=False, autocast=False
            )
        self._laplace.restore(self.kept)
        self._track_accuracy()
        self.built = True

    @property
    def head(self) -> Head:
        """The network's likelihood."""
        return self.pattern.likelihood

    @property
    def num_predictive_samples(self) -> int:
        """Draws behind `predict`."""
        return self.pattern.num_predictive_samples

    @property
    def is_random(self) -> bool:
        """Whether two draws differ: not with "probit"."""
        return self._laplace.is_random

    def call(
        self, x: tf.Tensor, training: "bool | None" = None, seed: "int | None" = None
    ) -> tfd.Distribution:
        """Returns the likelihood under one draw of the weights, batch shape [1, B]."""
        del training
        return self.distribution(self.draw_parameters(x, 1, self.caller_key(seed)))

    def draw_parameters(self, x: tf.Tensor, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns parameters of the likelihood, [S, B, Q]; S is 1 with "probit"."""
        return self._laplace.draw_parameters(x, num_samples, key)

    def frozen_parameters(self, x: tf.Tensor, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns `draw_parameters` with the draws as constants, [S, B, Q]."""
        return self._laplace.frozen_parameters(x, num_samples, key)

    def check_split(self, split: Split) -> None:
        """Raises `ValueError` if shapes or targets do not fit."""
        self.check_inputs(split)
        self.pattern.likelihood.check(split)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Raises `ValueError`: the posterior was found, and nothing is left to train."""
        raise ValueError(
            "A Laplace approximation has no training. Expected predictive, predict, save or "
            "export; its network is `pattern`, and Laplace(pattern).fit(split) finds the curvature "
            "anew. Received compile."
        )

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {
            **super().get_config(),
            "structure": self._laplace.structure,
            "layers": self._laplace.layers,
            "predictive": self._laplace.form,
            "kept": {name: list(value.shape) for name, value in self.kept.items()},
            "input_shape": list(self.event_shape),
        }


def as_model(posterior: Laplace) -> LinearisedNetwork:
    """Returns a fitted posterior as a model of its own, with a copy of the network."""
    model = posterior.network_model
    kept = posterior.curvature.variables
    found = LinearisedNetwork(
        copied(model),
        posterior.structure,
        posterior.layers,
        posterior.form,
        {name: tuple(value.shape) for name, value in kept.items()},
        seed=model.seed,
        data_kind=model.data_kind,
        num_data=model.num_data,
    )
    for name, value in kept.items():
        found.kept[name].assign(keras.ops.convert_to_tensor(value))
    found.columns, found.class_names = model.columns, model.class_names
    found.conformal = posterior.conformal
    return found
