"""VAEs of tables beside what people use: cells filled in, and anomalies found.

    run(Plan(seeds=5)) -> {"imputation": {method: {...}}, "anomalies": {set: {method: {...}}}}

Imputation is that of Mattei & Frellsen ("MIWAE", 2019, section 5.2): breast_cancer, standardised,
half of the cells removed at random, filled in by what was trained on the rest; the mean squared
error of the removed cells. Anomalies: a set has a usual class, half of which is trained on, and the
others of which are to be told from the rest of it, by the area under the ROC curve.
"""

import dataclasses
import time
import warnings
from collections.abc import Callable

import keras
import numpy as np

from tfp_vae import methods, objectives
from tfp_vae.arguments import check_count
from tfp_vae.data import Column, Data, Schema, Split
from tfp_vae.evaluation import Detector, complete

SETS = {"digits": 0, "breast_cancer": 1, "wine": 0}  # and the class that is usual


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
    errors: dict[str, list[float]] = {}
    areas: dict[str, dict[str, list[float]]] = {name: {} for name in SETS}
    for seed in range(plan.seeds):
        started = time.monotonic()
        for method, error in imputation(seed, plan).items():
            errors.setdefault(method, []).append(error)
        for name in SETS:
            for method, area in anomalies(name, seed, plan).items():
                areas[name].setdefault(method, []).append(area)
        say(f"seed {seed}: {time.monotonic() - started:.0f} s, "
            + ", ".join(f"{method} {each[-1]:.4f}" for method, each in errors.items()))  # fmt: skip
    return {
        "imputation": {m: _summary(each, "mse") for m, each in errors.items()},
        "anomalies": {
            name: {m: _summary(each, "auc") for m, each in found.items()}
            for name, found in areas.items()
        },
    }


def _summary(values, name):
    found = {name: float(np.mean(values))}
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


def anomalies(name: str, seed: int, plan: Plan) -> "dict[str, float]":
    """Returns the area under the ROC curve of each method on a set of `SETS`."""
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import roc_auc_score
    from sklearn.neighbors import LocalOutlierFactor

    train, rows, strange = usual_and_others(name, seed)
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
    return {method: float(roc_auc_score(strange, each)) for method, each in scores.items()}


def usual_and_others(name: str, seed: int) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """Returns half of the usual rows of a set, the others, and which of these are unusual.

    Args:
        name: of `SETS`.
        seed: of which half.

    Returns:
        Rows [N, D] and [n, D], float32, standardised by the former, and bool [n].
    """
    from sklearn import datasets

    found = getattr(datasets, f"load_{name}")()
    usual = found.target == SETS[name]
    order = np.random.default_rng(seed).permutation(np.flatnonzero(usual))
    half = len(order) // 2
    known, test = found.data[order[:half]], np.sort([*order[half:], *np.flatnonzero(~usual)])
    kept = known.std(axis=0) > 0  # columns that are constant say nothing of a density
    centre, scale = known[:, kept].mean(axis=0), known[:, kept].std(axis=0)
    train, rows = (
        ((each[:, kept] - centre) / scale).astype(np.float32) for each in (known, found.data[test])
    )
    return train, rows, ~usual[test]


def _trained(x, seed, plan, objective, num_samples, latent_dim):
    """Returns a VAE of the columns of x [N, D], NaN where missing, trained on all rows."""
    schema = Schema(tuple(Column(f"x{i}") for i in range(x.shape[1])))
    split = Split(x, schema=schema, name="train")
    recipe = methods.VAERecipe(
        latent_dim=min(latent_dim, x.shape[1]), hidden=(128, 128), num_samples=num_samples
    )
    keras.utils.set_random_seed(seed)
    vae = recipe.build(Data("table", split, split, split), objective, seed=seed)
    vae.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    vae.fit(split, batch_size=min(64, len(x)), epochs=plan.epochs, verbose=0)
    return vae
