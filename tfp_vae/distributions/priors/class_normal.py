"""A normal prior for each class."""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions.base import inverse_positive, positive, registered, tfd
from tfp_vae.distributions.priors.base import Context, Prior, Spec


@registered
class ClassNormal(Prior):
    """p(z|y) = N(loc_y, diag(scale_y)^2) with a learned centre per class.

    Args:
        latent_dim: D.
        num_classes: K; the condition is one-hot.
        learned_scale: whether each class has scales of its own; otherwise they are 1.
    """

    needs_condition = True

    def __init__(
        self, latent_dim: int, num_classes: int, learned_scale: bool = True, **kwargs: Any
    ):
        super().__init__(latent_dim, **kwargs)
        self.num_classes = check_count("num_classes", num_classes)
        self.learned_scale = bool(learned_scale)

    def build(self, spec: "Spec | None" = None) -> None:
        """Makes the centres [K, D] and, if learned, the scales [K, D].

        Raises:
            ValueError: if the model has another number of classes.
        """
        if spec is not None and spec.condition_size != self.num_classes:
            raise ValueError(
                "Prior and model differ in their classes. Expected a prior of "
                f"{spec.condition_size} classes. Received one of {self.num_classes}."
            )
        if self.built:
            return
        options = {"shape": (self.num_classes, self.latent_dim), "autocast": False}
        # Centres of their own from the start, or the classes would have nothing to drift apart by;
        # one class has nobody to be apart from.
        apart = keras.initializers.RandomNormal(stddev=1.0) if self.num_classes > 1 else "zeros"
        self.loc = self.add_weight(name="loc", initializer=apart, **options)
        if self.learned_scale:
            start = keras.initializers.Constant(inverse_positive(1.0))
            self.raw_scale = self.add_weight(name="raw_scale", initializer=start, **options)
        self.built = True

    def distribution(self, context: Context) -> tfd.MultivariateNormalDiag:
        """Returns a `MultivariateNormalDiag` given one-hot classes [B, K]."""
        condition = tf.cast(context.given, tf.float32)
        loc = tf.matmul(condition, tf.convert_to_tensor(self.loc))
        if not self.learned_scale:
            return tfd.MultivariateNormalDiag(loc, tf.ones_like(loc))
        scale = positive(tf.convert_to_tensor(self.raw_scale))
        return tfd.MultivariateNormalDiag(loc, tf.matmul(condition, scale))

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        own = {"num_classes": self.num_classes, "learned_scale": self.learned_scale}
        return {**super().get_config(), **own}
