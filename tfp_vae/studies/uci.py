"""The regression table: many methods on the standard splits of the UCI sets, all at once.

Hernandez-Lobato & Adams (2015) fixed 20 random 90/10 splits per set (5 for protein) and one hidden
layer of 50 units (100 for protein). Here the splits of a set are the groups of one vectorised
ensemble: every split is trained and tested as if it were alone, in one batched program.
"""

import dataclasses
import math
import time

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import data, methods, objectives
from tfp_vae.data import Kind, Split
from tfp_vae.methods import Recipe
from tfp_vae.models import Ensemble, Predictive

# All methods but one without a prior, whose networks of 50 units follow the noise, one that takes
# hours on every set, two that train anew for each split, one whose state is not kept for several
# splits at once, and one whose covariances are not.
LEFT_OUT = ("ml", "nuts", "sgmcmc", "multiswag", "ivon", "sngp")
TEST_OVER_TRAIN = 1 / 9  # examples, in every split
_SHARED = "map"  # whose networks others start from, or are several of


@dataclasses.dataclass(frozen=True)
class Settings:
    """How the networks of the table are trained.

    Attributes:
        steps: of Adam, with a rate that falls along half a cosine.
        learning_rate: at the first step.
        members: networks per ensemble.
        num_samples: draws of the weights per prediction.
        hidden: widths; None: one layer of 50, for protein of 100.
        scale: of the target, "shared" or "per_example".
        dropout: rate of Monte Carlo dropout.
        learned_prior: whether the prior of variational inference takes its scale from the bound.
        warm_up: share of the steps in which the KL weight of variational inference rises to 1.
            Without it units are switched off before they have learned anything.
        chain: samples of each chain of a sampler, of which one starts from each member.
        swag_epochs: networks on SWAG's path.
        swag_rate: learning rate of the path, times the noise variance in units of the target.
    """

    steps: int = 10_000
    learning_rate: float = 1e-2
    members: int = 5
    num_samples: int = 200
    hidden: "tuple[int, ...] | None" = None
    scale: str = "shared"
    dropout: float = 0.05
    learned_prior: bool = False
    warm_up: float = 0.5
    chain: int = 100
    swag_epochs: int = 50
    swag_rate: float = 3e-2

    def recipe(self, method: str, name: str) -> Recipe:
        """Returns the recipe of `method` for the set `name`."""
        hidden = self.hidden or ((100,) if name.endswith("protein") else (50,))
        chains = methods.METHODS[method].several
        return Recipe(
            method,
            hidden=hidden,
            scale=self.scale,
            dropout=self.dropout,
            members=self.members,
            learned_prior=self.learned_prior,
            posterior_precision="prior",
            posterior_steps=self.chain if chains else self.swag_epochs,
            posterior_rate=self.swag_rate,
        )

    def batch(self, count: int) -> int:
        """Returns the batch size for `count` training examples, larger for larger sets."""
        return min(32 if count < 2000 else 128 if count < 20_000 else 256, count)

    def epochs(self, train: Split) -> int:
        """Returns the passes over `train` that have the wanted number of steps."""
        return math.ceil(self.steps / train.num_batches(self.batch(len(train))))


def load_splits(name: str, data_dir=None) -> "tuple[Split, Split]":
    """Returns training and test examples of all G splits side by side, [N, G, D] and [N, G]."""
    return side_by_side(*data.uci(name, data_dir))


def side_by_side(x, y, test_index) -> "tuple[Split, Split]":
    """Returns what `load_splits` returns, of the arrays of a set."""
    train_index = np.stack([np.setdiff1d(np.arange(len(x)), row) for row in test_index])
    return tuple(
        Split(
            np.swapaxes(x[index], 0, 1), Kind.REAL, targets=np.swapaxes(y[index], 0, 1), name=which
        )
        for which, index in (("train", train_index), ("test", test_index))
    )


def untrained(recipe: Recipe, train: Split, settings: Settings, seed: int) -> Ensemble:
    """Returns the networks of all splits, compiled."""
    keras.utils.set_random_seed(seed)  # initial weights, whatever was trained before
    groups, features = train.shape
    per_epoch = train.num_batches(settings.batch(len(train)))
    steps = settings.epochs(train) * per_epoch
    objective = None
    if not recipe.weights.point_weights and settings.warm_up:
        rise = math.ceil(settings.warm_up * steps)
        objective = objectives.ELBO(objectives.linear(rise))
    member = methods.make_member(recipe, (features,), None, objective, seed)
    size = recipe.members if recipe.weights.several else 1
    model = Ensemble(member, size, groups=groups, seed=seed)
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    model.compile(
        optimizer=recipe.weights.optimizer(rate, len(train), seed),
        steps_per_execution=per_epoch,
        jit_compile=False,
    )
    return model


def fit(recipe: Recipe, train: Split, settings: Settings, seed: int) -> Ensemble:
    """Returns the trained networks of all splits."""
    model = untrained(recipe, train, settings, seed)
    batch_size = settings.batch(len(train))
    model.fit(train, epochs=settings.epochs(train), batch_size=batch_size, verbose=0)
    return model


def scores(predictive: Predictive, targets: np.ndarray) -> dict:
    """Returns RMSE and log-likelihood per split, lists of length G.

    Args:
        predictive: batch shape [N, G].
        targets: [N, G].
    """
    errors = predictive.mean().numpy() - targets
    log_prob = predictive.log_prob(targets).numpy()
    return {
        "rmse": np.sqrt(np.mean(errors**2, axis=0)).tolist(),
        "log_likelihood": log_prob.mean(axis=0).tolist(),
    }


def evaluate(
    name: str, chosen, settings: Settings, data_dir=None, seed: int = 0, report=lambda *_: None
) -> dict:
    """Returns the scores of the chosen methods on one set, {method: {rmse, log_likelihood, ...}}.

    Of weights with a posterior `train_elbo` is the bound of the last tenth of the training, nats
    per example, the mean over splits: what a setting of variational inference is chosen by.

    Args:
        name: of the set, such as "uci/yacht".
        chosen: names in `methods.METHODS`, without `LEFT_OUT`.
        settings: of the training.
        data_dir: see `data.uci`.
        seed: fixes weights, order and noise.
        report: called with (method, scores) when a method is done.
    """
    train, test = load_splits(name, data_dir)
    found = {}

    def keep(method, predictive, seconds, **more):
        found[method] = scores(predictive, test.targets) | {"seconds": seconds} | more
        report(method, found[method])

    known = methods.METHODS
    shared = [name for name in chosen if name == _SHARED or known[name].trained_as == _SHARED]
    for method in known:
        if method in chosen and method not in shared:
            started = time.monotonic()
            model = fit(settings.recipe(method, name), train, settings, seed)
            predictive = model.predictive(test, settings.num_samples)
            keep(method, predictive, time.monotonic() - started, **_bound(model))
    if not shared:
        return found
    # One training for all that start from it: of several networks if one of the methods wants them.
    started = time.monotonic()
    trained = next((each for each in shared if known[each].several), _SHARED)
    model = fit(settings.recipe(trained, name), train, settings, seed)
    seconds = time.monotonic() - started
    together = model.predictive(test)
    parts = together.components_distribution
    for method in (each for each in known if each in shared):
        if known[method].several and not known[method].post_hoc:
            keep(method, together, seconds)
        elif method == _SHARED:
            first = Predictive.of(type(parts)(parts.loc[..., :1], parts.scale[..., :1]))
            keep(method, first, seconds / model.size)
        else:
            started = time.monotonic()
            columns = _post_hoc(settings.recipe(method, name), model, train, test, settings)
            loc, scale = (tf.stack(part, axis=1) for part in zip(*columns, strict=True))
            start = seconds if known[method].several else seconds / model.size
            spent = time.monotonic() - started + start
            keep(method, Predictive.of(type(parts)(loc, scale)), spent)
    return found


def _bound(model: Ensemble) -> dict:
    """Returns the bound of the end of a training by variational inference; {} of another."""
    if not model.pattern.bayesian_layers():
        return {}
    bounds = model.history.history["elbo"]
    return {"train_elbo": float(np.mean(bounds[-max(1, len(bounds) // 10) :]))}


def _post_hoc(recipe, ensemble, train, test, settings) -> list:
    """Returns loc and scale [N, S] of every split by a method that starts from trained points."""
    batch_size, columns = settings.batch(len(train)), []
    for group, predictor in enumerate(recipe.weights.finish_groups(ensemble, train, batch_size)):
        own = predictor.predictive(test.values()[:, group], settings.num_samples)
        parts = own.components_distribution
        columns.append((parts.loc, parts.scale))
    return columns


def summary(results: dict) -> dict:
    """Returns means and their errors over splits, {set: {method: {rmse, rmse_se, ...}}}.

    `rmse_se` is the convention of published tables, the standard deviation over sqrt(n), which
    takes the splits as independent. They share most of their training examples, so that it is too
    small; `rmse_se_corrected` has the variance (1 / n + test / train) s^2 of Nadeau & Bengio (2003,
    "Inference for the generalization error"), for splits of 10 to 90 1.8 times that of 20 splits.
    The same for `log_likelihood`.
    """
    table = {}
    for name, by_method in results.items():
        table[name] = {}
        for method, found in by_method.items():
            row = {key: found[key] for key in ("seconds", "train_elbo") if key in found}
            for key in ("rmse", "log_likelihood"):
                values = np.asarray(found[key])
                row[key] = float(values.mean())
                spread = float(values.std(ddof=1))
                row[f"{key}_se"] = spread / math.sqrt(len(values))
                corrected = 1 / len(values) + TEST_OVER_TRAIN
                row[f"{key}_se_corrected"] = spread * math.sqrt(corrected)
            table[name][method] = row
    return table
