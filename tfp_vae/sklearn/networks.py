"""Bayesian networks as classifiers and regressors of scikit-learn."""

import dataclasses
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from tfp_vae import conformal, methods
from tfp_vae.arguments import check_choice, check_count, check_number
from tfp_vae.data import Data, Split
from tfp_vae.models import Predictive
from tfp_vae.sklearn.base import ROWS, Estimator, padded, table, widths


class Network(Estimator):
    """A network of any method of `tfp_vae.methods`, on a table of numbers.

    Args:
        method: what is done about the weights, a name in `methods.METHODS`.
        hidden: widths of the hidden layers.
        activation: of hidden layers.
        epochs: passes over the training rows.
        batch_size: rows per step.
        learning_rate: of Adam.
        num_samples: draws of the weights behind each prediction.
        coverage: that intervals or sets of classes are to have on new rows; None for those of the
            model itself. Then `validation_fraction` of the rows are held out and calibrate them.
        validation_fraction: share of the rows that is held out.
        options: other fields of `methods.Recipe`.
        verbose: of Keras.
        random_state: as scikit-learn has it.
    """

    def __init__(
        self,
        method: str = "vi",
        hidden: "tuple[int, ...]" = (50,),
        activation: str = "relu",
        epochs: int = 200,
        batch_size: int = 64,
        learning_rate: float = 0.01,
        num_samples: int = 100,
        coverage: "float | None" = None,
        validation_fraction: float = 0.2,
        options: "dict | None" = None,
        verbose: int = 0,
        random_state: Any = None,
    ):
        self.method = method
        self.hidden = hidden
        self.activation = activation
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.num_samples = num_samples
        self.coverage = coverage
        self.validation_fraction = validation_fraction
        self.options = options
        self.verbose = verbose
        self.random_state = random_state

    def _fit(self, X: np.ndarray, key: str, y: np.ndarray) -> "Network":
        seed, num_samples = self._seed(), check_count("num_samples", self.num_samples)
        fields = [each.name for each in dataclasses.fields(methods.Recipe)]
        for name in self.options or {}:
            check_choice("field in options", name, fields)
        recipe = methods.Recipe(
            method=self.method,
            hidden=widths(self.hidden),
            activation=self.activation,
            **(self.options or {}),
        )
        train, held_out = self._split(table(X, "train", **{key: y}), seed)
        data = Data("array", train, held_out or train, train)
        model = self._train(
            lambda: methods.build(recipe, data, seed=seed), train, seed, recipe.weights.optimizer
        )
        found = methods.finish(
            recipe, model, train, seed, min(int(self.batch_size), len(train)), validation=held_out
        )
        if found is not model:
            found = found.as_model(num_samples)
        self.model_ = found
        if self.coverage is not None:
            conformal.calibrate(found, held_out, level=self.coverage, num_samples=num_samples)
        return self

    def _split(self, whole: Split, seed: int) -> "tuple[Split, Split | None]":
        share = check_number("validation_fraction", self.validation_fraction, low=0, below=1)
        if self.coverage is None and self.method not in ("laplace", "laplace_last_layer"):
            return whole, None
        check_number("validation_fraction", share, above=0, below=1)
        order = np.random.default_rng(seed).permutation(len(whole))
        count = min(len(whole) - 1, max(1, round(share * len(whole))))
        held_out, rest = np.sort(order[:count]), np.sort(order[count:])
        return whole.select(rest, "train"), whole.select(held_out, "validation")

    def predictive(self, X: Any) -> Predictive:
        """Returns the predictive distribution of the rows [n, D], batch shape [n]."""
        return self._predictive(X)

    def _predictive(self, X: Any) -> Predictive:
        X = self._checked(X, reset=False)
        return self.model_.predictive(table(X, "given"), self.num_samples, batch_size=ROWS)

    def _by_rows(self, X: Any) -> "tuple[Predictive, int]":
        """Returns predictions of rows filled up to a multiple of `ROWS`, and how many are asked."""
        X = self._checked(X, reset=False)
        found = self.model_.predictive(table(padded(X), "given"), self.num_samples, batch_size=ROWS)
        return found, len(X)


class BayesianClassifier(ClassifierMixin, Network):
    """A classifier that says how sure it is; see `Network` for the arguments.

    Attributes:
        classes_: the labels that it was trained on.

    Example:
        >>> from tfp_vae.sklearn import BayesianClassifier
        >>> BayesianClassifier(epochs=5).fit(X, y).predict_proba(X)  # doctest: +SKIP
    """

    def fit(self, X: Any, y: Any) -> "BayesianClassifier":
        """Trains on rows [n, D] with labels [n] of any sort; returns itself."""
        X, y = self._checked(X, y, reset=True)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                "There is nothing to tell apart. Expected labels of at least two classes. "
                f"Received one class, {self.classes_[0]!r}."
            )
        return self._fit(X, "labels", numbers)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Returns class probabilities [n, K], means over draws of the weights."""
        predictive, count = self._by_rows(X)
        probs = np.exp(predictive.log_probs.numpy()[:count].astype(np.float64))
        return probs / probs.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """Returns the most probable labels [n]."""
        check_is_fitted(self)
        return self.classes_[np.argmax(self.predict_proba(X), axis=1)]

    def predict_set(self, X: Any, level: "float | None" = None) -> np.ndarray:
        """Returns which classes are in a set that has the label with probability `level`.

        bool [n, K]; `coverage` is the level by default, or 0.9.
        """
        return self._predictive(X).class_set(level).numpy()


class BayesianRegressor(RegressorMixin, Network):
    """A regressor that says how sure it is; see `Network` for the arguments.

    Example:
        >>> from tfp_vae.sklearn import BayesianRegressor
        >>> BayesianRegressor(epochs=5).fit(X, y).predict(X, return_std=True)  # doctest: +SKIP
    """

    def fit(self, X: Any, y: Any) -> "BayesianRegressor":
        """Trains on rows [n, D] with numbers [n]; returns itself."""
        X, y = self._checked(X, y, reset=True, y_numeric=True)
        return self._fit(X, "targets", np.asarray(y, np.float32))

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Returns predictive means [n], and standard deviations [n] if asked."""
        predictive, count = self._by_rows(X)
        mean = predictive.mean().numpy().astype(np.float64)[:count]
        if not return_std:
            return mean
        return mean, np.sqrt(predictive.total.numpy().astype(np.float64))[:count]

    def predict_interval(self, X: Any, level: "float | None" = None) -> np.ndarray:
        """Returns the ends of intervals that have the number with probability `level`, [n, 2].

        They cover where `coverage` was given, which is then the level by default, or 0.9.
        """
        return np.stack([each.numpy() for each in self._predictive(X).interval(level)], axis=1)
