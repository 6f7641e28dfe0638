"""The models of a comparison: how each is built, and seen by the tasks when it is trained.

Every one answers the same questions, so that the tasks have one code for all: class probabilities
of whole and of partly observed images, and scores that are to be high for OOD inputs.
"""

import dataclasses
import hashlib
import importlib
import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import evaluation, methods
from tfp_vae.data import Data, Split
from tfp_vae.distributions import likelihoods
from tfp_vae.distributions.base import tfd
from tfp_vae.evaluation import ood
from tfp_vae.evaluation.imputation import IMPUTERS
from tfp_vae.models import VAE, BayesianNetwork, Predictive
from tfp_vae.models.graphs import compiled
from tfp_vae.models.memory import in_batches
from tfp_vae.models.variational import VariationalModel
from tfp_vae.studies.comparison.settings import Settings

_PROBE_STRENGTHS = 10.0 ** np.arange(-3, 4)  # inverse regularisation of the linear probe
_PROBE_DRAWS = 5  # draws of z per training example


class Contestant:
    """A trained model as the tasks see it.

    Args:
        model: trained.
        data: what it was trained on; choices are made on its validation split.
        settings: of the comparison.
        seed: of draws that are not part of the model.
    """

    def __init__(self, model: VariationalModel, data: Data, settings: Settings, seed: int):
        self.model, self.data, self.settings, self.seed = model, data, settings, seed

    def predictive(self, split: Split) -> Predictive:
        """Returns p(y|x), batch shape [N]."""
        return self.model.predictive(split, self.settings.num_samples)

    def observed_predictive(
        self, split: Split, observed: np.ndarray, validation: Split, validation_observed: np.ndarray
    ) -> Predictive:
        """Returns p(y|x_obs), batch shape [N].

        Here by the imputation that is best on validation data, which is all that a model without
        p(x) can do.
        """

        def score(filled: Split) -> float:
            log_prob = self.predictive(filled).log_prob(validation.labels)
            return float(tf.reduce_mean(tf.maximum(log_prob, math.log(1e-6))))

        train = self.data.train
        scores = {
            name: score(_imputed(train, validation, validation_observed, name)) for name in IMPUTERS
        }
        chosen = max(scores, key=scores.__getitem__)
        return self.predictive(_imputed(train, split, observed, chosen))

    def scores(self, split: Split) -> "dict[str, np.ndarray]":
        """Returns {score: [N]}, high for what is out of distribution."""
        return self.class_scores(self.predictive(split))

    def class_scores(self, predictive: Predictive) -> "dict[str, np.ndarray]":
        """Returns {score: [N]} of predictions; of one network what needs draws is only rounding."""
        return {
            score.reported_as: score(predictive)
            for score in ood.of_kind(ood.ClassScore).values()
            if int(predictive.components_distribution.batch_shape[-1]) > 1 or not score.needs_draws
        }

    @property
    def density(self) -> VAE | None:
        """The model of p(x) inside, if there is one."""
        return None


_FILLED: "dict[tuple, Split]" = {}  # what networks see is the same for all of them and all seeds
_MOST_FILLED = 64


def _imputed(train: Split, split: Split, observed: np.ndarray, name: str) -> Split:
    """Returns `evaluation.imputed`, made once for the same data."""
    each = [train.values(), split.values(), split.labels, observed]
    key = (name, *(hashlib.sha256(np.ascontiguousarray(part)).digest() for part in each))
    if key not in _FILLED:
        while len(_FILLED) >= _MOST_FILLED:
            _FILLED.pop(next(iter(_FILLED)))
        _FILLED[key] = evaluation.imputed(train, split, observed, name)
    return _FILLED[key]


def _marginal(settings: Settings) -> "dict[str, int]":
    """Returns how `evaluation.marginal` samples."""
    return {
        "num_samples": settings.num_importance_samples,
        "num_chains": settings.num_chains,
        "num_sweeps": settings.num_sweeps,
    }


class Probed(Contestant):
    """A VAE and a logistic regression from its latents to the classes.

    p(y|x) = E_q(z|x) p(y|z): the regression learns from draws of q(z|x) and is averaged over draws.
    Its regularisation is chosen on validation data.
    """

    def __init__(self, model, data, settings, seed):
        super().__init__(model, data, settings, seed)
        z, validation_z = self._latents(data.train, _PROBE_DRAWS), self._latents(data.validation, 1)
        self._center, self._spread = z.mean(axis=(0, 1)), z.std(axis=(0, 1)) + 1e-6
        labels = np.tile(data.train.labels, _PROBE_DRAWS)
        features = self._standard(z).reshape(len(labels), -1)
        candidates = [self._fitted(features, labels, strength) for strength in _PROBE_STRENGTHS]
        standard = self._standard(validation_z)[0]
        scores = [_log_prob(probe, standard, data.validation.labels) for probe in candidates]
        self._probe = candidates[int(np.argmax(scores))]
        self._reference = None

    @property
    def density(self):
        """The VAE."""
        return self.model

    def predictive(self, split):
        """Returns p(y|x), batch shape [N]."""
        z = self._standard(self._latents(split, self.settings.num_samples))  # [S, N, D]
        kernel, bias = self._probe
        logits = z @ kernel + bias
        return Predictive.of(tfd.Categorical(logits=np.moveaxis(logits, 0, 1).astype(np.float32)))

    def observed_predictive(self, split, observed, validation, validation_observed):
        """Returns p(y|x_obs), batch shape [N], by the VAE's own mean of what is missing."""
        found = evaluation.marginal(self.model, split, observed, **_marginal(self.settings))
        filled = np.clip(found.imputed, 0, 1)
        return self.predictive(Split(filled, split.kind, split.labels, f"{split.name}, imputed"))

    def scores(self, split):
        """Returns {score: [N]}, high for what is out of distribution."""
        settings = self.settings
        known = {
            name: score.reported_as
            for name, score in ood.of_kind(ood.DensityScore).items()
            if score.compared and (settings.regret_steps or name != "likelihood_regret")
        }
        samples = settings.num_importance_samples
        if self._reference is None:
            validation = self.data.validation.take(settings.num_examples)
            self._reference = evaluation.reference_log_evidence(self.model, validation, samples)
        found = evaluation.vae_scores(
            self.model,
            split,
            self._reference,
            [*known],
            num_samples=samples,
            regret={"steps": settings.regret_steps},
        )
        return {known[name]: values for name, values in found.items()} | super().scores(split)

    def _draw(self, x, count, key):
        return self.model.code([latent.value for latent in self.model.at(key).infer(x, count)])

    def _latents(self, split: Split, count: int) -> np.ndarray:
        """Returns draws of q(z|x), [count, N, D]."""

        def run(start, index):
            key = tf.constant([self.seed, start], tf.int32)
            x = tf.constant(split.values(index))
            draw = compiled(self.model, "probe", None, lambda: self._draw)
            return draw(x, tf.constant(count), key).numpy()

        parts = [drawn[:, :size] for drawn, size in in_batches(split, 1000, run)]
        return np.concatenate(parts, axis=1)

    def _standard(self, z: np.ndarray) -> np.ndarray:
        return (z - self._center) / self._spread

    def _fitted(self, features, labels, strength):
        return logistic_regression(features, labels, strength, self.data.num_classes)


class Filled(Probed):
    """The same of a VAE that has no proposal for missing pixels: they are filled in as a network's.

    That is one of several latents, or of codes.
    """

    observed_predictive = Contestant.observed_predictive


def logistic_regression(
    features: np.ndarray, labels: np.ndarray, strength: float, num_classes: int
) -> "tuple[np.ndarray, np.ndarray]":
    """Returns kernel [D, K] and bias [K] of scikit-learn's logistic regression.

    Args:
        features: [N, D].
        labels: [N].
        strength: inverse regularisation.
        num_classes: K; classes that training data lack are impossible.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    # Threads of its small products wait for each other, thirty times as long as they compute.
    with threadpool_limits(1):
        fitted = LogisticRegression(C=strength, max_iter=300, tol=1e-3).fit(features, labels)
    # scikit-learn leaves out the classes that training data lack.
    kernel = np.zeros((features.shape[1], num_classes))
    bias = np.full(num_classes, -50.0)
    coefficients, intercept = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:
        coefficients = np.stack([np.zeros_like(coefficients[0]), coefficients[0]])
        intercept = np.array([0.0, intercept[0]])
    kernel[:, fitted.classes_], bias[fitted.classes_] = coefficients.T, intercept
    return kernel, bias


def _log_prob(probe, features, labels) -> float:
    logits = features @ probe[0] + probe[1]
    return float(tf.reduce_mean(tfd.Categorical(logits=logits).log_prob(labels)))


class Generative(Contestant):
    """A conditional VAE as a classifier, by p(x|y) p(y), and as a density, the sum over y."""

    def __init__(self, model, data, settings, seed):
        super().__init__(model, data, settings, seed)
        self._reference = None

    @property
    def density(self):
        """The conditional VAE."""
        return self.model

    def log_joint(self, split: Split) -> np.ndarray:
        """Returns log p(x, y) of every class, [N, K], nats."""
        samples = self.settings.num_importance_samples
        found = self.model.class_log_evidence(split, samples)
        return found + self.model.log_class_prior.numpy()

    def predictive(self, split):
        """Returns p(y|x), batch shape [N]."""
        return self.model.predictive(split, self.settings.num_importance_samples)

    def observed_predictive(self, split, observed, validation, validation_observed):
        """Returns p(y|x_obs), batch shape [N], with the missing pixels integrated out."""
        return evaluation.class_predictive(self.model, split, observed, **_marginal(self.settings))

    def scores(self, split):
        """Returns {score: [N]}, high for what is out of distribution."""
        log_joint = self.log_joint(split)
        log_px = np.logaddexp.reduce(log_joint.astype(np.float64), axis=1)
        if self._reference is None:
            joint = self.log_joint(self.data.validation.take(self.settings.num_examples))
            self._reference = float(np.logaddexp.reduce(joint.astype(np.float64), axis=1).mean())
        seen = ood.Density(split, lambda: (log_px, None), self._reference)
        logits = tf.constant(log_joint[:, np.newaxis, :])
        densities = {
            score.reported_as: score(seen)
            for score in ood.of_kind(ood.DensityScore).values()
            if score.compared and not score.one_vae
        }
        return densities | self.class_scores(Predictive.of(tfd.Categorical(logits=logits)))


class Logistic(Contestant):
    """Logistic regression on the pixels: what a network with few labels must not fall below.

    Its regularisation is chosen on validation data.
    """

    def __init__(self, model, data, settings, seed):
        super().__init__(model, data, settings, seed)
        features, labels = self._features(data.train), data.train.labels
        candidates = [
            logistic_regression(features, labels, strength, data.num_classes)
            for strength in _PROBE_STRENGTHS
        ]
        validation = self._features(data.validation)
        scores = [_log_prob(each, validation, data.validation.labels) for each in candidates]
        self.weights = candidates[int(np.argmax(scores))]

    def predictive(self, split):
        """Returns p(y|x), batch shape [N]."""
        kernel, bias = self.weights
        logits = (self._features(split) @ kernel + bias).astype(np.float32)
        return Predictive.of(tfd.Categorical(logits=logits[:, np.newaxis, :]))

    @staticmethod
    def _features(split: Split) -> np.ndarray:
        return split.values().reshape(len(split), -1)


def _as_trained(model, data, settings, width, seed):
    """Returns the trained model itself: it predicts."""
    return model


def _silent(predictor, settings, width) -> dict:
    """Returns nothing: there is no posterior that starts from the training."""
    return {}


def _adam(rate, data, settings, width, seed) -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(rate)


@dataclasses.dataclass(frozen=True)
class Entrant:
    """A model that can be compared.

    Attributes:
        family: "vae" or "network".
        build: (data, width, settings, seed) -> model, not compiled; None for what is not trained
            by Keras, which `contestant` fits itself.
        contestant: what the tasks get of the trained model.
        learns_few_labels: whether it takes part in the task "labels".
        only_labels: whether it takes part in nothing else.
        needs_all_examples: whether it learns from examples without a label too.
        objective: the metric of Keras' `evaluate` that its training maximises, without what is
            known of the weights alone: its learning rate is chosen by it on validation data.
        finish: (model, data, settings, width, seed) -> what predicts, of the trained model.
        summary: (what predicts, settings, width) -> what it says of itself, `Method.summary`.
        optimizer: (rate, data, settings, width, seed) -> optimizer of the training.
    """

    family: str
    build: "Callable[[Data, int, Settings, int], VariationalModel] | None"
    contestant: type[Contestant] = Contestant
    learns_few_labels: bool = False
    only_labels: bool = False
    needs_all_examples: bool = False
    objective: str = "elbo"
    finish: Callable = _as_trained
    summary: Callable = _silent
    optimizer: Callable = _adam


_FIT = "expected_log_likelihood"


def _network(method: str, **options) -> Entrant:
    """Returns the entrant of a weight method, with two hidden layers."""

    def recipe(settings, width):
        return methods.Recipe(
            method,
            hidden=(width, width),
            estimator=settings.estimator,
            members=settings.members,
            dropout=0.1,
            **options,
        )

    def build(data, width, settings, seed):
        return methods.build(recipe(settings, width), data, seed=seed)

    def finish(model, data, settings, width, seed):
        size = min(settings.batch_size, len(data.train))
        chosen = recipe(settings, width)
        return methods.finish(chosen, model, data.train, seed, size, validation=data.validation)

    def summary(predictor, settings, width):
        return recipe(settings, width).weights.summary(predictor)

    def optimizer(rate, data, settings, width, seed):
        return recipe(settings, width).weights.optimizer(rate, len(data.train), seed)

    points = methods.METHODS[method].point_weights
    return Entrant(
        "network",
        build,
        learns_few_labels=True,
        objective=_FIT if points else "elbo",
        finish=finish,
        summary=summary,
        optimizer=optimizer,
    )


def _own(name: str) -> Entrant:
    """Returns the entrant of a Keras network of somebody's own, "module:function".

    The function is called with the data, and returns a network [B, H, W, C] -> logits [B, K].
    """
    module, _, function = name.partition(":")
    try:
        make = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"There is no network {name}. Expected module:function with a function of the data "
            f"that returns a Keras network of logits. Received {error}."
        ) from error

    def build(data, width, settings, seed):
        likelihood = likelihoods.Categorical(data.num_classes)
        model = BayesianNetwork(make(data), likelihood, seed=seed)
        model.build((None, *data.shape))
        return model

    return Entrant("network", build, learns_few_labels=True, objective=_FIT)


def _vae(model: str = "vae", **options):
    def build(data, width, settings, seed):
        size = settings.latent_dim
        recipe = methods.VAERecipe(model, size, likelihood="normal", hidden=(width,), **options)
        return recipe.build(data, seed=seed)

    return build


# The order in which models are trained and shown, whatever the order in which they are asked for;
# without being asked for, these are compared.
ENTRANTS = {
    "conditional_vae": Entrant("vae", _vae("conditional"), Generative),
    "vae_probe": Entrant("vae", _vae(), Probed),
    "bayesian_decoder_vae": Entrant("vae", _vae(bayesian_decoder=True), Probed),
    # Its classifier weighs as that of the preset for MNIST: with the usual 0.1 the few labels are
    # nothing beside the many examples without.
    "m2": Entrant(
        "vae",
        _vae("m2", alpha=50.0),
        learns_few_labels=True,
        only_labels=True,
        needs_all_examples=True,
    ),
    "bnn": _network("vi"),
    "bnn_last_layer": _network("vi", bayesian_layers="last"),
    "ml": _network("ml"),
    "mc_dropout": _network("mc_dropout"),
    "ensemble": _network("ensemble"),
    "logistic_regression": Entrant(
        "network", None, Logistic, learns_few_labels=True, only_labels=True
    ),
}
# Those that are compared where they are asked for.
FURTHER = {
    "hierarchical_vae": Entrant("vae", _vae("hierarchical"), Filled),
    "vq_vae": Entrant("vae", _vae("vq"), Filled),
    "fsq_vae": Entrant("vae", _vae("fsq"), Filled),
    "gumbel_vae": Entrant("vae", _vae("gumbel"), Filled),
}
# Of methods that are not among these, where validation images of the digits chose other values than
# a recipe has: chains of short cycles, whose rate is ten times that which a table with little noise
# bears, had NLL 0.078 and ECE 0.031 (mean of two folds).
_CHOSEN: "dict[str, dict]" = {"sgmcmc": {"posterior_steps": 20, "posterior_rate": 0.1}}
_OWN: "dict[str, Entrant]" = {}  # networks of somebody's own, imported once


def names() -> "tuple[str, ...]":
    """Returns what can be compared: `ENTRANTS`, `FURTHER`, and all other weight methods."""
    return (*ENTRANTS, *FURTHER, *(name for name in methods.METHODS if name not in ENTRANTS))


def entrant_of(name: str) -> Entrant:
    """Returns an entrant by one of `names`, or "module:function" for a Keras network of one's own.

    Raises:
        ValueError: if there is none.
    """
    if name in ENTRANTS:
        return ENTRANTS[name]
    if name in FURTHER:
        return FURTHER[name]
    if name in methods.METHODS:
        return _network(name, **_CHOSEN.get(name, {}))
    if ":" not in name:
        raise ValueError(
            f"The models do not fit. Expected some of {', '.join(names())}, or module:function of "
            f"a Keras network. Received {name}."
        )
    if name not in _OWN:
        _OWN[name] = _own(name)
    return _OWN[name]


def in_order(chosen) -> "list[str]":
    """Returns models in the order in which they are trained and shown; one's own come last."""
    known = names()
    return [name for name in known if name in chosen] + [
        name for name in dict.fromkeys(chosen) if name not in known
    ]
