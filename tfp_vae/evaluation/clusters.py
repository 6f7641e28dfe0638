"""What the components of a mixture prior found: clusters, held against labels.

    vae = methods.VAERecipe("vade", latent_dim=10, clusters=10).build(data)
    vae.compile(optimizer="adam")
    start = training.StartClusters(data.train, 30)   # VaDE (Jiang et al., 2017): from a VAE
    vae.fit(data.train, epochs=100, callbacks=[start])
    cluster_metrics(vae, data.train, data.test)

The bound of VaDE with its q(c|x) = p(c|z) is that of a VAE whose prior is the mixture: log p(z) has
the component summed out. Without a start it has one cluster for all.
"""

import numpy as np
import tensorflow as tf

from tfp_vae.data import Split
from tfp_vae.distributions.mixtures import NormalMixture
from tfp_vae.models import VAE
from tfp_vae.models.memory import in_batches

_BATCH = 1000


def clusters(vae: VAE, split: Split) -> np.ndarray:
    """Returns the most probable component at the centre of q(z|x), int [N].

    Args:
        vae: with a mixture prior; of several latents that of the top one.
        split: examples.

    Raises:
        ValueError: if the prior has no components.
    """
    return np.argmax(component_log_probs(vae, split), axis=-1)


def component_log_probs(vae: VAE, split: Split) -> np.ndarray:
    """Returns log p(k) p(z|k) of each component k at the centre z of q(z|x), float32 [N, K].

    Normalised over k they are the responsibilities, VaDE's q(k|x).

    Args:
        vae: with a mixture prior; of several latents that of the top one.
        split: examples.

    Raises:
        ValueError: if the prior has no components.
    """
    draw, encoder = vae.at_mean(), vae.encoders[0]
    prior = draw.prior()
    if not isinstance(prior, NormalMixture):
        raise ValueError(
            "Clusters are components of a prior. Expected a VAE with priors.Mixture or "
            f"priors.Vamp. Received {type(vae.prior).__name__}."
        )
    split, given = split.frozen(), vae.given_of(split)

    def run(_, index):
        condition = None if given is None else tf.constant(given[index])
        q = draw.posterior(tf.constant(split.values(index)), condition)
        return prior.component_log_prob(encoder.centre(q)).numpy()

    return np.concatenate([part[:size] for part, size in in_batches(split, _BATCH, run)])


def cluster_metrics(vae: VAE, train: Split, test: Split) -> "dict[str, float]":
    """Returns how well clusters agree with labels that the model never saw.

    Clusters get classes by the matching that is best on training labels, one to one (Hungarian
    method); those left over are wrong.

    Args:
        vae: with a mixture prior.
        train: examples whose labels clusters are matched on; those without are left out.
        test: examples whose labels are counted; likewise.

    Returns:
        "cluster_accuracy" with "cluster_accuracy_error", one standard error, and "cluster_nmi",
        normalised mutual information in [0, 1], both of `test`; {} where nobody knows a label.

    Raises:
        ValueError: if the prior has no components.
    """
    from scipy import optimize
    from sklearn import metrics

    if any(s.labels is None or not np.any(s.labels >= 0) for s in (train, test)):
        return {}
    train, test = (s.select(np.flatnonzero(s.labels >= 0), s.name) for s in (train, test))
    known, found = clusters(vae, train), clusters(vae, test)
    size = int(max(known.max(), found.max(), train.labels.max(), test.labels.max())) + 1
    counts = np.zeros((size, size), int)
    np.add.at(counts, (known, train.labels), 1)
    _, match = optimize.linear_sum_assignment(-counts)
    right = match[found] == test.labels
    return {
        "cluster_accuracy": float(right.mean()),
        "cluster_accuracy_error": float(right.std() / np.sqrt(len(right))),
        "cluster_nmi": float(metrics.normalized_mutual_info_score(test.labels, found)),
    }
