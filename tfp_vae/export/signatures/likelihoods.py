"""log p(x|z) and E[x|z] of a decoder, in the portable forms of its head.

TFP's own are the last resort; each format tries whether it can hold what they are made of.
tests/export compares the forms with the decoder's own distribution.
"""

import tensorflow as tf

from tfp_vae.distributions.base import tfd


def log_prob(likelihood: tfd.Distribution, x: tf.Tensor) -> tf.Tensor:
    """Returns log p(x|z) summed over the event, [B], in nats.

    Args:
        likelihood: of a `Decoder`, or of a decoder of somebody's own without a head.
        x: [B, ...].
    """
    head = getattr(likelihood, "head", None)
    if head is None:
        return likelihood.log_prob(x)
    each = head.portable_log_prob(head.parameters(likelihood.features), x)
    return tf.reduce_sum(each, axis=[*range(1, each.shape.rank)])


def mean(likelihood: tfd.Distribution) -> tf.Tensor:
    """Returns E[x|z], [B, ...], in the units of the data."""
    head = getattr(likelihood, "head", None)
    if getattr(likelihood, "draws_mean", False):
        raise ValueError(
            "E[x|z] of pixels that depend on each other has no closed form, and a draw is made "
            "pixel by pixel. Expected a decoder with independent pixels. Received masked "
            "convolutions."
        )
    if head is None:
        return likelihood.mean()
    return head.portable_mean(head.parameters(likelihood.features))
