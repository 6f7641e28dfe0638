"""A head of y of somebody else: counts with more spread than a Poisson's."""

import keras
import tensorflow as tf

from tfp_vae.distributions.heads.base import HEADS, Head
from tfp_vae.probability import tfd


@HEADS.register("toy_negative_binomial", "an overdispersed count as a target", "targets")
@keras.saving.register_keras_serializable(package="toys")
class NegativeBinomial(Head):
    """Failures before three successes, with the logit from the network."""

    kinds, is_discrete = frozenset(), True

    def distribution(self, parameters):
        """Returns a `NegativeBinomial`."""
        return tfd.NegativeBinomial(3.0, logits=tf.squeeze(parameters, -1))
