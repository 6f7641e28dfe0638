"""What a code says of labels that the model never saw: a linear probe, neighbours and clusters."""

import numpy as np

from tfp_vae.arguments import check_count, check_seed
from tfp_vae.data import Split
from tfp_vae.evaluation.latent import posterior_means
from tfp_vae.models import VAE


def probe_metrics(
    vae: VAE,
    train: Split,
    test: Split,
    *,
    neighbours: int = 5,
    most: int = 10_000,
    seed: int = 0,
) -> "dict[str, float]":
    """Returns how well the centres of q(z|x) tell the labels; see `label_scores`.

    Args:
        vae: the model.
        train: labelled examples that probes learn from.
        test: labelled examples that are counted.
        neighbours: see `label_scores`.
        most: training examples, spread over all.
        seed: of the clusters, and of which examples those are.

    Raises:
        ValueError: for a split without labels, or labels of one class.
    """
    for split in (train, test):
        if split.labels is None or np.any(split.labels < 0):
            raise ValueError(
                f"A probe learns labels. Expected labels of all {split.name} examples. Received "
                f"{split!r}."
            )
    order = np.random.default_rng(check_seed(seed)).permutation(len(train))
    train = train.select(np.sort(order[: check_count("most", most)]), train.name)
    codes = posterior_means(vae, train), posterior_means(vae, test)
    return label_scores(
        *(codes[0], train.labels), *(codes[1], test.labels), neighbours=neighbours, seed=seed
    )


def label_scores(
    train: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    *,
    neighbours: int = 5,
    seed: int = 0,
) -> "dict[str, float]":
    """Returns accuracies on test codes [N, D], each with "..._error", one standard error.

    "linear_accuracy" is that of a logistic regression, "neighbour_accuracy" of the majority of the
    nearest codes, both in units of each dimension; "cluster_accuracy" of k-means with as many
    clusters as classes, matched to the classes one to one where it is best on the training labels
    (Hungarian method), with "cluster_nmi", normalised mutual information.

    Args:
        train: codes that are learned from, [M, D].
        labels: [M].
        test: codes that are counted, [N, D].
        test_labels: [N].
        neighbours: how many.
        seed: of the clusters.

    Raises:
        ValueError: for labels of one class.
    """
    from scipy import optimize
    from sklearn import cluster, linear_model, metrics, neighbors

    names, known = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            f"A probe tells classes apart. Expected labels of two or more. Received {names} alone."
        )
    scale = train.std(axis=0)
    scale = np.where(scale > 0, scale, 1)
    train, test = (train - train.mean(axis=0)) / scale, (test - train.mean(axis=0)) / scale
    count = min(check_count("neighbours", neighbours), len(train))
    linear = linear_model.LogisticRegression(max_iter=1000).fit(train, known)
    nearest = neighbors.KNeighborsClassifier(count).fit(train, known)
    means = cluster.KMeans(len(names), n_init=4, random_state=check_seed(seed)).fit(train)
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (means.labels_, known), 1)
    _, match = optimize.linear_sum_assignment(-counts)
    found = means.predict(test)
    right = {
        "linear": names[linear.predict(test)] == test_labels,
        "neighbour": names[nearest.predict(test)] == test_labels,
        "cluster": names[match[found]] == test_labels,
    }
    result = {}
    for name, each in right.items():
        result[f"{name}_accuracy"] = float(each.mean())
        result[f"{name}_accuracy_error"] = float(each.std() / np.sqrt(len(each)))
    nmi = metrics.normalized_mutual_info_score(test_labels, found)
    return {**result, "cluster_nmi": float(nmi)}
