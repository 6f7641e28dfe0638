"""Learning rates that are made of others."""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_number

registered = keras.saving.register_keras_serializable(package="tfp_vae.optimizers")


@registered
class Scaled(keras.optimizers.schedules.LearningRateSchedule):
    """`factor` times another schedule.

    Args:
        schedule: of Keras.
        factor: > 0.

    Raises:
        ValueError: for a factor that is not a number > 0.
    """

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, factor: float):
        super().__init__()
        self.schedule, self.factor = schedule, check_number("factor", factor, above=0)

    def __call__(self, step: Any) -> tf.Tensor:
        """Returns the rate at a step."""
        return self.factor * self.schedule(step)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "factor": self.factor}

    @classmethod
    def from_config(cls, config: dict) -> "Scaled":
        """Returns the schedule of `get_config`."""
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["factor"])
