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
from tfp_vae.evaluation.latent import posterior_means
from tfp_vae.models import VAE


def clusters(vae: VAE, split: Split) -> np.ndarray:
    """Returns the most probable component at the centre of q(z|x), int [N].

    Args:
        vae: with a mixture prior.
        split: examples.

    Raises:
        ValueError: if the prior has no components.
    """
    return np.argmax(component_log_probs(vae, split), axis=-1)


def component_log_probs(vae: VAE, split: Split) -> np.ndarray:
    """Returns log p(k) p(z|k) of each component k at the centre z of q(z|x), float32 [N, K].

    Normalised over k they are the responsibilities, VaDE's q(k|x).

    Args:
        vae: with a mixture prior.
        split: examples.

    Raises:
        ValueError: if the prior has no components.
    """
    prior = vae.at_mean().prior()
    if not isinstance(prior, NormalMixture):
        raise ValueError(
            "Clusters are components of a prior. Expected a VAE with priors.Mixture or "
            f"priors.Vamp. Received {type(vae.prior).__name__}."
        )
    z = tf.constant(posterior_means(vae, split))
    return np.asarray(prior.component_log_prob(z))


def cluster_metrics(vae: VAE, train: Split, test: Split) -> "dict[str, float]":
    """Returns how well clusters agree with labels that the model never saw.

    Clusters get classes by the matching that is best on training labels, one to one (Hungarian
    method); those left over are wrong.

    Args:
        vae: with a mixture prior.
        train: labelled examples that clusters are matched on.
        test: labelled examples that are counted.

    Returns:
        "cluster_accuracy" with "cluster_accuracy_error", one standard error, and "cluster_nmi",
        normalised mutual information in [0, 1], both of `test`.

    Raises:
        ValueError: if the prior has no components, or the splits no labels.
    """
    from scipy import optimize
    from sklearn import metrics

    for split in (train, test):
        if split.labels is None or np.any(split.labels < 0):
            raise ValueError(
                f"Clusters are held against labels. Expected labels of all {split.name} examples. "
                f"Received {split!r}."
            )
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
