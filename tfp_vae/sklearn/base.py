"""What the estimators share: seeds, how a model is trained and kept, what they are asked before."""

import contextlib
import pathlib
import random
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from tfp_vae.arguments import check_count, check_number
from tfp_vae.data import Kind, Split
from tfp_vae.export import load

ROWS = 256  # that are answered at a time: one shape, so that a row's answer is that of it alone


class Estimator(BaseEstimator):
    """An estimator of scikit-learn around a model of this package.

    Attributes:
        model_: the trained model, after `fit`.
        n_features_in_: columns of `fit`.
        feature_names_in_: their names, of a DataFrame.
    """

    def _checked(self, X: Any, y: Any = None, *, reset: bool, **options: Any) -> Any:
        """Returns X (and y) as scikit-learn looks at them, in float32."""
        if not reset:
            check_is_fitted(self)
        options = {"dtype": np.float32, "ensure_min_samples": 2 if reset else 1, **options}
        if y is None and not (reset and get_tags(self).target_tags.required):
            return validate_data(self, X, reset=reset, **options)
        return validate_data(self, X, y, reset=reset, **options)

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _train(self, make: Callable, train: Split, seed: int, optimizer: Any = None) -> Any:
        """Returns the model that `make` returns, trained on a split.

        Args:
            make: a function of no arguments; its initial weights are fixed by the seed.
            train: the examples.
            seed: of the weights and all else.
            optimizer: a function of (rate, N, seed), of a method that has its own; None for Adam.
        """
        check_count("epochs", self.epochs)
        check_count("batch_size", self.batch_size)
        check_number("learning_rate", self.learning_rate, above=0)
        with seeded(seed):
            model = make()
            chosen = (
                optimizer(self.learning_rate, len(train), seed)
                if optimizer
                else keras.optimizers.Adam(self.learning_rate)
            )
            model.compile(optimizer=chosen, jit_compile=False)
            batch = min(int(self.batch_size), len(train))
            model.fit(train, epochs=int(self.epochs), batch_size=batch, verbose=self.verbose)
        return model

    # What scikit-learn copies and sends to other processes.

    def __getstate__(self) -> dict:
        """Returns the attributes, the model as the bytes of a `.keras` file."""
        state = dict(super().__getstate__())
        if isinstance(state.get("model_"), keras.Model):
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "model.keras"
                state["model_"].save(path)
                state["model_"] = path.read_bytes()
        return state

    def __setstate__(self, state: dict) -> None:
        """Takes the attributes back."""
        state = dict(state)
        if isinstance(state.get("model_"), bytes):
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "model.keras"
                path.write_bytes(state["model_"])
                state["model_"] = load(path)
        super().__setstate__(state)


def widths(hidden: Any) -> "tuple[int, ...]":
    """Returns the widths of hidden layers, of which one may be given as a number alone."""
    several = (hidden,) if np.ndim(hidden) == 0 else hidden
    return tuple(check_count("width in hidden", each) for each in several)


def table(X: np.ndarray, name: str, **beside: np.ndarray) -> Split:
    """Returns rows [n, D] as a `Split`."""
    return Split(X, Kind.REAL, name=name, beside=beside)


def padded(X: np.ndarray) -> np.ndarray:
    """Returns rows filled up with the last one to a multiple of `ROWS`."""
    return np.pad(X, ((0, -len(X) % ROWS), (0, 0)), mode="edge")


def by_rows(X: np.ndarray, answer: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Returns answers to rows [n, D], `ROWS` at a time, the last ones filled up."""
    full = padded(X)
    parts = [answer(full[start : start + ROWS]) for start in range(0, len(full), ROWS)]
    return np.concatenate(parts)[: len(X)]


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """A context in which Keras draws initial weights by a seed; Python's generator is put back."""
    state = random.getstate()  # which Keras takes the seeds of initializers from
    try:
        random.seed(seed)
        yield
    finally:
        random.setstate(state)
