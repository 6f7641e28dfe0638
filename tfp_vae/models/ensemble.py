"""Many networks at once: deep ensembles, and the same model on many data sets.

The weights of the members are stacked, and one vectorised map runs the member's own code over the
stack: a small network then costs one batched matrix product instead of many small ones.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import keras_private, objectives
from tfp_vae.arguments import check_count, check_type
from tfp_vae.data import Kind, Split
from tfp_vae.distributions.base import registered, tfd
from tfp_vae.distributions.heads import Head
from tfp_vae.layers import noise as noises
from tfp_vae.layers.convolution import Convolution
from tfp_vae.layers.noise import ESTIMATOR, SHARED, FrozenNoise, Noise, use
from tfp_vae.models import units
from tfp_vae.models.network import BayesianNetwork
from tfp_vae.models.supervised import SupervisedModel
from tfp_vae.randomness import fold_in


class _Hidden:
    """Holds the pattern where Keras does not look: its weights are those of no member."""

    def __init__(self, model: BayesianNetwork):
        self.model = model


def run_with(model: BayesianNetwork, values: list, function: Callable) -> Any:
    """Returns `function()` while the weights of `model` are `values`, tensors in their order."""
    mapping = list(zip(model.weights, values, strict=True))
    with keras.StatelessScope(state_mapping=mapping):
        return function()


@registered
class Ensemble(SupervisedModel):
    """`size` networks trained independently, in one pass (Lakshminarayanan et al., 2017).

    The loss is the sum over members, so that each has the gradient that it would have alone; the
    metrics are means over members; accuracy is that of their mean probabilities.

    Args:
        pattern: a `BayesianNetwork` of any method that says what a member is; every member starts
            from weights of its own.
        size: members per data set.
        groups: None if all members learn the same data. Otherwise the number G of data sets of
            equal size that are learned side by side, each by `size` members: examples are then
            [N, G, ...] with targets [N, G], one column per data set.
        input_shape: shape of an example for one member; needed if `pattern` is not built yet.
        seed: see `VariationalModel`.
        data_kind: see `VariationalModel`.
        num_data: see `VariationalModel`; N of one data set.
    """

    parts = ("pattern",)  # whose objective it has

    def __init__(
        self,
        pattern: BayesianNetwork,
        size: int,
        groups: int | None = None,
        input_shape: "Sequence[int] | None" = None,
        seed: int = 0,
        data_kind: "Kind | str | None" = None,
        num_data: int | None = None,
        **kwargs: Any,
    ):
        check_type("pattern", pattern, BayesianNetwork, type(self).__name__)
        super().__init__(pattern.objective, seed, data_kind, num_data, **kwargs)
        size = check_count("size", size)
        groups = None if groups is None else check_count("groups", groups)
        if groups is not None and pattern.likelihood.task == "classification":
            raise ValueError(
                "Groups are for real targets. Expected groups=None for classes. Received "
                f"groups={groups}."
            )
        for layer in keras_private.all_sublayers(pattern):
            if isinstance(layer, keras.layers.BatchNormalization):
                raise ValueError(
                    "Moving averages are not kept per member. Expected a network without "
                    f"BatchNormalization. Received {layer.name}."
                )
            if getattr(layer, "collects", False):
                raise ValueError(
                    "What a layer collects in an epoch is not kept per member. Expected a network "
                    f"without a {type(layer).__name__}. Received {layer.name}."
                )
            ours = getattr(layer, "draws_noise", False)
            if getattr(layer, "seed_generator", None) is not None and not ours:
                raise ValueError(
                    "The noise of Keras' own layers stands still in an ensemble. Expected "
                    f"tfp_vae.layers.MonteCarloDropout or none. Received {layer.name}."
                )
        if not pattern.built and input_shape is None:
            raise ValueError(
                "The pattern is not built. Expected input_shape, the shape of one example. "
                "Received None."
            )
        self.size, self.groups = int(size), groups
        self.own_axes = 1 if groups is None else 0  # targets of groups are given to their members
        self.input_shape_of_member = tuple(input_shape or pattern.event_shape)
        if not pattern.built:
            pattern.build((None, *self.input_shape_of_member))
        if not pattern.weights:
            raise ValueError(
                "The pattern has no weights, so its members would all be the same. Expected a "
                f"network with some. Received {pattern.name}."
            )
        if any(w.regularizer is not None for w in pattern.trainable_variables):
            raise ValueError(
                "Regularizers would be lost in an ensemble. Expected weight_prior in their place. "
                f"Received a regularizer in {pattern.name}."
            )
        self._hidden = _Hidden(pattern)
        own = () if groups is None else (groups,)
        self.event_shape = (*own, *self.input_shape_of_member)
        # Stacked convolutions have no fast path: those members run one after the other.
        self.is_vectorized = all(len(w.shape) <= 2 for w in pattern.weights) and not any(
            isinstance(layer, Convolution) for layer in pattern.bayesian_layers()
        )
        self.stacks = []
        differ = False
        for i, values in enumerate(zip(*self._initial_values(), strict=True)):
            like = pattern.weights[i]
            start = np.stack(values)
            if like.trainable and len(like.shape) > 1:
                differ |= bool((start != start[:1]).any())
            self.stacks.append(
                self.add_weight(
                    name=f"stacked_{like.name}_{i}",
                    shape=start.shape,
                    initializer=lambda *_, start=start, **__: start,
                    trainable=like.trainable,
                    autocast=False,
                )
            )
        if self.size > 1 and not differ:
            raise ValueError(
                "The members would all be the same. Expected kernels with random initial values of "
                "their own. Received an initializer that gives every member the same ones, such as "
                "one with a seed."
            )
        self._track_accuracy()
        self.built = True

    @property
    def pattern(self) -> BayesianNetwork:
        """The model that says what a member is; its weights are those of no member."""
        return self._hidden.model

    @property
    def num_members(self) -> int:
        """Members in all."""
        return self.size * (self.groups or 1)

    @property
    def is_random(self) -> bool:
        """Whether the members themselves are random."""
        return self.pattern.is_random

    @property
    def num_predictive_samples(self) -> int:
        """Draws behind `predict`, all members together."""
        return self.pattern.num_predictive_samples

    @property
    def head(self) -> Head:
        """The members' likelihood."""
        return self.pattern.likelihood

    def _initial_values(self):
        member, found = self.pattern, []
        for _ in range(self.num_members):
            new = type(member).from_config(member.get_config())
            new.build((None, *self.input_shape_of_member))
            found.append(
                [
                    np.asarray(w if w.trainable else known)
                    for w, known in zip(new.weights, member.weights, strict=True)
                ]
            )
        return found

    def member(self, index: int) -> BayesianNetwork:
        """Returns member `index` as a model of its own, uncompiled."""
        if not 0 <= index < self.num_members:
            raise ValueError(
                f"There is no such member. Expected 0 to {self.num_members - 1}. Received {index}."
            )
        pattern = self.pattern
        alone = type(pattern).from_config(pattern.get_config())
        alone.build((None, *self.input_shape_of_member))
        for weight, stack in zip(alone.weights, self.stacks, strict=True):
            weight.assign(stack[index])
        alone.num_data, alone.data_kind = self.num_data, self.data_kind
        return alone

    def group(self, index: int) -> "Ensemble":
        """Returns the members of group `index` as an ensemble of its own, uncompiled."""
        count = self.groups or 1
        if not 0 <= index < count:
            raise ValueError(
                f"There is no such group. Expected 0 to {count - 1}. Received {index}."
            )
        first = index * self.size
        alone = Ensemble(self.member(first), self.size)
        for new, old in zip(alone.stacks, self.stacks, strict=True):
            new.assign(old[first : first + self.size])
        alone.num_data, alone.data_kind = self.num_data, self.data_kind
        return alone

    # Running the members.

    @SupervisedModel.supports_jit.getter  # type: ignore[attr-defined]
    def supports_jit(self) -> bool:
        """Whether a training is faster under XLA.

        Batched products of small matrices are many times slower there than outside on CPUs.
        """
        return not self.is_vectorized and self.pattern.supports_jit

    def _map(self, function, *inputs):
        """Returns `function(index, *inputs)` with the weights of each member, stacked [M, ...]."""
        values = [tf.convert_to_tensor(stack) for stack in self.stacks]
        member = self.pattern

        def one(arguments):
            values, index, rest = arguments
            return run_with(member, values, lambda: function(index, *rest))

        index = tf.range(self.num_members)
        if self.is_vectorized:
            return tf.vectorized_map(one, (values, index, inputs), fallback_to_while_loop=False)
        each = [
            one(([v[m] for v in values], m, [x[m] for x in inputs]))
            for m in range(self.num_members)
        ]
        return tf.nest.map_structure(lambda *parts: tf.stack(parts), *each)

    def _noise(self, key, index, mode, kind=Noise):
        if self.is_vectorized:
            return kind(key, mode, member=(index, self.num_members))
        return kind(fold_in(key, index), mode)

    def _parameters(self, x, key, mode, training):
        """Returns parameters of the members' likelihoods, [M, B, Q]."""
        member = self.pattern

        def forward(index, *own):
            with use(self._noise(key, index, mode)):
                return member.likelihood(member.network(own[0] if own else x, training=training))

        if self.groups is None:
            return self._map(forward)
        by_group = tf.transpose(x, [1, 0, *range(2, x.shape.rank)])
        return self._map(forward, tf.repeat(by_group, self.size, axis=0))

    def call(
        self, x: tf.Tensor, training: "bool | None" = None, seed: "int | None" = None
    ) -> tfd.Distribution:
        """Returns the members' likelihoods, a distribution with batch shape [M, B]."""
        key = self.noise_key(training) if seed is None else self.caller_key(seed)
        return self.distribution(self._parameters(x, key, ESTIMATOR, training))

    @property
    def has_weight_kl(self) -> bool:
        """Whether the members' weights have a posterior or a prior."""
        return self.pattern.has_weight_kl

    def kl_divergence(self, num_samples: int = 1) -> "tf.Tensor | float":
        """Returns the mean over members of what their weights cost, in nats; 0.0 for nothing."""
        return self._mean(lambda member: member.kl_divergence(num_samples))

    def posterior_kl(self, num_samples: int = 1) -> "tf.Tensor | float":
        """Returns the mean over members of KL(q(w) || p(w)) in nats; 0.0 where there is none."""
        return self._mean(lambda member: member.posterior_kl(num_samples))

    def point_log_prior(self) -> "tf.Tensor | float":
        """Returns the mean over members of log p(v) of points, in nats; 0.0 without a prior."""
        return self._mean(lambda member: member.point_log_prior())

    def _mean(self, ask):
        """Returns the mean over members of what one of them has to say of its weights."""
        if not self.pattern.has_weight_kl:
            return 0.0
        # A KL without closed form has the noise of the step, as in a member alone.
        key = noises.current().key if noises.current() else self.caller_key(None)

        def of(index):
            with use(self._noise(key, index, ESTIMATOR)):
                return tf.convert_to_tensor(ask(self.pattern))

        return tf.reduce_mean(self._map(of))

    def terms(
        self, x: Any, y: Any, outputs: Any, sample_weight: "tf.Tensor | None" = None
    ) -> objectives.Terms:
        """Returns `Terms` whose means over "samples" are means over members."""
        if self.groups is not None:
            y = tf.repeat(tf.transpose(y), self.size, axis=0)  # [M, B]
        return super().terms(x, y, outputs, sample_weight)

    @tf.autograph.experimental.do_not_convert
    def compute_loss(self, *args: Any, **kwargs: Any) -> tf.Tensor:
        """Returns the sum of the members' losses."""
        return self.num_members * super().compute_loss(*args, **kwargs)

    # Predicting.

    def draw_parameters(self, x: tf.Tensor, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns parameters [S, B, Q], or [S, B, G, Q] with groups, where S = draws x members."""
        member = self.pattern
        draws = -(-num_samples // self.size) if member.is_random else 1

        def one(index):
            parameters = self._parameters(x, fold_in(key, index), SHARED, False)
            if self.groups is not None:
                shape = tf.shape(parameters)
                shape = tf.concat([[self.groups, self.size], shape[1:]], 0)
                parameters = tf.transpose(tf.reshape(parameters, shape), [1, 2, 0, 3])
            return parameters

        if draws == 1:
            return one(0)
        axes = [self.size, x.shape[0], *([] if self.groups is None else [self.groups]), None]
        found = tf.map_fn(
            one,
            tf.range(draws),
            fn_output_signature=tf.TensorSpec(axes, tf.float32),
            parallel_iterations=1,
        )
        return tf.reshape(found, tf.concat([[-1], tf.shape(found)[2:]], 0))

    def frozen_parameters(self, x: tf.Tensor, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns `draw_parameters` with the draws as constants, member by member, [S, B, Q]."""
        if self.groups is not None:
            raise ValueError(
                "Members of groups see data of their own. Expected groups=None. Received "
                f"groups={self.groups}."
            )
        pattern, passes = self.pattern, []
        for draw in range(-(-num_samples // self.size) if self.is_random else 1):
            for index in range(self.size):
                with tf.init_scope():
                    noise = self._noise(fold_in(key, draw), index, SHARED, FrozenNoise)
                with use(noise):
                    member = [stack[index] for stack in self.stacks]
                    passes.append(
                        run_with(
                            pattern,
                            member,
                            lambda: pattern.likelihood(pattern.network(x, training=False)),
                        )
                    )
        return tf.stack(passes)

    # Data in.

    def holders(self) -> list[keras.Layer]:
        """Returns those of the pattern, whose variables are those of no member."""
        return self.pattern.holders()

    def waiting(self, kind: "Kind | None" = None) -> list[str]:
        """Returns the names of what has no units yet."""
        names = super().waiting(kind)
        fixed = [stack for stack in self.stacks if not stack.trainable]
        return [] if units.are_taken(fixed) else names

    def take_units(self, split: Split, anew: bool = True) -> None:
        """Lets every member take its data's units."""
        if not anew and units.are_taken(stack for stack in self.stacks if not stack.trainable):
            return
        member = self.pattern
        for group in range(self.groups or 1):
            member.adapt(self._of_group(split, group))
            for weight, stack in zip(member.weights, self.stacks, strict=True):
                if not weight.trainable:
                    values = np.array(stack)
                    values[group * self.size : (group + 1) * self.size] = np.asarray(weight)
                    stack.assign(values)

    def _of_group(self, split, group):
        """Returns the data of one group; all data where there are no groups."""
        if self.groups is None:
            return split
        values, targets = split.values()[:, group], split.targets[:, group]
        return Split(values, split.kind, name=split.name, targets=targets)

    def check_split(self, split: Split) -> None:
        """Raises `ValueError` if shapes or targets do not fit."""
        self.check_inputs(split)
        if self.groups is not None and (
            split.targets is None or split.targets.shape != (len(split), self.groups)
        ):
            received = None if split.targets is None else split.targets.shape
            raise ValueError(
                f"The {split.name} targets do not fit the groups. Expected shape "
                f"({len(split)}, {self.groups}). Received {received}."
            )
        for group in range(self.groups or 1):
            self.pattern.likelihood.check(self._of_group(split, group))

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {
            **super().get_config(),
            "size": self.size,
            "groups": self.groups,
            "input_shape": list(self.input_shape_of_member),
        }
