"""VAEs as imputers, detectors and densities of scikit-learn."""

import warnings
from typing import Any

import keras
import numpy as np
from sklearn.base import DensityMixin, OneToOneFeatureMixin, OutlierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from tfp_vae import conformal, evaluation, layers, networks
from tfp_vae.arguments import check_count, check_number
from tfp_vae.data import Split
from tfp_vae.distributions import decoders, encoders, priors
from tfp_vae.evaluation import Detector
from tfp_vae.models import VAE
from tfp_vae.sklearn.base import ROWS, Estimator, padded, table, widths


class Autoencoder(Estimator):
    """A VAE of a table of numbers, in the units that its columns have.

    Args:
        latent_dim: D; at most the number of columns.
        hidden: widths of the hidden layers of the encoder; the decoder is its mirror.
        epochs: passes over the training rows.
        batch_size: rows per step.
        learning_rate: of Adam.
        num_samples: draws of z behind each number that is asked for.
        verbose: of Keras.
        random_state: as scikit-learn has it.
    """

    def __init__(
        self,
        latent_dim: int = 5,
        hidden: "tuple[int, ...]" = (64,),
        epochs: int = 200,
        batch_size: int = 64,
        learning_rate: float = 0.005,
        num_samples: int = 64,
        verbose: int = 0,
        random_state: Any = None,
    ):
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.num_samples = num_samples
        self.verbose = verbose
        self.random_state = random_state

    def _vae(self, width: int, seed: int) -> VAE:
        latent = min(check_count("latent_dim", self.latent_dim), width)
        hidden = widths(self.hidden)
        encoding = keras.Sequential([layers.Standardize(), networks.mlp(hidden)])
        return VAE(
            prior=priors.StandardNormal(latent),
            encoder=encoders.Gaussian(encoding, latent),
            decoder=decoders.Normal(networks.mlp(hidden[::-1]), (width,), scale="per_pixel"),
            seed=seed,
        )

    def _trained(self, train: Split, seed: int) -> VAE:
        check_count("num_samples", self.num_samples)
        return self._train(lambda: self._vae(train.shape[0], seed), train, seed)

    def _scores(self, X: np.ndarray) -> np.ndarray:
        """Returns -log p(x), float64 [n]; one fixed function of a row."""
        detector = Detector(self.model_, num_samples=self.num_samples)
        return detector.score(table(padded(X), "given"))[: len(X)]


class VAESampler(DensityMixin, Autoencoder):
    """A density that draws: log p(x) of rows, and new rows; see `Autoencoder` for the arguments.

    Example:
        >>> from tfp_vae.sklearn import VAESampler
        >>> VAESampler(epochs=5).fit(X).sample(100)  # doctest: +SKIP
    """

    def fit(self, X: Any, y: Any = None) -> "VAESampler":
        """Trains on rows [n, D]; returns itself."""
        del y
        X = self._checked(X, reset=True)
        self.model_ = self._trained(table(X, "train"), self._seed())
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """Returns log p(x) of each row, importance-sampled from below, nats, [n]."""
        return -self._scores(self._checked(X, reset=False))

    def score(self, X: Any, y: Any = None) -> float:
        """Returns the mean of `score_samples`, nats per row."""
        del y
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Returns new rows, drawn from p(x), [n_samples, D].

        Args:
            n_samples: how many.
            random_state: an integer; another one gives other rows.
        """
        check_is_fitted(self)
        seed = None if random_state is None else int(random_state)
        return self.model_.generate(check_count("n_samples", n_samples), seed)["sample"]


class VAEDetector(OutlierMixin, Autoencoder):
    """Tells outliers by -log p(x), of which usual rows have a stated rate.

    Rows are held out that the threshold is taken from: `validation_fraction` of them, or as many as
    the rate takes, 1 / rate - 1, if that is more. Where they would be more than half, the training
    rows themselves are ranked, which a warning says: the rate is then not exact.

    Args:
        latent_dim: see `Autoencoder`.
        hidden: see `Autoencoder`.
        epochs: see `Autoencoder`.
        batch_size: see `Autoencoder`.
        learning_rate: see `Autoencoder`.
        num_samples: see `Autoencoder`.
        false_positive_rate: share of usual rows that `predict` calls outliers.
        validation_fraction: share of the rows that is held out.
        verbose: of Keras.
        random_state: as scikit-learn has it.

    Attributes:
        offset_: minus the threshold; `decision_function` is `score_samples` - `offset_`.
        held_out_scores_: -log p(x) of the held-out rows, sorted.
    """

    def __init__(
        self,
        latent_dim: int = 5,
        hidden: "tuple[int, ...]" = (64,),
        epochs: int = 200,
        batch_size: int = 64,
        learning_rate: float = 0.005,
        num_samples: int = 64,
        false_positive_rate: float = 0.05,
        validation_fraction: float = 0.2,
        verbose: int = 0,
        random_state: Any = None,
    ):
        super().__init__(
            latent_dim,
            hidden,
            epochs,
            batch_size,
            learning_rate,
            num_samples,
            verbose,
            random_state,
        )
        self.false_positive_rate = false_positive_rate
        self.validation_fraction = validation_fraction

    def fit(self, X: Any, y: Any = None) -> "VAEDetector":
        """Trains on rows [n, D], most of which are usual; returns itself."""
        del y
        X = self._checked(X, reset=True)
        rate = check_number("false_positive_rate", self.false_positive_rate, above=0, below=1)
        share = check_number("validation_fraction", self.validation_fraction, above=0, below=1)
        seed, needed = self._seed(), conformal.rows_needed(rate)
        count = max(needed, round(share * len(X)))
        order = np.random.default_rng(seed).permutation(len(X))
        train, held_out = order[count:], order[:count]
        if 2 * count > len(X):
            train = held_out = order
            warnings.warn(
                f"A false-positive rate of {rate:g} takes {needed} held-out rows, and there are "
                f"{len(X)} in all: the threshold is that of the training rows, and not exact.",
                UserWarning,
                stacklevel=2,
            )
        self.model_ = self._trained(table(X[np.sort(train)], "train"), seed)
        self.held_out_scores_ = np.sort(self._scores(X[np.sort(held_out)]))
        level = min(1 - rate, len(held_out) / (len(held_out) + 1))
        self.offset_ = -conformal.limit(self.held_out_scores_, level)
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """Returns log p(x) of each row, nats, [n]: low for outliers."""
        return -self._scores(self._checked(X, reset=False))

    def decision_function(self, X: Any) -> np.ndarray:
        """Returns `score_samples` - `offset_`, [n]: below 0 for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Returns -1 for outliers and 1 for usual rows, [n]."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: Any) -> np.ndarray:
        """Returns how often a usual row is as improbable or more, [n] in (0, 1]."""
        return conformal.p_values(self.held_out_scores_, -self.score_samples(X))


class VAEImputer(OneToOneFeatureMixin, TransformerMixin, Autoencoder):
    """Fills missing cells with their means given the other cells of the row.

    Cells that are missing in training start at the means of their columns; after each of `rounds`
    trainings they are filled in anew, with what the model of that round expects of them.

    Args:
        latent_dim: see `Autoencoder`.
        hidden: see `Autoencoder`.
        epochs: see `Autoencoder`; of each round.
        batch_size: see `Autoencoder`.
        learning_rate: see `Autoencoder`.
        num_samples: draws of z behind each cell that is filled in.
        rounds: trainings, where cells are missing; one where none are.
        verbose: of Keras.
        random_state: as scikit-learn has it.
    """

    def __init__(
        self,
        latent_dim: int = 5,
        hidden: "tuple[int, ...]" = (64,),
        epochs: int = 100,
        batch_size: int = 64,
        learning_rate: float = 0.005,
        num_samples: int = 64,
        rounds: int = 3,
        verbose: int = 0,
        random_state: Any = None,
    ):
        super().__init__(
            latent_dim,
            hidden,
            epochs,
            batch_size,
            learning_rate,
            num_samples,
            verbose,
            random_state,
        )
        self.rounds = rounds

    def __sklearn_tags__(self) -> Any:
        """Returns the tags: cells may be missing."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def fit(self, X: Any, y: Any = None) -> "VAEImputer":
        """Trains on rows [n, D] with NaN in cells that are missing; returns itself."""
        del y
        X = self._checked(X, reset=True, ensure_all_finite="allow-nan")
        missing = np.isnan(X)
        if missing.all(axis=0).any():
            raise ValueError(
                f"Column {int(np.argmax(missing.all(axis=0)))} is empty. Expected a value in some "
                "row of every column; leave it out. Received NaN in all rows."
            )
        seed = self._seed()
        self.mean_ = np.nanmean(X, axis=0, dtype=np.float64).astype(np.float32)
        filled = np.where(missing, self.mean_, X)
        for number in range(check_count("rounds", self.rounds) if missing.any() else 1):
            if number:
                filled = self._filled(X, missing)
            self.model_ = self._trained(table(filled, "train"), seed)
        return self

    def _filled(self, X: np.ndarray, missing: np.ndarray) -> np.ndarray:
        filled, rows = np.where(missing, 0, X).astype(np.float32), missing.any(axis=1)
        if rows.any():
            seen = np.pad(~missing[rows], ((0, -int(rows.sum()) % ROWS), (0, 0)), mode="edge")
            filled[rows] = evaluation.impute(
                self.model_,
                padded(filled[rows]),
                seen,
                self.num_samples,
                num_chains=4,
                num_sweeps=8,
            )[: rows.sum()]
        return filled

    def transform(self, X: Any) -> np.ndarray:
        """Returns rows with their missing cells filled in, float32 [n, D]."""
        X = self._checked(X, reset=False, ensure_all_finite="allow-nan")
        return self._filled(X, np.isnan(X))
