"""Laplace approximations: a normal around the maximum a posteriori weights (MacKay, 1992).

The curvature is the generalised Gauss-Newton matrix, sum_n J_n' H_n J_n with the Jacobian J of the
likelihood's parameters and the Fisher information H of the likelihood, plus the precision of the
prior. Predictions linearise the network at that point (Immer, Korzepa & Bauer, 2021, eq. 9): the
curvature is that of the linearised network, and nothing else is consistent with it.
"""

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_choice
from tfp_vae.data import Split
from tfp_vae.layers import priors
from tfp_vae.models.network import BayesianNetwork
from tfp_vae.models.posteriors.weights import WeightPosterior
from tfp_vae.networks import last_layer
from tfp_vae.randomness import normal

STRUCTURES = ("diagonal", "last_layer")
MAX_LAST_LAYER = 4096
_JACOBIAN = 2**26  # numbers in memory


class Laplace(WeightPosterior):
    """N(w_MAP, (sum_n J_n' H_n J_n + prior precision)^-1) over weights of a trained network.

    Args:
        model: a `BayesianNetwork` of ordinary layers with a normal `weight_prior`, trained.
        structure: "diagonal": all weights of the network, the diagonal of the precision.
            "last_layer": kernel and bias of the last layer, with all covariances; the others stay.
        batch_size: examples per step of `fit`.

    Raises:
        ValueError: for a likelihood without a `fisher_root`, a prior that is no normal, or a last
            layer of too many weights.

    The scale of a normal likelihood stays at its point.
    """

    def __init__(self, model: BayesianNetwork, structure: str = "diagonal", batch_size: int = 100):
        super().__init__(model)
        check_choice("structure", structure, STRUCTURES)
        if not model.likelihood.has("fisher_root"):
            raise model.likelihood.lacks("fisher_root")
        if not isinstance(model.weight_prior, priors.Normal):
            raise ValueError(
                "Laplace needs a prior with a constant precision. Expected a normal weight_prior. "
                f"Received {type(model.weight_prior).__name__}."
            )
        self.structure, self.batch_size = structure, batch_size
        owned = model.network.trainable_variables
        self.chosen = owned
        if structure == "last_layer":
            last = last_layer(model.network, "A last-layer Laplace approximation")
            self.chosen = last.trainable_variables
        ids = {id(v) for v in self.chosen}
        mask = [np.full(n, id(v) in ids) for v, n in zip(self.variables, self.sizes, strict=True)]
        self.index = np.flatnonzero(np.concatenate(mask))
        if structure == "last_layer" and len(self.index) > MAX_LAST_LAYER:
            raise ValueError(
                f"The last layer is too large for all its covariances. Expected at most "
                f"{MAX_LAST_LAYER} weights. Received {len(self.index)}."
            )
        self.loc = self.point()
        self.scale = None

    def fit(self, split: Split) -> "Laplace":
        """Takes the curvature from the training data.

        Raises:
            ValueError: if the model is no model of `split`.
        """
        split = self.network_model.as_split(split)
        self._forget()
        self.loc = self.point()
        accumulate = tf.function(self._curvature, autograph=False, reduce_retracing=True)
        outputs = self.network_model.likelihood.num_features
        most = max(1, _JACOBIAN // (outputs * len(self.index)))
        total = 0.0
        # The Gauss-Newton matrix does not depend on the targets.
        for x in split.dataset(min(self.batch_size, most, len(split))):
            total += accumulate(x).numpy().astype(np.float64)
        precision = self._prior_precision()
        if self.structure == "diagonal":
            self.scale = tf.constant(1 / np.sqrt(total + precision), tf.float32)
        else:
            covariance = np.linalg.inv(total + np.diag(precision))
            lower = np.linalg.cholesky((covariance + covariance.T) / 2)
            self.scale = tf.constant(lower, tf.float32)
        return self

    def _prior_precision(self) -> np.ndarray:
        """Returns the precision of the prior of the chosen weights, [P], at the trained point."""
        prior = self.network_model.weight_prior
        variances = [priors.point(prior, v)[0].variance().numpy() for v in self.chosen]
        return 1 / np.concatenate([np.ravel(v) for v in variances]).astype(np.float64)

    def _curvature(self, x):
        """Returns the sum over a batch of J' H J, or of its diagonal."""
        with tf.GradientTape() as tape:
            parameters = self.parameters(x)  # [B, Q]
            weighted = self._whitened(parameters)
        jacobians = tape.jacobian(weighted, [v.value for v in self.chosen])
        flat = [
            tf.reshape(j, [-1, int(np.prod(v.shape))])
            for j, v in zip(jacobians, self.chosen, strict=True)
        ]
        if self.structure == "diagonal":
            return tf.concat([tf.reduce_sum(j**2, axis=0) for j in flat], axis=0)
        rows = tf.concat(flat, axis=-1)  # [B Q, P]
        return tf.matmul(rows, rows, transpose_a=True)

    def _whitened(self, parameters):
        """Returns H^1/2 times the parameters, H held fixed: its Jacobian is H^1/2 J, [B, R]."""
        root = tf.stop_gradient(self.network_model.likelihood.fisher_root(parameters))
        return tf.linalg.matvec(root, parameters)

    def draw(self, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns draws of the weights, [S, P]."""
        self._check_fitted()
        standard = normal([num_samples, len(self.index)], key)
        if self.structure == "diagonal":
            deviation = standard * self.scale
        else:
            deviation = tf.matmul(standard, self.scale, transpose_b=True)
        weights = tf.tile(self.loc[tf.newaxis], [num_samples, 1])
        columns = tf.transpose(weights)
        return tf.transpose(
            tf.tensor_scatter_nd_add(columns, self.index[:, np.newaxis], tf.transpose(deviation))
        )

    def parameters_with(self, vector: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns parameters of the likelihood of the linearised network, [B, Q]."""
        model = self.network_model

        def features(weights):
            return self.with_weights(weights, lambda: model.network(x, training=False))

        # f(x; w_MAP) + J (w - w_MAP) by forward differentiation.
        with tf.autodiff.ForwardAccumulator(self.loc, vector - self.loc) as forward:
            outputs = features(self.loc)
        return model.likelihood(tf.cast(outputs + forward.jvp(outputs), tf.float32))

    def _check_fitted(self):
        if self.scale is None:
            raise ValueError(
                "The curvature is not known yet. Expected fit(training split) before. Received no "
                "call of fit."
            )
