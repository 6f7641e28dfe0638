"""What the latents of a model do."""

import numpy as np

from tfp_vae.data import Split
from tfp_vae.models import VAE
from tfp_vae.models.memory import in_batches
from tfp_vae.models.metrics import ACTIVE_UNIT_THRESHOLD


def posterior_means(model: VAE, split: Split, batch_size: int = 1000) -> np.ndarray:
    """Returns the centre of q(z|x) of every example, [N, D]; of a conditional model of q(z|x, c).

    The mean, or where a flow carries the centre of its base. Bayesian weights are at their means.
    """
    split, given = split.frozen(), model.given_of(split)

    def run(_, index):
        condition = None if given is None else given[index]
        return model.encode(split.values(index), condition).numpy()

    return np.concatenate([part[:size] for part, size in in_batches(split, batch_size, run)])


def active_units(model: VAE, split: Split) -> int:
    """Returns the number of latent dimensions with Var_x(E_q(z|x)[z_d]) > 0.01.

    Burda, Grosse & Salakhutdinov, 2016, section 5.2.
    """
    variance = posterior_means(model, split).var(axis=0)
    return int((variance > ACTIVE_UNIT_THRESHOLD).sum())
