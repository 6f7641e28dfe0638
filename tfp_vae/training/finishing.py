"""The last epochs of a training with another bound."""

import keras

from tfp_vae import objectives
from tfp_vae.arguments import check_count, check_type
from tfp_vae.models import VAE


class Finish(keras.callbacks.Callback):
    """Trains the last epochs of a `fit` on another bound with a number of draws of its own.

    A VAE that was trained on the ELBO gains most of what the importance-weighted bound gives from
    its last epochs alone (Burda, Grosse & Salakhutdinov, 2016, table 2: 86.76 to 84.88 nats on
    MNIST). Weights, optimizer, learning rate and noise go on; all epochs report both bounds. It is
    the same training for `Checkpoints`, too.

    Args:
        objective: the bound.
        num_samples: K, draws per example from then on; the model keeps them.
        epochs: how many of the epochs of `fit`, the last ones.

    Raises:
        ValueError: from `fit`, for more epochs than there are, or a bound that the model has not.
    """

    comes_first = True  # of the callbacks: what an epoch begins with is another step

    def __init__(self, objective: "objectives.Bound", num_samples: int, epochs: int):
        super().__init__()
        self.objective = objectives.as_bound(objective)
        self.num_samples = check_count("num_samples", num_samples)
        self.epochs = check_count("epochs", epochs)
        self._begun = self._is_here = False

    def check(self, model: keras.Model, epochs: int) -> None:
        """Raises `ValueError` if the training cannot end like this.

        Args:
            model: that is trained.
            epochs: of the whole training.
        """
        check_type("model", model, VAE, type(self).__name__)
        if self.epochs > epochs:
            raise ValueError(
                "A training ends with another bound within its epochs. Expected at most "
                f"{epochs} of them, as many as there are. Received {self.epochs}."
            )
        if self.objective.network(model) is not model.objective_network:
            raise ValueError(
                "A training ends with a bound of the same weights. Expected bounds without a "
                f"network of their own. Received a {type(model.objective).__name__} and a "
                f"{type(self.objective).__name__}."
            )
        before, model.num_samples = model.num_samples, self.num_samples
        try:
            self.objective.check(model)
        finally:
            model.num_samples = before

    def get_state(self) -> dict:
        """Returns whether the last epochs have begun, JSON-ready."""
        return {"begun": self._begun}

    def set_state(self, state: dict) -> None:
        """Takes the state of `get_state`."""
        self._begun = bool(state["begun"])

    def on_train_begin(self, logs: "dict | None" = None) -> None:
        """Looks whether it can be, and has both bounds reported."""
        self._begun = self._is_here = False
        self.check(self.model, self.params["epochs"])
        self.model.change_bounds(reported=(self.model.objective, self.objective))

    def on_epoch_begin(self, epoch: int, logs: "dict | None" = None) -> None:
        """Changes the bound where the last epochs begin, or the training goes on within them."""
        if not self._is_here and epoch >= self.params["epochs"] - self.epochs:
            self._change()

    def on_train_end(self, logs: "dict | None" = None) -> None:
        """Changes the bound of a training that was finished before."""
        if self._begun and not self._is_here:
            self._change()

    def _change(self):
        self._begun = self._is_here = True
        self.model.num_samples = self.num_samples
        self.model.change_bounds(objective=self.objective)
