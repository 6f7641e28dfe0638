"""A penalty on the covariance of the codes (Kumar et al., "Disentangled inferred priors", 2018)."""

import tensorflow as tf

from tfp_vae.arguments import check_choice, check_number
from tfp_vae.distributions.base import registered
from tfp_vae.objectives.bound import BOUNDS
from tfp_vae.objectives.regularized import RegularizedBound, members_of
from tfp_vae.objectives.terms import Terms

KINDS = (1, 2)


@BOUNDS.register("dip", "elbo with a penalty on covariances of the codes")
@registered
class DIP(RegularizedBound):
    """Minus the ELBO plus lod sum_{i != j} C_ij^2 + ld sum_i (C_ii - 1)^2.

    Args:
        kind: 1, C the covariance of the means of q(z|x) in the batch; 2, that plus the mean of
            their variances, the covariance of the draws.
        off_diagonal: lod >= 0.
        diagonal: ld >= 0; by default 10 times `off_diagonal` of kind 1 and as much of kind 2, as in
            the paper.
    """

    needs_parameters = True

    def __init__(self, kind: int = 2, off_diagonal: float = 10.0, diagonal: "float | None" = None):
        self.kind = check_choice("kind", kind, KINDS)
        self.off_diagonal = check_number("off_diagonal", off_diagonal, 0)
        default = self.off_diagonal * (10.0 if kind == 1 else 1.0)
        self.diagonal = default if diagonal is None else check_number("diagonal", diagonal, 0)

    def penalty(self, terms: Terms, step: "tf.Tensor | int") -> tf.Tensor:
        """Returns the weighted squares of C - I, a scalar."""
        del step
        q = members_of(terms)
        found = covariance(q.mean())
        if self.kind == 2:
            found += tf.linalg.diag(tf.reduce_mean(q.variance(), axis=0))
        diagonal = tf.linalg.diag_part(found)
        squares = tf.reduce_sum(tf.square(found)) - tf.reduce_sum(tf.square(diagonal))
        return self.off_diagonal * squares + self.diagonal * tf.reduce_sum(
            tf.square(diagonal - 1.0)
        )

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {"kind": self.kind, "off_diagonal": self.off_diagonal, "diagonal": self.diagonal}


def covariance(codes: tf.Tensor) -> tf.Tensor:
    """Returns the covariance of [B, D], divided by B - 1, [D, D]; of one row zeros."""
    centred = codes - tf.reduce_mean(codes, axis=0)
    count = tf.cast(tf.shape(codes)[0], codes.dtype)
    return tf.matmul(centred, centred, transpose_a=True) / tf.maximum(count - 1.0, 1.0)
