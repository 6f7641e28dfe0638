"""pythae: its own VAE, trainer and `get_nll`, with networks of the sizes of the others."""

import tempfile

import numpy as np
import torch
import worker
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import nn


class Encoder(BaseEncoder):
    """784-400-20."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU())
        self.loc, self.log_variance = nn.Linear(400, 20), nn.Linear(400, 20)

    def forward(self, x):
        hidden = self.hidden(x)
        return ModelOutput(embedding=self.loc(hidden), log_covariance=self.log_variance(hidden))


class Decoder(BaseDecoder):
    """20-400-784."""

    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(
            *(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784), nn.Sigmoid()),
            nn.Unflatten(1, (1, 28, 28)),
        )

    def forward(self, z):
        return ModelOutput(reconstruction=self.network(z))


def make(item, variant, data):
    """Returns the block of an item."""
    del variant
    torch.manual_seed(0)
    batch_size = int(data["batch_size"])
    grey = data["x"].reshape(-1, 1, 28, 28).astype(np.float32) / 255
    # It has no binarisation of its own: images are binarised once.
    x = torch.from_numpy((np.random.default_rng(0).random(grey.shape) < grey).astype(np.float32))
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=20, reconstruction_loss="bce")
    model = VAE(config, Encoder(), Decoder())
    settings = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=batch_size,
        learning_rate=1e-3,
        no_cuda=True,
    )
    trainer = BaseTrainer(model, BaseDataset(x, torch.zeros(len(x))), training_config=settings)
    trainer.prepare_training()
    passes = 0

    def train():
        nonlocal passes
        passes += 1
        return len(x), trainer.train_step(passes)

    if item != "E1":
        return train
    for _ in range(3):
        train()
    model.eval()

    def block():
        images = x[:100]  # a tenth of what the others do: it goes image by image
        # What is called a negative log-likelihood there is the log-likelihood.
        return len(images), model.get_nll(images, n_samples=500, batch_size=100)

    return block


if __name__ == "__main__":
    worker.serve(make)
