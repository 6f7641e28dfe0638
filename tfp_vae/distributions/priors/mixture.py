"""A learned mixture of normals."""

import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions.base import SCALE_FLOOR, inverse_positive, positive
from tfp_vae.distributions.mixtures import NormalMixture
from tfp_vae.distributions.priors.base import PRIORS, Context, Prior, Spec, registered

_LEAST_SCALE = 0.02  # of a fit by EM, in units of the spread of all draws: no component is a point
_LEAST_GAIN = 1e-4  # nats per draw, by which a step goes on
_LEAST_WEIGHT = 1e-12  # has a logarithm
_STEPS = 100


@PRIORS.register("mixture", "learned mixture of normals")
@registered
class Mixture(Prior):
    """p(z) = sum_k w_k N(loc_k, diag(scale_k)^2) with learned weights, centres and scales.

    It starts spread out, as wide as a standard normal in all; of one component it is N(0, I).

    Args:
        latent_dim: D.
        components: K.

    Raises:
        ValueError: for components < 1.
    """

    has_components = True

    def __init__(self, latent_dim: int, components: int = 100, **kwargs: Any):
        super().__init__(latent_dim, **kwargs)
        self.components = check_count("components", components)

    def build(self, spec: "Spec | None" = None) -> None:
        """Makes the weights [K], the centres [K, D] and the scales [K, D]."""
        if self.built:
            return
        # Equal centres would never part; one has nobody to be apart from.
        share = 0.0 if self.components == 1 else 0.5
        centres = keras.initializers.RandomNormal(stddev=share**0.5)
        scales = keras.initializers.Constant(inverse_positive((1.0 - share) ** 0.5))
        shape = self.components, self.latent_dim
        options: dict[str, Any] = {"autocast": False}
        self.logits = self.add_weight(
            name="logits", shape=shape[:1], initializer="zeros", **options
        )
        self.loc = self.add_weight(name="loc", shape=shape, initializer=centres, **options)
        self.raw_scale = self.add_weight(
            name="raw_scale", shape=shape, initializer=scales, **options
        )
        self.built = True

    def distribution(self, context: Context) -> NormalMixture:
        """Returns a `NormalMixture` with event shape [D]."""
        return NormalMixture(
            tf.convert_to_tensor(self.logits),
            tf.convert_to_tensor(self.loc),
            positive(tf.convert_to_tensor(self.raw_scale)),
        )

    def assign(self, weights: np.ndarray, loc: np.ndarray, scale: np.ndarray) -> None:
        """Sets weights [K] > 0, centres [K, D] and scales [K, D]."""
        self.build()
        self.logits.assign(np.log(weights))
        self.loc.assign(loc)
        above = np.maximum(scale - SCALE_FLOOR, 1e-6)
        self.raw_scale.assign(above + np.log(-np.expm1(-above)))  # of `positive`, of any size

    def fit(self, z: np.ndarray, seed: int = 0, steps: int = _STEPS) -> None:
        """Fits it to draws by expectation maximisation, from the clusters of k-means.

        Args:
            z: draws [N, D], at least as many as components.
            seed: of the start.
            steps: of the iteration.

        Raises:
            ValueError: if there are fewer draws than components.
        """
        self.check_fit(len(z))
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        z = np.asarray(z, np.float64)
        unit = np.maximum(z.std(axis=0), 1e-6)
        found = GaussianMixture(
            self.components,
            covariance_type="diag",
            reg_covar=_LEAST_SCALE**2,
            tol=_LEAST_GAIN,
            max_iter=steps,
            random_state=seed % 2**32,
        )
        with warnings.catch_warnings():
            # Draws that are all alike have fewer clusters than components, which is no fault; and
            # a fit that still gains a little is one.
            warnings.simplefilter("ignore", ConvergenceWarning)
            found.fit(z / unit)
        weights = np.maximum(found.weights_, _LEAST_WEIGHT)
        loc, scale = found.means_ * unit, np.sqrt(found.covariances_) * unit
        self.assign(weights, loc, scale)

    def check_fit(self, count: int) -> None:
        """Raises `ValueError` if there are fewer draws than components."""
        if count < self.components:
            raise ValueError(
                f"Too few draws for a mixture. Expected at least {self.components}, a draw per "
                f"component. Received {count}."
            )

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "components": self.components}
