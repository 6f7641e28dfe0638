"""How many of its codes a model with discrete latents uses."""

import numpy as np

from tfp_vae.data import Split
from tfp_vae.models import VAE
from tfp_vae.models.memory import in_batches


def code_indices(model: VAE, split: Split, batch_size: int = 1000) -> np.ndarray:
    """Returns the likeliest codes of every example, int32 [N, T].

    Raises:
        ValueError: if the latents of the model are no codes.
    """
    if not hasattr(model.encoder, "codes"):
        raise ValueError(
            "This model has no codes. Expected one with an encoder of tfp_vae.codes. Received a "
            f"{type(model.encoder).__name__}."
        )
    split, given = split.frozen(), model.given_of(split)

    def run(_, index):
        condition = None if given is None else given[index]
        posterior = model.at_mean().posterior(split.values(index), condition)
        return model.encoder.codes_of(posterior).numpy()

    return np.concatenate([part[:size] for part, size in in_batches(split, batch_size, run)])


def code_usage(model: VAE, split: Split) -> dict:
    """Returns how the codes of a split are spread, JSON-ready.

    Returns:
        "code_perplexity": exp of the entropy of the codes over all places and examples, K if all
        are alike; "code_usage": the share of the K codes that occurs at all.
    """
    counts = np.bincount(code_indices(model, split).ravel(), minlength=model.encoder.book.count)
    share = counts[counts > 0] / counts.sum()
    return {
        "code_perplexity": float(np.exp(-np.sum(share * np.log(share)))),
        "code_usage": float(np.mean(counts > 0)),
    }
