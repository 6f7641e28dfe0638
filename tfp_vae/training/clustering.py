"""VaDE: a training as a VAE first, then with a mixture prior that starts at its latents."""

import keras
import numpy as np

from tfp_vae.arguments import check_count, check_type
from tfp_vae.data import Split
from tfp_vae.distributions import draws
from tfp_vae.distributions.priors.mixture import Mixture
from tfp_vae.models import VAE
from tfp_vae.models.ex_post import posterior_draws
from tfp_vae.randomness import fold_in

_STARTS = 10  # of expectation maximisation, which ends where it began
_CLUSTERS = 73  # folded into the key of the model


class StartClusters(keras.callbacks.Callback):
    """Trains the first epochs with one normal as the prior, then from clusters of its latents.

    A mixture prior that is trained from the start has one component for all (Jiang et al.,
    "Variational deep embedding", IJCAI 2017, section 3.3). So all components are N(0, I) first,
    which is a VAE with one normal; then they start where expectation maximisation finds clusters of
    draws of q(z|x), and the training goes on. It is the same training for `Checkpoints`, too.

    Args:
        split: the training data.
        epochs: trained before, at least 1.

    Raises:
        ValueError: from `fit`, for a model whose top prior is no `priors.Mixture`, or for fewer
            epochs than these and one more.
    """

    comes_first = True  # of the callbacks: what an epoch begins with is another prior

    def __init__(self, split: Split, epochs: int):
        super().__init__()
        self.split = check_type("split", split, Split, type(self).__name__)
        self.epochs = check_count("epochs", epochs)
        self._is_one = self._begun = False

    def check(self, model: keras.Model, epochs: int) -> None:
        """Raises `ValueError` if the training cannot begin like this.

        Args:
            model: that is trained.
            epochs: of the whole training.
        """
        check_type("model", model, VAE, type(self).__name__)
        if not isinstance(model.priors[0], Mixture):
            raise ValueError(
                "Clusters are components of a prior. Expected a VAE with priors.Mixture. Received "
                f"{type(model.priors[0]).__name__}."
            )
        if self.epochs >= epochs:
            raise ValueError(
                f"Clusters are trained after a start of {self.epochs} epochs. Expected more epochs "
                f"in all. Received {epochs}."
            )

    def get_state(self) -> dict:
        """Returns which of the two starts are over, JSON-ready."""
        return {"is_one": self._is_one, "begun": self._begun}

    def set_state(self, state: dict) -> None:
        """Takes the state of `get_state`."""
        self._is_one, self._begun = bool(state["is_one"]), bool(state["begun"])

    def on_train_begin(self, logs: "dict | None" = None) -> None:
        """Looks whether it can be."""
        self._is_one = self._begun = False
        self.check(self.model, self.params["epochs"])

    def on_epoch_begin(self, epoch: int, logs: "dict | None" = None) -> None:
        """Makes all components one, or starts them at clusters."""
        prior = self.model.priors[0]
        if epoch < self.epochs and not self._is_one:
            shape = prior.components, prior.latent_dim
            prior.assign(np.full(shape[0], 1 / shape[0]), np.zeros(shape), np.ones(shape))
            self._is_one = True
        if epoch >= self.epochs and not self._begun:
            split = self.split.frozen()
            key = fold_in(self.model.caller_key(self.model.seed), _CLUSTERS)
            count = max(1, 5000 // len(split))
            _fit_best(prior, posterior_draws(self.model, split, count, key), self.model.seed)
            self._begun = True


def _fit_best(prior: Mixture, z: np.ndarray, seed: int) -> None:
    """Fits a mixture from several starts and keeps the most probable one."""
    best, kept = -np.inf, prior.get_weights()
    for start in range(_STARTS):
        prior.fit(z, seed + start)
        found = float(np.mean(draws.log_prob(prior(), z)))
        if found > best:
            best, kept = found, prior.get_weights()
    prior.set_weights(kept)
