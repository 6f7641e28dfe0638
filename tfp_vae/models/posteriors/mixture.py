"""Several posteriors of the same network as one, such as those around the modes of an ensemble."""

from collections.abc import Sequence

import tensorflow as tf

from tfp_vae.models.posteriors.weights import WeightPosterior
from tfp_vae.randomness import fold_in


class Mixture(WeightPosterior):
    """Posteriors with equal weights; draws take turns among them.

    MultiSWAG is one of `SWAG`s around the members of an ensemble (Wilson & Izmailov, 2020).

    Args:
        posteriors: of networks of the same form, with the same units.

    Raises:
        ValueError: if there is none, or they do not have the same weights.
    """

    def __init__(self, posteriors: Sequence[WeightPosterior]):
        if not posteriors or len({tuple(each.shapes) for each in posteriors}) != 1:
            raise ValueError(
                "A mixture is of posteriors of one network. Expected at least one, all with the "
                f"same weights. Received {len(posteriors)}."
            )
        super().__init__(posteriors[0].network_model)
        self.has_networks = all(each.has_networks for each in posteriors)  # type: ignore[misc]
        self.posteriors = list(posteriors)

    def _shares(self, num_samples: int, key: tf.Tensor) -> list:
        """Returns (posterior, its number of draws, its key) of those that have any."""
        count = len(self.posteriors)
        each = [(num_samples + count - 1 - i) // count for i in range(count)]
        found = zip(self.posteriors, each, range(count), strict=True)
        return [(part, share, fold_in(key, i)) for part, share, i in found if share]

    def draw_parameters(self, x: tf.Tensor, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns parameters of the likelihood under draws of the weights, [S, B, Q]."""
        shares = self._shares(num_samples, key)
        return tf.concat([part.draw_parameters(x, n, own) for part, n, own in shares], axis=0)

    def frozen_parameters(self, x: tf.Tensor, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns `draw_parameters` with the draws as constants, [S, B, Q]."""
        with tf.init_scope():  # keys that the graph knows are not known where draws are made
            shares = self._shares(num_samples, key)
        return tf.concat([part.frozen_parameters(x, n, own) for part, n, own in shares], axis=0)

    def frozen_draws(self, num_samples: int, key: tf.Tensor) -> list[tf.Tensor]:
        """Returns the weights that `draw_parameters` predicts from, [P] each."""
        shares = self._shares(num_samples, key)
        return [draw for part, n, own in shares for draw in part.frozen_draws(n, own)]

    def draw(self, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns draws of the weights, [S, P]."""
        shares = self._shares(num_samples, key)
        return tf.concat([part.draw(n, own) for part, n, own in shares], axis=0)
