"""How well a VAE with a class as condition tells the classes apart."""

import numpy as np

from tfp_vae.data import Split
from tfp_vae.evaluation import precision as precisions
from tfp_vae.evaluation.calibration import classification_metrics
from tfp_vae.models import M2, VAE, ConditionalVAE
from tfp_vae.training import Progress


def class_metrics(
    model: VAE,
    split: Split,
    num_samples: int = 100,
    prefix: str = "test_",
    seed: int | None = None,
    verbose: bool = False,
    precision: str = "float32",
) -> dict:
    """Returns the classification metrics of a model on `split`, JSON-ready.

    An `M2` classifies by q(y|x), a `ConditionalVAE` with classes by p(y|x), from importance-sampled
    log p(x|y) and p(y); no other model classifies, and the result is empty.

    Args:
        model: a trained model.
        split: with labels.
        num_samples: S importance samples per class, of a `ConditionalVAE`.
        prefix: of the keys.
        seed: fixes the draws; the model's seed by default.
        verbose: show progress.
        precision: of the decoder's products, "float32" or "bfloat16"; sums are float32.

    Returns:
        What `classification_metrics` reports and, of a `ConditionalVAE`, `num_class_samples`; with
        bfloat16 also `class_precision_error`, by how much log p(y|x) of the class that float32
        finds is above that of float32 on at most 64 examples with the same noise, nats.

    Raises:
        ValueError: if the split does not fit the model.
    """
    if not isinstance(model, ConditionalVAE) or model.num_classes is None:
        return {}
    split = model.as_split(split)
    if isinstance(model, M2):
        return classification_metrics(model.classify(split).log_probs.numpy(), split.y, prefix)
    used = precisions.with_products(model, precision)
    progress = Progress("log p(x|y), class") if verbose else None
    predictive = used.predictive(split, num_samples, seed=seed, progress=progress)
    found = classification_metrics(predictive.log_probs.numpy(), split.y, prefix)
    if used is not model:
        few = precisions.some(split.frozen())
        exact, other = (
            each.predictive(few, num_samples, seed=seed).log_probs.numpy() for each in (model, used)
        )
        rows = np.arange(len(few)), exact.argmax(axis=-1)
        found |= precisions.difference(exact[rows], other[rows], "class_")
    return found | {"num_class_samples": num_samples}
