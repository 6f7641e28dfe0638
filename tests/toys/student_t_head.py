"""A head of x of somebody else: real numbers with heavy tails."""

import keras
import tensorflow as tf

from tfp_vae.distributions.heads.base import HEADS, Head
from tfp_vae.probability import tfd


@HEADS.register("toy_student_t", "a real number with heavy tails")
@keras.saving.register_keras_serializable(package="toys")
class StudentT(Head):
    """Four degrees of freedom, with location and scale from the network."""

    num_features = 2

    def parameters(self, features):
        """Returns (loc, scale)."""
        return tf.stack([features[..., 0], 0.1 + tf.nn.softplus(features[..., 1])], axis=-1)

    def distribution(self, parameters):
        """Returns a `StudentT`."""
        return tfd.StudentT(4.0, parameters[..., 0], parameters[..., 1])
