"""What a model is conditioned on: nothing, a class, or a vector; each knows all about itself."""

import abc
import functools
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.data import Split, answers

registered = keras.saving.register_keras_serializable(package="tfp_vae.conditions")

JOINS = ("flat", "planes")


class Condition(abc.ABC):
    """What an example is conditioned on.

    Attributes:
        size: C, numbers that the networks are told; 0 for nothing.
        num_classes: K where it is a class, else None.
    """

    size: int = 0
    num_classes: "int | None" = None

    def __bool__(self) -> bool:
        """Whether there is a condition."""
        return self.size > 0

    @abc.abstractmethod
    def encode(self, y: Any) -> "tf.Tensor | None":
        """Returns what networks see of conditions [B] or [B, C], as [B, C]."""

    @abc.abstractmethod
    def of(self, split: Split) -> "np.ndarray | None":
        """Returns the conditions of the examples of a split, [N] or [N, C]."""

    @abc.abstractmethod
    def check(self, split: Split, least: int = 0) -> None:
        """Raises `ValueError` if the examples of a split lack their condition."""

    @abc.abstractmethod
    def beside(self, y: Any) -> dict:
        """Returns what a `Split` of an array is told of `y`."""

    def look(
        self, given: Any, count: "int | None" = None, names: "tuple[str, ...] | None" = None
    ) -> Any:
        """Returns conditions that somebody gives by hand, in the form that `encode` takes.

        Tensors of a graph come back as they are.

        Args:
            given: [B] or [B, C], in any form that a `Split` takes beside its examples.
            count: B, where it is known.
            names: what the classes are called.

        Raises:
            ValueError: if they are missing, none of this model, or not as many as the examples.
        """
        if not self or (isinstance(given, tf.Tensor) and not hasattr(given, "numpy")):
            return given
        if given is None:
            raise ValueError(
                "The given examples lack their condition. Expected x and what it is conditioned "
                "on, (x, given). Received x alone."
            )
        found = self._numbers(given, names)
        if count is not None and len(found) not in (1, count):
            raise ValueError(
                f"The conditions do not fit the examples. Expected {count}, one for each. Received "
                f"{len(found)}."
            )
        return found

    def _numbers(self, given: Any, names: "tuple[str, ...] | None") -> Any:
        """Returns conditions that are given by hand as an array, or raises."""
        return given

    @abc.abstractmethod
    def default(self, count: int) -> "np.ndarray | None":
        """Returns conditions for so many new examples, or None if there are no natural ones."""

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {}

    @classmethod
    def from_config(cls, config: dict) -> "Condition":
        """Returns the condition of `get_config`."""
        return cls(**config)


@registered
class Nothing(Condition):
    """No condition: p(x)."""

    def encode(self, y: Any) -> "tf.Tensor | None":
        """Returns None."""
        return None

    def of(self, split: Split) -> "np.ndarray | None":
        """Returns None."""
        return None

    def check(self, split: Split, least: int = 0) -> None:
        """Accepts every split."""

    def beside(self, y: Any) -> dict:
        """Returns nothing: y has no use."""
        return {}

    def default(self, count: int) -> "np.ndarray | None":
        """Returns None."""
        return None


@registered
class Classes(Condition):
    """One of K classes, one-hot in the networks, the labels of a `Split`.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int):
        self.num_classes = self.size = check_count("num_classes", num_classes)

    def encode(self, y: Any) -> "tf.Tensor | None":
        """Returns classes [B] as one-hot vectors [B, K]."""
        return tf.one_hot(tf.cast(y, tf.int32), self.num_classes)

    def of(self, split: Split) -> "np.ndarray | None":
        """Returns the labels, [N]."""
        return split.labels

    def check(self, split: Split, least: int = 0) -> None:
        """Raises `ValueError` for labels that are missing or out of range."""
        labels, most = split.labels, self.num_classes - 1
        if labels is None or labels.max() > most or labels.min() < least:
            received = "none" if labels is None else f"{labels.min()} to {labels.max()}"
            raise ValueError(
                f"The {split.name} examples lack their condition. Expected labels from {least} "
                f"to {most}. Received {received}."
            )

    def beside(self, y: Any) -> dict:
        """Returns y as labels."""
        return {"labels": y}

    def _numbers(self, given: Any, names: "tuple[str, ...] | None") -> Any:
        labels, most = answers.numbers_of_a_part(given, "given", names)[0], self.num_classes - 1
        if labels.ndim != 1 or (labels.size and (labels.min() < 0 or labels.max() > most)):
            received = f"{labels.min()} to {labels.max()}" if labels.size else "none"
            raise ValueError(
                f"There are no such classes. Expected class numbers [B] from 0 to {most}, or names "
                f"of classes. Received {received}, of shape {labels.shape}."
            )
        return labels

    def default(self, count: int) -> "np.ndarray | None":
        """Returns the classes in turn, [count]."""
        return np.arange(max(count, 1)) % self.num_classes

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {"num_classes": self.num_classes}


@registered
class Vector(Condition):
    """A vector of C numbers, the targets of a `Split`.

    Args:
        size: C.
    """

    def __init__(self, size: int):
        self.size = check_count("size of the condition", size)

    def encode(self, y: Any) -> "tf.Tensor | None":
        """Returns targets [B, C] or [B] as [B, C]."""
        return tf.reshape(tf.cast(y, tf.float32), [-1, self.size])

    def of(self, split: Split) -> "np.ndarray | None":
        """Returns the targets, [N, C]."""
        return None if split.targets is None else split.targets.reshape(len(split), -1)

    def check(self, split: Split, least: int = 0) -> None:
        """Raises `ValueError` for targets that are missing or of another size."""
        if split.targets is None or self.of(split).shape[1] != self.size:
            received = "none" if split.targets is None else f"shape {split.targets.shape}"
            raise ValueError(
                f"The {split.name} examples lack their condition. Expected targets of shape (N, "
                f"{self.size}). Received {received}."
            )

    def beside(self, y: Any) -> dict:
        """Returns y as targets."""
        return {"targets": y}

    def _numbers(self, given: Any, names: "tuple[str, ...] | None") -> Any:
        numbers = answers.real_numbers(given, "given", "condition")
        wide = self.size if numbers.ndim == 2 else 1
        if numbers.shape[1:] != (wide,) * (numbers.ndim - 1) or wide != self.size:
            raise ValueError(
                f"The given conditions have another shape. Expected (B, {self.size}). Received "
                f"{numbers.shape}."
            )
        return given if isinstance(given, tf.Tensor) else numbers  # which may have slopes

    def default(self, count: int) -> "np.ndarray | None":
        """Returns None: no vector is more natural than another."""
        return None

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {"size": self.size}


def joined_shape(event_shape: "tuple[int, ...]", size: int, how: str) -> "tuple[int, ...]":
    """Returns the shape of an example with C numbers beside it; see `join`."""
    if not size:
        return tuple(event_shape)
    if how == "planes":
        return (*event_shape[:2], event_shape[2] + size)
    return (math.prod(event_shape) + size,)


def join(
    x: tf.Tensor, beside: "list[tf.Tensor]", event_shape: "tuple[int, ...]", how: str
) -> tf.Tensor:
    """Returns examples [..., B, *event_shape] with vectors beside them, over which both repeat.

    Args:
        x: the examples.
        beside: vectors [..., B, C] each; of none x comes back as it is.
        event_shape: of an example.
        how: "flat": x is flattened, [..., X + C]; "planes": C constant planes are added to an
            image, [..., H, W, channels + C].
    """
    x = tf.cast(x, tf.float32)
    if not beside:
        return x
    axes = len(event_shape)
    # Not tf.broadcast_dynamic_shape, which ONNX has no operator for.
    leads = [tf.shape(x)[: x.shape.rank - axes], *(tf.shape(each)[:-1] for each in beside)]
    most = max(lead.shape[0] for lead in leads)
    whole = [tf.pad(lead, [[most - lead.shape[0], 0]], constant_values=1) for lead in leads]
    lead = functools.reduce(tf.maximum, whole)
    if how == "planes":
        kept, parts = list(event_shape[:2]), [x]
        beside = [vectors[..., tf.newaxis, tf.newaxis, :] for vectors in beside]
    else:
        flat = tf.concat([tf.shape(x)[: x.shape.rank - axes], [math.prod(event_shape)]], 0)
        kept, parts = [], [tf.reshape(x, flat)]
    parts += [tf.cast(vectors, tf.float32) for vectors in beside]
    spread = [tf.broadcast_to(part, tf.concat([lead, kept, [part.shape[-1]]], 0)) for part in parts]
    return tf.concat(spread, axis=-1)
