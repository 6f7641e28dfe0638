"""A VAE beside autoencoders of the same networks: what the KL buys, and what it costs.

Every member has the same data, networks and passes. What is made is judged by a density that knows
no member, a mixture of Bernoulli products. It sees draws of p(x|z) and not their means: any density
takes what is blurred for likely, and draws of what is blurred are noise.
"""

import dataclasses
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import evaluation, plots, report, training
from tfp_vae.data import Data, Split
from tfp_vae.evaluation import latent_space
from tfp_vae.evaluation.bounds import reconstruction
from tfp_vae.evaluation.probes import label_scores
from tfp_vae.models import VAE, walks
from tfp_vae.plots.figure import Figure
from tfp_vae.randomness import fold_in


@dataclasses.dataclass(frozen=True)
class Member:
    """What is compared; one whose prior was trained draws from it, others from a fitted normal.

    Attributes:
        model: a name in `methods.VAE_KINDS`.
        kl: the weight of the KL, of a model that has one.
        has_noise: whether noise is added to what it sees.
    """

    model: str
    kl: float = 1.0
    has_noise: bool = False


MEMBERS = {
    "vae": Member("vae"),
    "no_kl": Member("vae", kl=0.0),
    "autoencoder": Member("autoencoder"),
    "denoising": Member("autoencoder", has_noise=True),
}
TABLE = {
    "squared_error": "squared error",
    "linear_accuracy": "linear probe",
    "rebuilt_log_p": "log p of reconstructions",
    "sample_log_p": "of samples",
    "middle_log_p": "of middles",
    "holes": "samples in holes",
    "noise_share": "noise in codes",
}
_MOST, _PAIRS, _SAMPLES = 2000, 200, 400
_SHOWN, _STEPS = 10, 9
_ROUNDS = 60  # of EM
_DRAWN = 7  # folded into the seed


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is trained and how.

    Attributes:
        data: trained and tested on.
        members: names in `MEMBERS`.
        build: (data, member) -> a compiled model.
        batch_size: of training.
        epochs: of training.
        seeds: of initial weights and noise; each member is trained with each of them.
    """

    data: Data
    members: "tuple[str, ...]"
    build: "Callable[[Data, str], VAE]"
    batch_size: int
    epochs: int
    seeds: "tuple[int, ...]" = (0,)


class Judge:
    """A density of binary examples that knows no model: a mixture of Bernoulli products, by EM.

    Args:
        known: examples in [0, 1], probabilities where values are drawn, [N, P].
        components: K, at most a tenth of the examples.
        seed: of the examples that it starts at.
    """

    def __init__(self, known: np.ndarray, components: int = 40, seed: int = 0):
        known = np.asarray(known, np.float64)
        count = max(1, min(components, len(known) // 10))
        start = np.random.default_rng(seed).permutation(len(known))[:count]
        self._means, self._shares = 0.1 + 0.8 * known[start], np.full(count, 1 / count)
        for _ in range(_ROUNDS):
            joint = self._joint(known)
            mine = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, np.newaxis])
            # One more example of ones and one of zeros, so that no probability is 0.
            weights = mine.sum(axis=0)
            self._means = (mine.T @ known + 1) / (weights[:, np.newaxis] + 2)
            self._shares = (weights + 1) / (len(known) + count)

    def _joint(self, values):
        ones, zeros = np.log(self._means), np.log1p(-self._means)
        return values @ (ones - zeros).T + zeros.sum(axis=1) + np.log(self._shares)

    def log_prob(self, values: np.ndarray) -> np.ndarray:
        """Returns log p of binary examples [N, P], [N], nats."""
        return np.logaddexp.reduce(self._joint(np.asarray(values, np.float64)), axis=1)


def share_in_holes(drawn: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    """Returns the share of drawn codes that are where no code is.

    Further from the nearest training code than 99 % of the test codes are, in units of the
    deviation of each dimension; 0.01 where codes are drawn as they lie.

    Args:
        drawn: [N, D].
        train: codes of training examples, [M, D].
        test: codes of others, [K, D].
    """
    scale = np.where(train.std(axis=0) > 0, train.std(axis=0), 1.0)
    train, test, drawn = (each / scale for each in (train, test, drawn))

    def distances(codes):
        nearest = train[latent_space.nearest(codes, train, 1)[:, 0]]
        return np.linalg.norm(codes - nearest, axis=1)

    return float(np.mean(distances(drawn) > np.quantile(distances(test), 0.99)))


def fitted_normal(codes: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns draws from the normal with mean and covariance of codes [N, D], [count, D]."""
    covariance = np.atleast_2d(np.cov(codes, rowvar=False))
    return rng.multivariate_normal(codes.mean(axis=0), covariance, count)


@dataclasses.dataclass(frozen=True)
class Looks:
    """What is seen of a model: images [_SHOWN, ...] and ways between two of them."""

    rebuilt: np.ndarray
    samples: np.ndarray
    ways: np.ndarray


def learn(plan: Plan, member: str, seed: int, judge: Judge) -> "tuple[dict, Looks]":
    """Trains one model; returns what is measured of it, JSON-ready, and what it makes."""
    keras.utils.set_random_seed(seed)
    model, data = plan.build(plan.data, member), plan.data
    model.seed = seed
    started = time.monotonic()
    model.fit(
        data.train,
        batch_size=plan.batch_size,
        epochs=plan.epochs,
        callbacks=[training.StopOnNaN()],
        verbose=0,
    )
    found = {"train_seconds": time.monotonic() - started}
    measured, looks = measure(model, data, judge, seed)
    return {**found, **measured}, looks


def measure(model: VAE, data: Data, judge: Judge, seed: int = 0) -> "tuple[dict, Looks]":
    """Returns what is measured of a trained model, JSON-ready, and what it makes.

    Args:
        model: a VAE or an autoencoder without a condition.
        data: what it was trained on.
        judge: a density of examples.
        seed: of draws and pairs.

    Returns:
        "squared_error" per value of test examples; of labelled data "linear_accuracy" and the
        others of `evaluation.label_scores`; the mean log densities of draws of p(x|z), nats:
        "sample_log_p" at samples, "middle_log_p" at middles between codes of two classes,
        "rebuilt_log_p" at codes of test examples; "middle_drop", by how much middles are below
        their ends; "holes", see `share_in_holes`; "noise_share", the deviation of q(z|x) in units
        of that of its draws (0 of a point); of what is on the bound "elbo", of others "note".
    """
    rng, draw = np.random.default_rng([seed, 89]), model.at_mean()
    train, test = (each.take(_MOST).frozen() for each in (data.train, data.test))

    def decoded(z):
        return draw.likelihood(tf.constant(z, tf.float32)).mean().numpy()

    def judged(z):
        likelihood = draw.likelihood(tf.constant(z, tf.float32))
        made = likelihood.sample(seed=fold_in(seed, _DRAWN)).numpy()
        return judge.log_prob(_flat(made))

    centres, noise = walks.moments(model, train)
    others, noise_of_others = walks.moments(model, test)
    # A point has no deviation; one of a VAE is where its examples are with q(z|x) around.
    noise, noise_of_others = (np.nan_to_num(each) for each in (noise, noise_of_others))
    codes = centres + noise * rng.standard_normal(centres.shape)
    test_codes = others + noise_of_others * rng.standard_normal(others.shape)
    is_trained = model.on_bound and float(model.objective.kl_weight(0)) > 0
    if is_trained:
        drawn = model.at(seed).sample(_SAMPLES)[0].numpy()
    else:
        drawn = fitted_normal(codes, _SAMPLES, rng)
    first, second = _pairs(test)
    middles = judged(0.5 * (others[first] + others[second]))
    ends = judged(others[np.concatenate([first, second])])
    found = {
        "squared_error": reconstruction(model, data.test, "")["squared_error"],
        "sample_log_p": float(judged(drawn).mean()),
        "middle_log_p": float(middles.mean()),
        "middle_drop": float(ends.mean() - middles.mean()),
        "rebuilt_log_p": float(judged(others).mean()),
        "holes": share_in_holes(drawn, codes, test_codes),
        "noise_share": float(np.mean(noise / np.maximum(codes.std(axis=0), 1e-12))),
        "draws_from": "prior" if is_trained else "normal fitted to codes",
    }
    if train.labels is not None and len(np.unique(train.labels)) > 1:
        found |= label_scores(centres, train.labels, others, test.labels, seed=seed)
    if model.on_bound:
        found["elbo"] = evaluation.elbo(model, data.test)["elbo"]
    else:
        found["note"] = model.off_bound
    shares, few = np.linspace(0.0, 1.0, _STEPS), min(2, len(first))
    lines = walks.lerp(others[first[:few]], others[second[:few]], shares)
    ways = np.stack([decoded(line) for line in np.moveaxis(lines, 0, 1)])
    return found, Looks(decoded(others[:_SHOWN]), decoded(drawn[:_SHOWN]), ways)


def _pairs(split: Split) -> "tuple[np.ndarray, np.ndarray]":
    """Returns the places of pairs of examples, of two classes where there are classes.

    The same ones for all members and seeds.
    """
    rng = np.random.default_rng(89)
    first, second = (rng.integers(len(split), size=20 * _PAIRS) for _ in range(2))
    labels = np.arange(len(split)) if split.labels is None else split.labels
    differ = np.flatnonzero(labels[first] != labels[second])[:_PAIRS]
    if not len(differ):
        raise ValueError(
            "Ways go between examples that differ. Expected test examples of two classes, or two "
            f"without labels. Received {len(split)} of one."
        )
    return first[differ], second[differ]


def judge_of(data: Data) -> "tuple[Judge, dict]":
    """Returns the judge of a data set, and what it says of the data themselves, JSON-ready.

    "test_log_p" of test examples, and "pixel_middle_log_p" of means of two of them, drawn as 0 or
    1, which lie off what the data are like.

    Raises:
        ValueError: for values that are not binary, or test examples of one class.
    """
    if not data.kind.is_binary:
        raise ValueError(
            "What is drawn is judged by a mixture of Bernoulli products. Expected binary values, "
            f"--kind=dynamic or threshold. Received values of kind {data.kind}."
        )
    train, test = (part.take(_MOST) for part in (data.train, data.test))
    first, second = _pairs(test)
    known = _flat(test.intensities())
    middles = 0.5 * (known[first] + known[second])
    middles = np.random.default_rng(97).random(middles.shape) < middles
    judge = Judge(_flat(train.intensities()))
    return judge, {
        "test_log_p": float(judge.log_prob(_flat(test.values())).mean()),
        "pixel_middle_log_p": float(judge.log_prob(middles).mean()),
    }


def _flat(values):
    return values.reshape(len(values), -1)


def run(plan: Plan, folder: report.RunFolder, source: dict) -> "dict[str, dict]":
    """Trains every member with every seed and writes what is known after each.

    Args:
        plan: what to train.
        folder: made; gets `metrics.json` and, of images, `autoencoders.png`.
        source: what the metrics say of where the data come from.

    Returns:
        {member: means over the seeds, with "..._se" where there are several}.
    """
    judge, of_data = judge_of(plan.data)
    each: dict[str, list[dict]] = {member: [] for member in plan.members}
    looks: dict[str, Looks] = {}
    metrics = {
        **source,
        "kind": plan.data.kind,
        "digests": plan.data.digests,
        "seeds": list(plan.seeds),
        "judge": of_data,
        "versions": report.versions(),
    }
    for seed in plan.seeds:
        for member in plan.members:
            print(f"{member}, seed {seed}", flush=True)
            found, seen = learn(plan, member, seed, judge)
            each[member].append(found)
            looks.setdefault(member, seen)
            done = {name: _summed(rows) for name, rows in each.items() if rows}
            folder.write_json("metrics.json", metrics | {"members": done, "runs": each})
    if len(plan.data.shape) == 3:
        folder.write_figure("autoencoders.png", picture(plan.data.test, looks))
    return done


def _summed(rows: "list[dict]") -> dict:
    """Returns means over seeds, and standard errors of several."""
    found = {}
    for name, value in rows[0].items():
        if isinstance(value, str):
            found[name] = value
            continue
        values = np.array([row[name] for row in rows], np.float64)
        found[name] = float(values.mean())
        if len(values) > 1:
            found[f"{name}_se"] = float(values.std(ddof=1) / np.sqrt(len(values)))
    return found


def picture(test: Split, looks: "dict[str, Looks]") -> Figure:
    """Returns reconstructions, samples and ways between two examples, a row per member."""
    names = list(looks)
    known = test.frozen().values(slice(_SHOWN))
    rebuilt = np.stack([known, *[each.rebuilt for each in looks.values()]])
    samples = np.stack([each.samples for each in looks.values()])
    sheets = [
        ("test examples and E[x|z] of their codes", rebuilt, ["data", *names]),
        ("E[x|z] of z drawn from the prior, or from a normal fitted to codes", samples, names),
    ]
    for way in range(len(next(iter(looks.values())).ways)):
        rows = np.stack([each.ways[way] for each in looks.values()])
        sheets.append(("on the line between two codes", rows, names))
    return plots.rows_of_images(sheets)


def table(results: "dict[str, dict]") -> str:
    """Returns the figures of all members side by side, a line each."""
    columns = [name for name in TABLE if all(name in row for row in results.values())]
    rows = [["", *(TABLE[name] for name in columns)]]
    for member, row in results.items():
        errors = [f" +- {row[f'{n}_se']:.2g}" if f"{n}_se" in row else "" for n in columns]
        cells = [f"{row[n]:.4g}{error}" for n, error in zip(columns, errors, strict=True)]
        rows.append([member, *cells])
    return report.aligned(rows, left=range(len(rows[0])))
