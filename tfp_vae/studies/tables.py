"""VAEs of tables beside what people use: cells filled in, and anomalies found.

    run(Plan(seeds=5)) -> {"imputation": {method: {...}}, "anomalies": {set: {method: {...}}}}

Imputation is that of Mattei & Frellsen ("MIWAE", 2019, section 5.2): breast_cancer, standardised,
half of the cells removed at random, filled in by what was trained on the rest; the mean squared
error of the removed cells. Anomalies: a set has a usual class, half of which is trained on, and the
others of which are to be told from the rest of it, by the area under the ROC curve; or rows are
planted among those of a UCI set. A threshold that a half of the usual rows sets at a wished rate of
false alarms is counted on the other half.
"""

import dataclasses
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfp_vae import methods, objectives
from tfp_vae.arguments import check_choice, check_count
from tfp_vae.conformal import limit, rows_needed
from tfp_vae.data import UCI_NAMES, Column, Data, Schema, Split, load
from tfp_vae.evaluation import Detector, complete

SETS = {"digits": 0, "breast_cancer": 1, "wine": 0}  # and the class that is usual
# More of them, from files: those of `usual_and_others` that are planted, and images of one class.
FILES = (*UCI_NAMES, "mnist")
RATE = 0.05  # of false alarms, which takes 19 usual rows
_MOST = 2000  # rows of a set from files
_PLANTED = 0.05  # of the rows that are scored, of each of two ways to be strange


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        seeds: how many, from 0 on: of masks or splits, weights and draws.
        epochs: of each VAE.
        trees: of each forest of the baselines.
        rounds: of the imputation by regressions in turn.
        num_samples: draws behind each filled cell and each score.
    """

    seeds: int = 5
    epochs: int = 400
    trees: int = 100
    rounds: int = 10
    num_samples: int = 500

    def __post_init__(self):
        for name, value in vars(self).items():
            check_count(name, value)


def run(plan: Plan, say: Callable[[str], None] = print) -> dict:
    """Returns means over seeds and standard errors, JSON-ready.

    Args:
        plan: what is measured.
        say: receives a line after each seed.
    """
    errors: dict[str, list[dict]] = {}
    areas: dict[str, dict[str, list[dict]]] = {name: {} for name in SETS}
    for seed in range(plan.seeds):
        started = time.monotonic()
        for method, error in imputation(seed, plan).items():
            errors.setdefault(method, []).append({"mse": error})
        for name in SETS:
            for method, figures in anomalies(name, seed, plan).items():
                areas[name].setdefault(method, []).append(figures)
        said = ", ".join(f"{method} {each[-1]['mse']:.4f}" for method, each in errors.items())
        say(f"seed {seed}: {time.monotonic() - started:.0f} s, {said}")
    return {
        "imputation": {method: pooled(each) for method, each in errors.items()},
        "anomalies": {
            name: {method: pooled(each) for method, each in found.items()}
            for name, found in areas.items()
        },
    }


def pooled(rows: "Sequence[Mapping[str, Any]]") -> dict:
    """Returns figures of several seeds as means with their standard errors, "..._se".

    What is no number, such as why there is none, stays as it was first said.
    """
    found: dict = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if name in row]
        if isinstance(values[0], str):
            found[name] = values[0]
            continue
        found[name] = float(np.mean(values))
        if len(values) > 1:
            found[f"{name}_se"] = float(np.std(values, ddof=1) / np.sqrt(len(values)))
    return found


def imputation(seed: int, plan: Plan) -> "dict[str, float]":
    """Returns the mean squared error of removed cells, in squared deviations, of each method."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

    x = load_breast_cancer().data
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
    gone = np.random.default_rng(seed).random(x.shape) < 0.5
    given = np.where(gone, np.nan, x)
    forest = ExtraTreesRegressor(n_estimators=plan.trees, random_state=seed)
    others = {
        "mean": SimpleImputer(),
        "neighbours": KNNImputer(n_neighbors=5),
        "trees": IterativeImputer(forest, max_iter=plan.rounds, random_state=seed),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of regressions in turn that did not converge
        filled = {name: each.fit_transform(given) for name, each in others.items()}
    vae = _trained(given, seed, plan, objectives.IWAE(), 20, 10)
    filled["miwae"] = complete(vae, given, 1, num_samples=plan.num_samples, seed=seed).best
    return {name: float(np.mean((each - x)[gone] ** 2)) for name, each in filled.items()}


def anomalies(
    name: str, seed: int, plan: Plan, folder: "str | None" = None
) -> "dict[str, dict[str, float]]":
    """Returns figures of each method on a set of `SETS` or `FILES`.

    Args:
        name: of the set.
        seed: of rows, weights and draws.
        plan: what is measured.
        folder: of the files of a set of `FILES`, see `data.load`.

    Returns:
        {method: {"auc": area under the ROC curve}}, of "vae" also `false_alarms` if there are rows
        enough.
    """
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import roc_auc_score
    from sklearn.neighbors import LocalOutlierFactor

    train, rows, strange = usual_and_others(name, seed, folder)
    forest = IsolationForest(n_estimators=plan.trees, random_state=seed).fit(train)
    pca = PCA(n_components=0.9, svd_solver="full").fit(train)
    lof = LocalOutlierFactor(n_neighbors=20, novelty=True).fit(train)
    vae = _trained(train, seed, plan, None, 1, 8)
    scores = {
        "isolation_forest": -forest.score_samples(rows),
        "pca": np.sum((rows - pca.inverse_transform(pca.transform(rows))) ** 2, axis=1),
        "lof": -lof.score_samples(rows),
        "vae": Detector(vae, num_samples=min(plan.num_samples, 64), seed=seed).score(rows),
    }
    found = {m: {"auc": float(roc_auc_score(strange, each))} for m, each in scores.items()}
    usual = scores["vae"][~strange]
    if len(usual) // 2 >= rows_needed(RATE):
        found["vae"]["false_alarms"] = false_alarms(usual, seed)
    return found


def false_alarms(scores: np.ndarray, seed: int) -> float:
    """Returns the share of usual rows that a threshold flags which others set at the rate `RATE`.

    Args:
        scores: [n] of usual rows.
        seed: of which half sets it; the other one is counted.
    """
    order = np.random.default_rng(seed).permutation(len(scores))
    held_out, new = scores[order[: len(order) // 2]], scores[order[len(order) // 2 :]]
    return float(np.mean(new > limit(held_out, 1 - RATE)))


def usual_and_others(
    name: str, seed: int, folder: "str | None" = None
) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """Returns half of the usual rows of a set, the others, and which of these are unusual.

    Args:
        name: of `SETS` or `FILES`. Of a UCI set all rows are usual, 2,000 at most, and others are
            made of them: cells that are uniform over the range of their column and a tenth more,
            and cells that are each from a row of its own (the "global" and "dependency" anomalies
            of Han et al., "ADBench", 2022). Of "mnist" zeros are usual.
        seed: of which half.
        folder: see `anomalies`.

    Returns:
        Rows [N, D] and [n, D], float32, standardised by the former (grey values of images stay in
        [0, 1]), and bool [n].
    """
    from sklearn import datasets

    rng = np.random.default_rng(seed)
    check_choice("set", name, (*SETS, *FILES))
    if name == "mnist":
        return _one_digit(rng, folder)
    if name in FILES:
        known, others, strange = _planted(name, rng, folder)
    else:
        found = getattr(datasets, f"load_{name}")()
        usual = found.target == SETS[name]
        order = rng.permutation(np.flatnonzero(usual))
        half = len(order) // 2
        test = np.sort([*order[half:], *np.flatnonzero(~usual)])
        known, others, strange = found.data[order[:half]], found.data[test], ~usual[test]
    kept = known.std(axis=0) > 0  # columns that are constant say nothing of a density
    centre, scale = known[:, kept].mean(axis=0), known[:, kept].std(axis=0)
    train, rows = (
        ((each[:, kept] - centre) / scale).astype(np.float32) for each in (known, others)
    )
    return train, rows, strange


def _planted(name, rng, folder):
    found = load(name, data_dir=folder)
    x = np.concatenate([each.values() for each in (found.train, found.validation, found.test)])
    x = x[rng.permutation(len(x))[:_MOST]].astype(np.float64)
    known, others = x[: len(x) // 2], x[len(x) // 2 :]
    count, low, high = max(1, round(_PLANTED * len(others))), known.min(axis=0), known.max(axis=0)
    edge = 0.05 * (high - low)
    anywhere = rng.uniform(low - edge, high + edge, (count, x.shape[1]))
    mixed = np.stack([rng.choice(column, count) for column in others.T], axis=1)
    return (
        known,
        np.concatenate([others, anywhere, mixed]),
        np.arange(len(others) + 2 * count) >= len(others),
    )


def _one_digit(rng, folder):
    found = load("mnist", data_dir=folder, kind="unit_interval")
    zeros = np.flatnonzero(found.train.labels == 0)
    known = found.train.values(np.sort(rng.permutation(zeros)[:_MOST]))
    index = np.sort(rng.permutation(len(found.test))[:_MOST])
    rows, strange = found.test.values(index), found.test.labels[index] != 0
    return known.reshape(len(known), -1), rows.reshape(len(rows), -1), strange


def _trained(x, seed, plan, objective, num_samples, latent_dim):
    """Returns a VAE of the columns of x [N, D], NaN where missing, trained on all rows.

    Of grey values, which are all in [0, 1], it is one of images.
    """
    if np.isnan(x).any() or x.min() < 0 or x.max() > 1:
        schema = Schema(tuple(Column(f"x{i}") for i in range(x.shape[1])))
        split = Split(x, schema=schema, name="train")
    else:
        split = Split(x, "unit_interval", name="train")
    recipe = methods.VAERecipe(
        latent_dim=min(latent_dim, x.shape[1]), hidden=(128, 128), num_samples=num_samples
    )
    keras.utils.set_random_seed(seed)
    vae = recipe.build(Data("table", split, split, split), objective, seed=seed)
    vae.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    vae.fit(split, batch_size=min(64, len(x)), epochs=plan.epochs, verbose=0)
    return vae
