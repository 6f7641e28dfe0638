"""A learned mixture of normals."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions.base import inverse_positive, positive
from tfp_vae.distributions.mixtures import NormalMixture
from tfp_vae.distributions.priors.base import PRIORS, Context, Prior, Spec, registered

_LEAST_SCALE = 0.02  # of a fit by EM, in units of the spread of all draws: no component is a point
_LEAST_GAIN = 1e-4  # nats per draw, by which a step goes on
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
        self.raw_scale.assign(np.log(np.expm1(np.maximum(scale - 1e-4, 1e-6))))

    def fit(self, z: np.ndarray, seed: int = 0, steps: int = _STEPS) -> None:
        """Fits it to draws by expectation maximisation, from centres far from each other.

        Args:
            z: draws [N, D], at least as many as components.
            seed: of the start.
            steps: of the iteration.

        Raises:
            ValueError: if there are fewer draws than components.
        """
        if len(z) < self.components:
            raise ValueError(
                f"Too few draws for a mixture. Expected at least {self.components}, a draw per "
                f"component. Received {len(z)}."
            )
        rng = np.random.default_rng([seed, 61])
        z = np.asarray(z, np.float64)
        unit = np.maximum(z.std(axis=0), 1e-6)
        weights = np.full(self.components, 1 / self.components)
        loc = _far_apart(z / unit, self.components, rng) * unit
        scale = np.broadcast_to(unit * self.components ** (-1 / z.shape[1]), loc.shape)
        height = -np.inf
        for _ in range(steps):
            share, found = _shares(z, weights, loc, scale)
            if found - height < _LEAST_GAIN:
                break
            height = found
            total = share.sum(axis=0) + 1e-9
            weights = total / total.sum()
            loc = share.T @ z / total[:, np.newaxis]
            square = share.T @ z**2 / total[:, np.newaxis] - loc**2
            scale = np.sqrt(np.maximum(square, (_LEAST_SCALE * unit) ** 2))
        self.assign(weights, loc, scale)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "components": self.components}


def _far_apart(z, count, rng):
    """Returns rows that are far from each other by chance (k-means++, Arthur & Vassilvitskii)."""
    chosen = [z[rng.integers(len(z))]]
    distance = np.full(len(z), np.inf)
    for _ in range(1, count):
        distance = np.minimum(distance, np.sum((z - chosen[-1]) ** 2, axis=1))
        total = distance.sum()
        share = distance / total if total > 0 else None
        chosen.append(z[rng.choice(len(z), p=share)])
    return np.stack(chosen)


def _shares(z, weights, loc, scale):
    """Returns probabilities of the components given the draws, [N, K], and mean log p + c."""
    precision = 1 / scale**2
    log_prob = z @ (loc * precision).T - 0.5 * z**2 @ precision.T
    log_prob += np.log(weights) - np.sum(np.log(scale) + 0.5 * loc**2 * precision, axis=1)
    top = log_prob.max(axis=1, keepdims=True)
    share = np.exp(log_prob - top)
    total = share.sum(axis=1, keepdims=True)
    return share / total, float(np.mean(top + np.log(total)))
