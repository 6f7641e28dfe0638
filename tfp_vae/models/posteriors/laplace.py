"""Laplace approximations: a normal around the maximum a posteriori weights (MacKay, 1992).

The curvature is the generalised Gauss-Newton matrix, sum_n J_n' H_n J_n with the Jacobian J of the
likelihood's parameters and the Fisher information H of the likelihood, plus the precision of the
prior. Predictions linearise the network at that point (Immer, Korzepa & Bauer, 2021, eq. 9): the
curvature is that of the linearised network, and nothing else is consistent with it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf
from scipy import optimize

from tfp_vae.arguments import check_choice, check_count, check_number
from tfp_vae.data import Split
from tfp_vae.layers import priors
from tfp_vae.models.curvatures import STRUCTURES
from tfp_vae.models.network import BayesianNetwork
from tfp_vae.models.posteriors.weights import WeightPosterior
from tfp_vae.networks import last_layer
from tfp_vae.optimizers import held_adam
from tfp_vae.randomness import normal

if TYPE_CHECKING:
    from tfp_vae.models.posteriors.linearised import LinearisedNetwork

LAYERS = ("all", "last")
PREDICTIVES = ("sampled", "probit")
PRECISIONS = tuple(float(p) for p in np.logspace(-2, 4, 21))  # that `tune` tries
RANGE = (1e-6, 1e8)  # of the precisions that evidence may choose
MOST = math.e  # by how much one step of `train` changes a precision at most


class Laplace(WeightPosterior):
    """N(w_MAP, (sum_n J_n' H_n J_n + prior precision)^-1) over weights of a trained network.

    Args:
        model: a `BayesianNetwork` of ordinary layers with a normal `weight_prior`, trained.
        structure: of the precision, a name in `curvatures.STRUCTURES`: "diagonal"; "kronecker", the
            covariances within each layer as a product of two factors; "full", all of them.
        layers: "all", or "last": kernel and bias of the last layer alone; the others stay.
        batch_size: examples per step of `fit`, at most.
        predictive: "sampled": draws of the linearised network. "probit", for classes: one set of
            logits, f / sqrt(1 + pi/8 v) with the variances v of the linearised logits f (MacKay,
            1992), without noise and covariances between classes.

    Attributes:
        precision: of the prior that the posterior has, or one for each layer; None: that of the
            model's `weight_prior`.
        tried: {precision: validation NLL in nats}, of `tune`.
        log_evidence: log p(D) in nats, of `maximise_evidence`; None before.

    Raises:
        ValueError: for a likelihood without `fisher_root`, a prior that is not a normal, a network
            without a last layer of its own, layers or a number of weights that the structure does
            not have, or "probit" without classes.

    The scale of a normal likelihood is a point.
    """

    has_networks = False

    def __init__(
        self,
        model: BayesianNetwork,
        structure: str = "diagonal",
        layers: str = "all",
        batch_size: int = 100,
        predictive: str = "sampled",
    ):
        super().__init__(model)
        STRUCTURES.check(structure)
        check_choice("layers", layers, LAYERS)
        if not model.likelihood.has("fisher_root"):
            raise model.likelihood.lacks("fisher_root")
        if not isinstance(model.weight_prior, priors.Normal):
            raise ValueError(
                "Laplace needs a prior with a constant precision. Expected a normal weight_prior. "
                f"Received {type(model.weight_prior).__name__}."
            )
        if predictive == "probit" and model.task != "classification":
            raise ValueError(
                "The probit predictive is one of classes. Expected predictive='sampled' for real "
                "targets. Received 'probit'."
            )
        self.form = check_choice("predictive", predictive, PREDICTIVES)
        self.structure, self.layers = structure, layers
        self.batch_size = check_count("batch_size", batch_size)
        self.chosen = model.network.trainable_variables
        if layers == "last":
            last = last_layer(model.network, "A last-layer Laplace approximation")
            self.chosen = last.trainable_variables
        ids = {id(v) for v in self.chosen}
        mask = [np.full(n, id(v) in ids) for v, n in zip(self.variables, self.sizes, strict=True)]
        self.index = np.flatnonzero(np.concatenate(mask))
        self.curvature = STRUCTURES[structure](model.network, self.chosen, self._whitened)
        sizes = [math.prod(v.shape) for v in self.chosen]
        self.layer_of = np.repeat(layer_numbers(self.chosen), sizes)  # of each weight, [P]
        self._take_point()
        self.fitted = False
        self.precision: float | tuple[float, ...] | None = None
        self.tried: dict[float, float] = {}
        self.log_evidence: float | None = None

    def fit(self, split: Split, precision: "float | Sequence[float] | None" = None) -> "Laplace":
        """Takes the curvature from the training data.

        Args:
            split: the training data.
            precision: of the prior of every weight, 1 / variance, or one for each layer; None: that
                of `weight_prior`.

        Raises:
            ValueError: if `split` does not fit the model.
        """
        split = self.network_model.as_split(split)
        self._forget()
        self._take_point()
        outputs = self.network_model.likelihood.num_features
        most = min(self.batch_size, self.curvature.batch_size(outputs), len(split))
        # The Gauss-Newton matrix does not depend on the targets.
        self.curvature.accumulate(split.dataset(most))
        self.fitted = True
        self._set_precision(precision)
        return self

    def tune(self, validation: Split, grid: "Sequence[float]" = PRECISIONS) -> "Laplace":
        """Takes the precision of the prior with which validation data are likeliest.

        One precision for all weights, by the NLL of the predictive that is used. Tuning after the
        training has no justification but that it helps: the precision of the training is one for
        the weights, and that of a fitted network's few remaining directions is another. The
        evidence of a point that was trained with another precision chooses worse: `train` is for
        that.

        Args:
            validation: with labels or targets, not trained on.
            grid: the precisions that are tried.

        Raises:
            ValueError: if `fit` was not called, or the labels are all of one class.
        """
        self._check_fitted()
        split = self.network_model.as_split(validation)
        check_several_classes(split)
        self.tried = {}
        for precision in sorted(grid, reverse=True):  # of equals, the more certain one
            self._set_precision(check_number("precision", precision, above=0))
            log_prob = self.predictive(split).log_prob(split.y)
            self.tried[precision] = -float(tf.reduce_mean(log_prob))
        self._set_precision(min(self.tried, key=self.tried.__getitem__))
        return self

    def maximise_evidence(self, split: Split, most: float = math.inf) -> "Laplace":
        """Takes the precision of each layer, and the noise, with which the data are likeliest.

            log p(D) = log p(D|w) - w'Dw / 2 + log|D| / 2 - log|H + D| / 2

        at the weights and with the curvature of `fit`, over one precision D per layer and over the
        scale of a normal likelihood, if one is learned (MacKay, 1992; Immer et al., "Scalable
        marginal likelihood estimation for model selection in deep learning", ICML 2021). It is the
        evidence of these weights only where they are the most probable ones: so `train` goes on
        training between two such steps. With `layers="last"` it is the evidence given the others.

        Args:
            split: the training data, those of `fit`.
            most: by what factor a precision may change at most.

        Raises:
            ValueError: if `fit` was not called.
        """
        self._check_fitted()
        model, groups = self.network_model, self.layer_of
        split = model.as_split(split)
        scale = model.likelihood.shared_scale
        weights = np.float64(self.loc.numpy()[self.index])
        squares = np.bincount(groups, weights**2)
        sizes = np.bincount(groups)
        fit = sum(
            float(tf.reduce_sum(self.log_likelihood(x, y)))
            for x, y in split.dataset(1000, with_y=True)
        )
        count = len(split)
        # Half the sum of squared residuals over the variance of the noise.
        misfit = 0.0
        if scale is not None:
            misfit = -(fit + count * (math.log(float(scale)) + 0.5 * math.log(2 * math.pi)))
        before = np.log(np.bincount(groups, self._own_precision(self.precision)) / sizes)

        def evidence(free):  # minus log p(D) and its gradient
            logs, noise = free[: len(sizes)], free[-1] if scale is not None else 0.0
            own, factor = np.exp(logs), math.exp(-2 * noise)
            total = self.curvature.factor * factor
            value, inverse = self.curvature.log_determinant(total, own[groups])
            traces = np.bincount(groups, inverse)
            found = fit - count * noise + misfit * (1 - factor)
            found += 0.5 * (np.sum(sizes * logs) - np.sum(own * squares) - value)
            slope = 0.5 * (sizes - own * squares - own * traces)
            if scale is not None:
                known = len(weights) - np.sum(own * traces)  # parameters that the data determine
                slope = np.append(slope, -count + 2 * misfit * factor + known)
            return -found / count, -slope / count

        low, high = (math.log(bound) for bound in RANGE)
        reach = math.log(most)
        start = np.clip(before, low, high)
        bounds = [(max(low, at - reach), min(high, at + reach)) for at in start]
        if scale is not None:
            start = np.append(start, 0.0)
            bounds.append((-min(reach, 3.0), min(reach, 3.0)))
        options = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 200}
        best = optimize.minimize(
            evidence, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        )
        if scale is not None:
            model.likelihood.set_shared_scale(float(scale) * math.exp(best.x[-1]))
            self.curvature.factor *= math.exp(-2 * best.x[-1])
            self._take_point()
        self._set_precision([float(p) for p in np.exp(best.x[: len(sizes)])])
        self.log_evidence = -float(best.fun) * count
        self._forget()
        return self

    def train(
        self,
        split: Split,
        epochs: int = 100,
        learning_rate: float = 1e-3,
        batch_size: int = 32,
        every: int = 5,
        callbacks: "Sequence[keras.callbacks.Callback]" = (),
    ) -> "Laplace":
        """Trains on, with precisions that evidence chooses on the way, and keeps the best epoch.

        A copy of the model walks: after `every` epochs the curvature is taken anew and precisions
        and noise make a step of `maximise_evidence`, in turns with the weights, which follow them
        (Immer et al., 2021, algorithm 1; the training so far is the burn-in). The posterior is that
        of the copy where the evidence was highest.

        Args:
            split: the training data.
            epochs: of the walk, at least `every`.
            learning_rate: of Adam.
            batch_size: examples per step.
            every: epochs between two steps of the evidence.
            callbacks: of Keras.

        Returns:
            A posterior of the copy, fitted.
        """
        check_count("epochs", epochs)
        every = min(check_count("every", every), epochs)
        walk = self._copy(split)
        found = Laplace(walk, self.structure, self.layers, self.batch_size, self.form)
        prior = walk.weight_prior
        layers = np.unique(layer_numbers(self.chosen), return_counts=True)[0]
        first = prior.precisions.shape[0] - len(layers)  # the last ones, of the last layer
        best = None

        def step(epoch, logs=None):
            nonlocal best
            del logs
            if (epoch + 1) % every and epoch + 1 != epochs:
                return
            found.fit(split, np.asarray(prior.precisions)[first:]).maximise_evidence(split, MOST)
            if best is None or found.log_evidence > best[0]:
                best = (found.log_evidence, found.precision, [np.array(w) for w in walk.weights])
            precisions = np.array(prior.precisions)
            precisions[first:] = found.precision
            prior.precisions.assign(precisions)

        # The noise is chosen by evidence too, and not by what fits best.
        walk.likelihood.trainable = False
        walk.compile(optimizer=held_adam(learning_rate), jit_compile=False)
        walk.fit(
            split,
            batch_size=min(batch_size, len(split)),
            epochs=epochs,
            verbose=0,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=step), *callbacks],
        )
        walk.likelihood.trainable = True
        evidence, precisions, weights = best
        for variable, value in zip(walk.weights, weights, strict=True):
            variable.assign(value)
        full = np.array(prior.precisions)
        full[first:] = precisions
        prior.precisions.assign(full)
        found.fit(split, precisions)
        found.log_evidence = evidence
        return found

    def _copy(self, split: Split) -> BayesianNetwork:
        """Returns the model with a precision per layer in its prior, at the same weights."""
        model = self.network_model
        config = model.get_config()
        numbers = layer_numbers(model.network.trainable_variables)
        prior = priors.NormalPerLayer(numbers)
        config["weight_prior"] = keras.saving.serialize_keras_object(prior)
        walk = type(model).from_config(config)
        walk.build((None, *model.event_shape))
        for part in ("network", "likelihood"):
            old, new = getattr(model, part), getattr(walk, part)
            for value, variable in zip(old.weights, new.weights, strict=True):
                variable.assign(value)
        walk.num_data = len(split)
        walk.data_kind = model.data_kind or split.kind  # or it would take units of its own
        own = self._prior_precision(model.network.trainable_variables)
        sizes = [math.prod(v.shape) for v in model.network.trainable_variables]
        of = np.repeat(numbers, sizes)
        walk.weight_prior.precisions.assign(np.bincount(of, own) / np.bincount(of))
        return walk

    @property
    def loc(self) -> tf.Tensor:
        """The weights around which the posterior is, [P]: those at the time of `fit`."""
        return self.curvature.kept("loc")

    def as_model(self, num_samples: int = 0, seed: int | None = None) -> "LinearisedNetwork":
        """Returns the posterior as a Keras model, which is saved, loaded and exported as one.

        Its predictions are those of this posterior, whatever the number of draws is.

        Args:
            num_samples: not looked at: the draws are made when it predicts.
            seed: not looked at.

        Raises:
            ValueError: if `fit` was not called.
        """
        del num_samples, seed
        from tfp_vae.models.posteriors.linearised import as_model

        self._check_fitted()
        return as_model(self)

    def restore(self, kept: "Mapping[str, tf.Variable]") -> None:
        """Takes what a fitted posterior kept, in variables that whoever calls fills."""
        self.curvature.variables = dict(kept)
        self.fitted = True

    def summary(self) -> dict:
        """Returns the precision and the validation NLL or evidence it was chosen by, JSON-ready."""
        chosen = self.precision
        found = {
            "posterior_precision": list(chosen) if isinstance(chosen, tuple) else chosen,
            "posterior_predictive": self.form,
            "posterior_structure": self.structure,
        }
        if self.tried:
            found["posterior_validation_nll"] = min(self.tried.values())
        if self.log_evidence is not None:
            found["posterior_log_evidence"] = self.log_evidence
        return found

    def _take_point(self) -> None:
        self.curvature.keep("loc", self.point())

    def _set_precision(self, precision: "float | Sequence[float] | None") -> None:
        if precision is None or isinstance(precision, int | float):
            self.precision = precision
        else:
            self.precision = tuple(float(p) for p in precision)
        self.curvature.set_precision(self._own_precision(self.precision))

    def _own_precision(self, precision: "float | tuple[float, ...] | None") -> np.ndarray:
        """Returns the precision of the prior of every chosen weight, [P]."""
        if precision is None:
            return self._prior_precision(self.chosen)
        if isinstance(precision, tuple):
            return np.asarray(precision)[self.layer_of]
        return np.full(len(self.index), float(precision))

    def _prior_precision(self, variables: list) -> np.ndarray:
        """Returns the precision of the model's prior of weights, [P], at the trained point."""
        model = self.network_model
        known = model.network.trainable_variables
        points = zip(known, model.weight_prior.points(known), strict=True)
        by_id = {id(v): prior.variance().numpy() for v, (prior, _) in points}
        found = np.concatenate([np.ravel(by_id[id(v)]) for v in variables])
        return 1 / found.astype(np.float64)

    def _whitened(self, features):
        """Returns H^1/2 times the parameters, H held fixed, [B, F] -> [B, R]."""
        likelihood = self.network_model.likelihood
        parameters = likelihood(features)
        root = tf.stop_gradient(likelihood.fisher_root(parameters))
        return tf.linalg.matvec(root, parameters)

    @property
    def is_random(self) -> bool:
        """Whether two draws differ: not with "probit"."""
        return self.form == "sampled"

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
        jacobians = tape.jacobian(logits, [v.value for v in self.chosen])
        variance = self.curvature.variances(self._flat(jacobians, 2))
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
        deviation = self.curvature.deviations(standard)
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
        loc = self.loc
        with tf.autodiff.ForwardAccumulator(loc, vector - loc) as forward:
            outputs = features(loc)
        return model.likelihood(tf.cast(outputs + forward.jvp(outputs), tf.float32))

    def _check_fitted(self):
        if not self.fitted:
            raise ValueError(
                "The curvature is not known yet. Expected fit(training split) before. Received no "
                "call of fit."
            )


def check_several_classes(validation: Split) -> None:
    """Raises `ValueError` if a precision is to be chosen by labels that are all of one class."""
    if validation.labels is not None and len(np.unique(validation.labels)) < 2:
        raise ValueError(
            "Labels of one class choose the largest precision or the smallest. Expected validation "
            f"data of several classes. Received {len(validation)} examples of one."
        )


def layer_numbers(variables: list) -> "list[int]":
    """Returns for each variable the number of its layer among those of all of them."""
    names = [variable.path.rpartition("/")[0] for variable in variables]
    known = list(dict.fromkeys(names))
    return [known.index(name) for name in names]
