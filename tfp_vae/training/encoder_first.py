"""Early epochs in which the encoder has steps of its own."""

import keras

from tfp_vae.arguments import check_count, check_type
from tfp_vae.models import VAE


class EncoderFirst(keras.callbacks.Callback):
    """Lets the encoder take `steps` steps alone before every step of the whole model, at first.

    Where q(z|x) lags behind p(z|x), the decoder learns to do without z before z says anything. In
    the first epochs the encoder is kept near the posterior of the decoder that it has (He et al.,
    "Lagging inference networks and posterior collapse in variational autoencoders", ICLR 2019,
    algorithm 1; there the inner loop ends when the bound stops rising, and its outer step is the
    decoder's alone, here both are trained in it). In the steps between neither the weights of the
    decoder and the prior move nor what the optimizer keeps of them. A step is a batch: an epoch is
    no longer than any other, and has fewer steps of the decoder.

    Args:
        steps: of the encoder alone before each step of all.
        epochs: how many of the epochs of `fit`, the first ones.

    Raises:
        ValueError: from `fit`, for a model whose parts cannot be trained apart.
    """

    comes_first = True  # of the callbacks: what an epoch begins with is another step

    def __init__(self, steps: int, epochs: int):
        super().__init__()
        self.steps = check_count("steps", steps)
        self.epochs = check_count("epochs", epochs)

    def check(self, model: keras.Model, epochs: int) -> None:
        """Raises `ValueError` if the training cannot begin like this.

        Args:
            model: that is trained, compiled.
            epochs: of the whole training.
        """
        check_type("model", model, VAE, type(self).__name__)
        if not model.on_bound or not model.encoder_weights():
            raise ValueError(
                "There is no encoder to be trained first. Expected a VAE on a bound, whose encoder "
                f"has weights. Received a {type(model).__name__}."
            )
        if self.epochs > epochs:
            raise ValueError(
                f"An encoder is first within the epochs of a training. Expected at most {epochs} "
                f"of them, as many as there are. Received {self.epochs}."
            )
        if model.num_replicas > 1:
            raise ValueError(
                "The encoder is trained first on one device. Expected one replica. Received "
                f"{model.num_replicas}."
            )
        if getattr(model.optimizer, "gradient_accumulation_steps", None):
            raise ValueError(
                "The optimizer adds up gradients of several steps, and the encoder has steps of "
                "its own. Expected an optimizer without gradient_accumulation_steps. Received "
                f"{model.optimizer.gradient_accumulation_steps}."
            )

    def on_train_begin(self, logs: "dict | None" = None) -> None:
        """Looks whether it can be."""
        self.check(self.model, self.params["epochs"])

    def on_epoch_begin(self, epoch: int, logs: "dict | None" = None) -> None:
        """Begins, or ends, the steps of the encoder."""
        self._set(self.steps if epoch < self.epochs else 0)

    def on_train_end(self, logs: "dict | None" = None) -> None:
        """Leaves the model as it was."""
        self._set(0)

    def _set(self, steps):
        if self.model.encoder_steps != steps:
            self.model.encoder_steps = steps
            self.model.make_train_function(force=True)
