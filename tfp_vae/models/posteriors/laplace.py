"""Laplace approximations: a normal around the maximum a posteriori weights (MacKay, 1992).

The curvature is the generalised Gauss-Newton matrix, sum_n J_n' H_n J_n with the Jacobian J of the
likelihood's parameters and the Fisher information H of the likelihood, plus the precision of the
prior. Predictions linearise the network at that point (Immer, Korzepa & Bauer, 2021, eq. 9): the
curvature is that of the linearised network, and nothing else is consistent with it.
"""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_choice, check_number
from tfp_vae.data import Split
from tfp_vae.layers import priors
from tfp_vae.models.network import BayesianNetwork
from tfp_vae.models.posteriors.weights import WeightPosterior
from tfp_vae.networks import last_layer
from tfp_vae.randomness import normal

STRUCTURES = ("diagonal", "last_layer")
PREDICTIVES = ("sampled", "probit")
PRECISIONS = tuple(float(p) for p in np.logspace(-2, 4, 21))  # that `tune` tries
MAX_LAST_LAYER = 4096
_JACOBIAN = 2**26  # numbers in memory


class Laplace(WeightPosterior):
    """N(w_MAP, (sum_n J_n' H_n J_n + prior precision)^-1) over weights of a trained network.

    Args:
        model: a `BayesianNetwork` of ordinary layers with a normal `weight_prior`, trained.
        structure: "diagonal": all weights of the network, the diagonal of the precision.
            "last_layer": kernel and bias of the last layer, with all covariances; the others stay.
        batch_size: examples per step of `fit`.
        predictive: "sampled": draws of the linearised network. "probit", for classes: one set of
            logits, f / sqrt(1 + pi/8 v) with the variances v of the linearised logits f (MacKay,
            1992), without noise and covariances between classes.

    Attributes:
        precision: of the prior that the posterior has; None: that of the model's `weight_prior`.
        tried: {precision: validation NLL in nats}, of `tune`.

    Raises:
        ValueError: for a likelihood without `fisher_root`, a prior that is not a normal, a network
            without a last layer of its own or with too large a one, or "probit" without classes.

    The scale of a normal likelihood stays at its point.
    """

    has_networks = False

    def __init__(
        self,
        model: BayesianNetwork,
        structure: str = "diagonal",
        batch_size: int = 100,
        predictive: str = "sampled",
    ):
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
        if predictive == "probit" and model.task != "classification":
            raise ValueError(
                "The probit predictive is one of classes. Expected predictive='sampled' for real "
                "targets. Received 'probit'."
            )
        self.form = check_choice("predictive", predictive, PREDICTIVES)
        self.loc = self.point()
        self.scale = None
        self.precision: float | None = None
        self.tried: dict[float, float] = {}

    def fit(self, split: Split, precision: float | None = None) -> "Laplace":
        """Takes the curvature from the training data.

        Args:
            split: the training data.
            precision: of the prior of every weight, 1 / variance; None: that of `weight_prior`.

        Raises:
            ValueError: if `split` does not fit the model.
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
        self._total = total
        self._set_precision(precision)
        return self

    def tune(self, validation: Split, grid: "Sequence[float]" = PRECISIONS) -> "Laplace":
        """Takes the precision of the prior with which validation data are likeliest.

        One precision for all weights, by the NLL of the predictive that is used. Tuning after the
        training has no justification but that it helps: the precision of the training is one for
        the weights, and that of a fitted network's few remaining directions is another. The
        evidence of a point that was trained with another precision chooses worse (Immer et al.,
        "Scalable marginal likelihood estimation", ICML 2021, tune during training).

        Args:
            validation: with labels or targets, not trained on.
            grid: the precisions that are tried.

        Raises:
            ValueError: if `fit` was not called, or the labels are all of one class.
        """
        self._check_fitted()
        split = self.network_model.as_split(validation)
        if self.network_model.task == "classification" and len(np.unique(split.y)) < 2:
            raise ValueError(
                "Labels of one class choose the largest precision or the smallest. Expected "
                f"validation data of several classes. Received {len(split)} examples of one."
            )
        self.tried = {}
        for precision in sorted(grid, reverse=True):  # of equals, the more certain one
            self._set_precision(check_number("precision", precision, above=0))
            log_prob = self.predictive(split).log_prob(split.y)
            self.tried[precision] = -float(tf.reduce_mean(log_prob))
        self._set_precision(min(self.tried, key=self.tried.__getitem__))
        return self

    def summary(self) -> dict:
        """Returns the precision and the validation NLL that it was chosen by, JSON-ready."""
        found = {"posterior_precision": self.precision, "posterior_predictive": self.form}
        if self.tried:
            found["posterior_validation_nll"] = self.tried[self.precision]
        return found

    def _set_precision(self, precision: float | None) -> None:
        total = self._total
        own = self._prior_precision() if precision is None else precision
        own = np.broadcast_to(own, len(self.index))
        if self.structure == "diagonal":
            scale = 1 / np.sqrt(total + own)
        else:
            covariance = np.linalg.inv(total + np.diag(own))
            scale = np.linalg.cholesky((covariance + covariance.T) / 2)
        if self.scale is None:
            self.scale = tf.Variable(scale, dtype=tf.float32, trainable=False)
        else:
            self.scale.assign(scale)  # compiled draws read it
        self.precision = precision

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

    def draw_parameters(self, x: tf.Tensor, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns parameters of the likelihood, [S, B, Q]; S is 1 with "probit"."""
        if self.form == "sampled":
            return super().draw_parameters(x, num_samples, key)
        one = tf.map_fn(
            lambda example: self._probit(example[tf.newaxis])[0],
            x,
            fn_output_signature=tf.TensorSpec([None], tf.float32),
        )
        return tf.ensure_shape(one, [x.shape[0], None])[tf.newaxis]

    def frozen_parameters(self, x: tf.Tensor, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns `draw_parameters` with the draws as constants, [S, B, Q]."""
        if self.form == "sampled":
            return super().frozen_parameters(x, num_samples, key)
        return self._probit(x)[tf.newaxis]

    def _probit(self, x):
        """Returns logits that the uncertainty of the weights has made smaller, [B, K]."""
        self._check_fitted()
        with tf.GradientTape() as tape:
            logits = self.parameters(x)
        flat = self._flat(tape.jacobian(logits, [v.value for v in self.chosen]), 2)
        if self.structure == "diagonal":
            variance = tf.reduce_sum((flat * self.scale) ** 2, axis=-1)
        else:
            variance = tf.reduce_sum(tf.matmul(flat, self.scale) ** 2, axis=-1)
        return logits / tf.sqrt(1 + math.pi / 8 * variance)

    def _flat(self, jacobians: "list[tf.Tensor]", axes: int) -> tf.Tensor:
        """Returns Jacobians of the chosen weights side by side, [..., P]."""
        parts = zip(jacobians, self.chosen, strict=True)
        flat = [
            tf.reshape(j, tf.concat([tf.shape(j)[:axes], [math.prod(v.shape)]], 0))
            for j, v in parts
        ]
        return tf.concat(flat, axis=-1)

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
