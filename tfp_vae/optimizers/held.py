"""Adam that survives a gradient of millions."""

from typing import Any

import keras

LARGEST_GRADIENT = 10.0  # of one value, nats per example


def held_adam(learning_rate: Any) -> keras.optimizers.Adam:
    """Returns Adam for a network, with each value of its gradients held to +-`LARGEST_GRADIENT`.

    Rare draws of weights, or a scale of one example near its floor, give gradients of millions,
    whose squares Adam would remember for thousands of steps in which nothing moves any more. Each
    value is held by itself, so that networks that train side by side do not touch each other.

    Args:
        learning_rate: a number or a schedule.
    """
    return keras.optimizers.Adam(learning_rate, clipvalue=LARGEST_GRADIENT)
