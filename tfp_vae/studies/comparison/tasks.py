"""The tasks of a comparison: the same metric code for every model.

A task takes a `Contestant` and gives `Found`: values, one per (condition, level, metric), and the
arrays that pictures are drawn from. Test data are used for the values alone; what is chosen
(temperature, imputer, reference of typicality, score for OOD inputs) is chosen on validation
data.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from tfp_vae import data, evaluation
from tfp_vae.data import Split
from tfp_vae.evaluation import calibration
from tfp_vae.evaluation.ood import detection
from tfp_vae.studies.comparison import cost
from tfp_vae.studies.comparison.entrants import Contestant

_CLASSIFICATION = ("accuracy", "nll", "brier", "ece", "ece_adaptive", "aurc")
_UNDER_CORRUPTION = ("accuracy", "nll", "brier", "ece")
_PRUNED = (0.5, 0.75, 0.9)
_UNSEEN_CLASS = "held_out_class"


@dataclasses.dataclass
class Found:
    """What a task found out about one model and one seed.

    Attributes:
        values: of {"task", "condition", "level", "metric", "value"}.
        arrays: by name, for pictures.
        cells: what metrics of one (task, condition, level) are made of, example by example:
            {"task", "condition", "level", "metrics", "parts": {name: [N]}}, for
            `evaluation.paired`.
    """

    values: "list[dict]" = dataclasses.field(default_factory=list)
    arrays: "dict[str, np.ndarray]" = dataclasses.field(default_factory=dict)
    cells: "list[dict]" = dataclasses.field(default_factory=list)

    def include(self, other: "Found") -> None:
        """Adds what another task found."""
        self.values += other.values
        self.arrays |= other.arrays
        self.cells += other.cells

    def add_cell(self, task: str, metrics, parts: dict, condition: str = "", level=None) -> None:
        """Adds the examples [N] behind metrics of `evaluation.paired.METRICS`."""
        level = None if level is None else float(level)
        kept = {name: np.asarray(values, np.float32) for name, values in parts.items()}
        names = {"task": task, "condition": condition, "level": level, "metrics": list(metrics)}
        self.cells.append({**names, "parts": kept})

    def add(self, task: str, metric: str, value: float, condition: str = "", level=None) -> None:
        """Adds one value."""
        level = None if level is None else float(level)
        self.values.append(
            {
                "task": task,
                "condition": condition,
                "level": level,
                "metric": metric,
                "value": float(value),
            }
        )

    def add_metrics(self, task: str, predictive, labels, names, condition="", level=None) -> None:
        """Adds the metrics `names` of class probabilities at labels [N]."""
        found = evaluation.distribution_metrics(predictive, labels, "")
        for name in names:
            self.add(task, name, found[name], condition, level)
        parts = calibration.parts(predictive.log_probs.numpy(), labels)
        self.add_cell(task, names, parts, condition, level)


def classification(one: Contestant, others: "dict[str, Split]") -> Found:
    """Accuracy, NLL, Brier score and calibration, as trained and with a temperature."""
    found, test, validation = Found(), one.data.test, one.data.validation
    predictive = one.predictive(test)
    found.add_metrics("classification", predictive, test.labels, _CLASSIFICATION)
    scaled = evaluation.temperature_metrics(
        one.predictive(validation), validation.labels, predictive, test.labels, ""
    )
    for name in ("nll_scaled", "ece_scaled"):
        found.add("classification", name, scaled[name])
    log_probs = predictive.log_probs.numpy()
    parts = calibration.parts(
        calibration.apply_temperature(log_probs, scaled["temperature"]), test.labels
    )
    renamed = {"nll_scaled": parts["nll"], "scaled_log_confidence": parts["log_confidence"]}
    found.add_cell(
        "classification", ("nll_scaled", "ece_scaled"), renamed | {"correct": parts["correct"]}
    )
    found.arrays |= {"log_probs": log_probs, "labels": test.labels}
    return found


def corruptions(one: Contestant, others: "dict[str, Split]") -> Found:
    """Accuracy, NLL, Brier score and calibration against severity."""
    found, test = Found(), one.data.test.take(one.settings.num_examples)
    for name, levels in one.settings.corruptions.items():
        for level in levels:
            images = data.corrupted(test, name, level)
            severity = data.CORRUPTIONS[name][level]
            found.add_metrics(
                "corruptions",
                one.predictive(images),
                test.labels,
                _UNDER_CORRUPTION,
                name,
                severity,
            )
    return found


def ood(one: Contestant, others: "dict[str, Split]") -> Found:
    """How well scores tell out-of-distribution (OOD) inputs from test examples."""
    found, count = Found(), one.settings.num_examples
    test, validation = one.data.test.take(count), one.data.validation.take(count)
    inside = one.scores(test)
    outside = {name: data.ood(test, name) for name in data.OOD}
    for name, split in (outside | others).items():
        _add_detection(found, inside, one.scores(split.take(count)), name)
    # Which score a model stands with is chosen without test data: OOD sets of validation ones.
    known = one.scores(validation)
    areas = {score: [] for score in known}
    for name in data.OOD:
        for score, values in one.scores(data.ood(validation, name)).items():
            found_areas = detection.areas(known[score], values)
            areas[score].append(found_areas["auroc"])
    for score, each in areas.items():
        found.add("ood_validation", "auroc", np.mean(each), score)
    return found


def held_out(one: Contestant, outside: Split) -> Found:
    """The same for a class that the model, trained for it, has never seen."""
    found, count = Found(), one.settings.num_examples
    inside = one.scores(one.data.test.take(count))
    _add_detection(found, inside, one.scores(outside.take(count)), _UNSEEN_CLASS)
    return found


def _add_detection(found: Found, inside: dict, outside: dict, name: str) -> None:
    for score, values in outside.items():
        areas = detection.areas(inside[score], values)
        for metric, key in (
            ("auroc", "auroc"),
            ("aupr", "aupr_outside"),
            ("fpr95", "fpr_at_95_tpr"),
        ):
            found.add("ood", metric, areas[key], f"{name}/{score}")
        # As ranks, which are exact in float32 and finite, and all that the metrics see.
        ranks = detection.ranked(inside[score], values)
        parts = dict(zip(("inside", "outside"), ranks, strict=True))
        found.add_cell("ood", ("auroc", "aupr", "fpr95"), parts, f"{name}/{score}")


def missing(one: Contestant, others: "dict[str, Split]") -> Found:
    """Accuracy, NLL and Brier score where a share of the pixels is not seen."""
    found, count = Found(), one.settings.num_examples
    test, validation = one.data.test.take(count), one.data.validation.take(count)
    for pattern, shares in one.settings.missing.items():
        for share in shares:
            observed = data.observed_pixels(len(test), test.shape, pattern, share, seed=0)
            known = data.observed_pixels(len(validation), test.shape, pattern, share, seed=1)
            predictive = one.observed_predictive(test, observed, validation, known)
            metrics = ("accuracy", "nll", "brier")
            found.add_metrics("missing", predictive, test.labels, metrics, pattern, share)
    return found


def generation(one: Contestant, others: "dict[str, Split]") -> Found:
    """The bound and log p(x) of test examples, and drawn images; nothing for a network.

    Log p(x) is the lower bound with draws of each model's own q(z|x), the same number for all.
    """
    found, vae = Found(), one.density
    if vae is None:
        return found
    test, samples = one.data.test.take(one.settings.num_examples), 4 * one.settings.num_samples
    if vae.condition:
        log_joint = vae.class_log_evidence(test, samples) + vae.log_class_prior.numpy()
        log_px = np.logaddexp.reduce(log_joint.astype(np.float64), axis=1)
        count = 8 * vae.num_classes
        elbo = vae.bounds(test, samples).elbo  # of p(x|y), with the label
        elbo = elbo + vae.log_class_prior.numpy()[test.labels]
    else:
        bounds, count = vae.bounds(test, samples), 64
        log_px, elbo = bounds.log_evidence, bounds.elbo
    found.add("generation", "log_likelihood", log_px.mean(dtype=np.float64))
    found.add("generation", "elbo", elbo.mean(dtype=np.float64))
    parts = {"log_likelihood": log_px, "elbo": elbo}
    found.add_cell("generation", parts, parts)
    found.arrays["generated"] = np.clip(vae.generate(count, seed=one.seed)["mean"], 0, 1)
    return found


def costs(one: Contestant, others: "dict[str, Split]") -> Found:
    """Time and memory of a prediction, and what is left when weights are removed."""
    found = Found()
    measured = cost.of_prediction(one.predictive, one.data.test)
    for metric, value in measured.items():
        found.add("cost", metric, value, "prediction")
    if evaluation.has_mean_field(one.model):
        _add_pruning(found, one)
    return found


def _add_pruning(found: Found, one: Contestant) -> None:
    test = one.data.test

    def add(share, predictive):
        labels, condition = test.labels, f"pruned_{100 * share:g}"
        found.add_metrics("cost", predictive, labels, ("accuracy",), condition)

    evaluation.pruning_curve(one.model, test, _PRUNED, one.settings.num_samples, seen=add)
    ratios = evaluation.signal_to_noise(one.model).values()
    found.arrays["signal_to_noise"] = np.concatenate(list(ratios))


def labels(one: Contestant, count: int) -> Found:
    """Accuracy, NLL and Brier score of a model that learned from `count` labels."""
    found, test = Found(), one.data.test
    predictive = one.predictive(test)
    found.add_metrics("labels", predictive, test.labels, ("accuracy", "nll", "brier"), "", count)
    return found


# Tasks that are done with the model that was trained on all data, with all labels.
TASKS: "dict[str, Callable[[Contestant, dict[str, Split]], Found]]" = {
    "classification": classification,
    "corruptions": corruptions,
    "ood": ood,
    "missing": missing,
    "generation": generation,
    "cost": costs,
}
