"""What the numbers of a comparison say, before any language: one `Quantity` per question."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence

from tfp_vae.report import marks
from tfp_vae.report.comparison import TASKS
from tfp_vae.report.marks import DIRECTIONS, Estimate, estimate_of

# Under corruptions, with few labels, with missing pixels the first of these that is there counts.
_PREFERRED = ("accuracy", "nll", "brier", "error", "rmse")
# The task that shows an ability which is not a task itself.
_NEEDS = {"density": "ood", "mutual_information": "ood", "pruning": "cost"}
# The questions that a verdict decides, or does not.
PURPOSES = ("accuracy", "nll", "ece", "corruptions", "ood", "labels", "missing")


@dataclasses.dataclass(frozen=True)
class Quantity:
    """Numbers of all models that answer one question.

    Attributes:
        key: the question, a key of "quantities" in the texts.
        metric: what was measured.
        direction: 1 if more is better, -1 if less is.
        estimates: by model.
        conditions: what the numbers are averaged over.
        level: the only level, if there is one only.
        scores: the score that a model stands with, where it had several.
        pairs: entries of "pairs" of the report about this question, where there are any.
    """

    key: str
    metric: str
    direction: int
    estimates: "Mapping[str, Estimate]"
    conditions: "tuple[str, ...]" = ()
    level: "float | None" = None
    scores: "Mapping[str, str]" = dataclasses.field(default_factory=dict)
    pairs: "Sequence[Mapping]" = ()

    def pair(self, a: str, b: str) -> "Mapping | None":
        """The difference a - b, whichever way round the report has it, or None."""
        for pair in self.pairs:
            if (pair["a"], pair["b"]) == (a, b):
                return pair
            if (pair["a"], pair["b"]) == (b, a):
                turned = {"difference": -pair["difference"], "probability": 1 - pair["probability"]}
                ends = {"lower": -pair["upper"], "upper": -pair["lower"]}
                return {**pair, "a": a, "b": b, **turned, **ends}
        return None

    @property
    def order(self) -> list[str]:
        """The models, best mean first."""
        return marks.ordered(self.estimates, self.direction)

    @property
    def leader(self) -> str:
        """The model with the best mean."""
        return self.order[0]

    @property
    def best(self) -> list[str]:
        """Models that are best within error, best mean first; none if there is one model only."""
        if self.pairs:
            found = marks.best_by_pairs(self.pairs, self.estimates, self.direction)
        else:
            found = marks.best_within_error(self.estimates, self.direction)
        return [model for model in self.order if model in found]

    def beaten_by(self, model: str) -> "frozenset[str]":
        """Models that this one is better than by more than the errors."""
        own = self.estimates[model]
        if not self.pairs:
            gaps = {
                other: self.direction * (own.mean - one.mean) for other, one in self._others(model)
            }
            apart = {other for other, one in self._others(model) if not own.overlaps(one)}
            return frozenset(other for other in apart if gaps[other] > 0)
        found = ((other, self.pair(model, other)) for other, _ in self._others(model))
        return frozenset(
            other
            for other, pair in found
            if pair and pair["adjusted"] < marks.ALPHA and self.direction * pair["difference"] > 0
        )

    def _others(self, model: str) -> "list[tuple[str, Estimate]]":
        return [(name, one) for name, one in self.estimates.items() if name != model]


def quantities(report: Mapping) -> "dict[str, Quantity]":
    """Returns {key: Quantity} of every question that the results answer, in columns' order."""
    results = report["results"]
    found = [_plain(results, "classification", metric) for metric in ("accuracy", "nll", "ece")]
    chosen = {name: model.get("ood_score") for name, model in report["models"].items()}
    found += [*_corruptions(results), _ood(results, chosen), _labels(results), _missing(results)]
    density = [_plain(results, "generation", m) for m in ("log_likelihood", "elbo")]
    found += [dataclasses.replace(q, key="density") for q in density if q][:1]
    compared = marks.by_key(report["pairs"])
    found = [quantity and _with_pairs(quantity, compared) for quantity in found]
    return {quantity.key: quantity for quantity in [*found, *_costs(report)] if quantity}


# The task whose pairs answer a question, where it is not that of classification.
_TASK_OF = {
    **{name: name for name in ("corruptions", "ood", "labels", "missing")},
    "drop": "corruptions",
    "density": "generation",
}


def _with_pairs(quantity: "Quantity", compared: Mapping) -> "Quantity":
    task = _TASK_OF.get(quantity.key, "classification")
    metric = "drop" if quantity.key == "drop" else quantity.metric
    pairs = compared.get((task, metric, "", quantity.level), ())
    return dataclasses.replace(quantity, pairs=tuple(pairs))


@dataclasses.dataclass(frozen=True)
class Decision:
    """What to take for one question.

    Attributes:
        quantity: the numbers of the question.
        take: models that are best within error and better than all of `worse`, the cheapest to
            predict with, then to train, first: between them nothing else decides.
        worse: models that they are better than by more than the errors: as many as any of the best
            is better than.
    """

    quantity: Quantity
    take: "tuple[str, ...]"
    worse: "frozenset[str]"

    @property
    def others(self) -> int:
        """How many models are not to be taken."""
        return len(self.quantity.estimates) - len(self.take)

    @property
    def is_decided(self) -> bool:
        """Whether what is to be taken is better than at least half of the others."""
        return bool(self.worse) and 2 * len(self.worse) >= self.others


def advice(report: Mapping) -> "dict[str, Decision]":
    """Returns {key: decision} of every question with several models."""
    found = quantities(report)

    def cost(model: str) -> tuple:
        each = (found[key].estimates.get(model) for key in ("predict", "train") if key in found)
        return tuple(one.mean if one else math.inf for one in each)

    decisions = {}
    for key in (key for key in PURPOSES if key in found and len(found[key].estimates) > 1):
        quantity = found[key]
        beaten = {model: quantity.beaten_by(model) for model in quantity.best}
        worse = max(beaten.values(), key=len)  # of equals that of the best mean
        take = [model for model, those in beaten.items() if those >= worse]
        decisions[key] = Decision(quantity, tuple(sorted(take, key=cost)), worse)
    return decisions


def score_of(condition: str) -> "tuple[str, str]":
    """Returns (inputs, score) of a condition of the task "ood"; the score may be empty."""
    inputs, slash, score = condition.rpartition("/")
    return (inputs, score) if slash else (condition, "")


@functools.cache
def density_scores() -> "frozenset[str]":
    """Returns the names in reports of the scores of OOD inputs that are log p(x) or its bound."""
    from tfp_vae.evaluation import ood  # late: it brings TensorFlow

    scores = ood.of_kind(ood.DensityScore).values()
    return frozenset(score.reported_as for score in scores if score.is_log_density)


def density_failures(report: Mapping) -> "tuple[list[Mapping], int]":
    """Returns the results where log p(x) has an AUROC below 0.5, worst first, and of how many."""
    cases = [
        result
        for result in _of(report["results"], "ood", "auroc")
        if score_of(result["condition"])[1] in density_scores()
    ]
    failed = [result for result in cases if result["mean"] < 0.5]
    return sorted(failed, key=lambda result: result["mean"]), len(cases)


def abilities(report: Mapping) -> "dict[str, list[str]]":
    """Returns {family: what only models of this family did}, keys of "abilities" in the texts.

    What a failure may have prevented is not said to be beyond a family: all of it, if the failed
    model has no results; else the task in which it failed.
    """
    families = {name: model["family"] for name, model in report["models"].items()}
    did: dict[str, dict] = {family: {} for family in families.values()}
    for result in report["results"]:
        did[families[result["model"]]] |= {ability: None for ability in _shown(result)}
    measured = {result["model"] for result in report["results"]}
    unsure: dict[str, set] = {family: set() for family in did}
    for failure in report["failures"]:
        lost = {failure["stage"]} if failure["model"] in measured else {*TASKS}
        unsure[families[failure["model"]]] |= lost
    only = {}
    for family, done in did.items():
        others = [other for other in did if other != family and did[other]]
        known = {ability for other in others for ability in did[other]}
        maybe = {task for other in others for task in unsure[other]}
        if others and len(others) == len(did) - 1:
            only[family] = [a for a in done if a not in known and _NEEDS.get(a, a) not in maybe]
    return {family: done for family, done in only.items() if done}


def _shown(result: Mapping) -> list[str]:
    if result["task"] == "cost":
        return ["pruning"] if result["condition"].startswith("pruned_") else []
    score = score_of(result["condition"])[1] if result["task"] == "ood" else ""
    density = ["density"] if score in density_scores() else []
    return [result["task"], *density, *([score] if score == "mutual_information" else [])]


def _of(results: Sequence[Mapping], task: str, metric: str) -> list[Mapping]:
    return [r for r in results if r["task"] == task and r["metric"] == metric]


def _average(results: Sequence[Mapping], name: Callable = lambda r: r["model"]) -> dict:
    """Returns {name: Estimate}, averaged over conditions and levels.

    The ends are averaged too: right however the errors of conditions hang together, and too wide
    if they do not. Only who was measured everywhere is compared.
    """

    def cell(result):
        inputs = score_of(result["condition"])[0] if result["task"] == "ood" else None
        return (inputs if inputs is not None else result["condition"], result["level"])

    groups: dict = {}
    for result in results:
        groups.setdefault(name(result), {})[cell(result)] = estimate_of(result)
    cells = {cell(result) for result in results}
    return {one: _mean([*found.values()]) for one, found in groups.items() if set(found) == cells}


def _mean(estimates: Sequence[Estimate]) -> Estimate:
    def over(part):
        return sum(getattr(e, part) for e in estimates) / len(estimates)

    return Estimate(
        over("mean"),
        over("lower"),
        over("upper"),
        min(e.n for e in estimates),
        all(e.exact for e in estimates),
    )


def _preferred(results: Sequence[Mapping], task: str) -> "tuple[str, list[Mapping]]":
    for metric in _PREFERRED:
        found = _of(results, task, metric)
        if found:
            return metric, found
    return "", []


def _conditions(results: Sequence[Mapping]) -> "tuple[str, ...]":
    inputs = (
        score_of(r["condition"])[0] if r["task"] == "ood" else r["condition"] for r in results
    )
    return tuple(name for name in dict.fromkeys(inputs) if name)


def _quantity(key, metric, estimates, results, **parts) -> "Quantity | None":
    if not estimates:
        return None
    direction = DIRECTIONS[metric]
    return Quantity(key, metric, direction, estimates, _conditions(results), **parts)


def _plain(results: Sequence[Mapping], task: str, metric: str) -> "Quantity | None":
    found = _of(results, task, metric)
    return _quantity(metric, metric, _average(found), found)


def _corruptions(results: Sequence[Mapping]) -> "list[Quantity | None]":
    metric, found = _preferred(results, "corruptions")
    changed = [r for r in found if r["level"] != 0]
    if not changed:
        return []
    under = _average(changed)
    # Unchanged inputs are those at level 0 where they were measured, else those of the first task.
    unchanged = [r for r in found if r["level"] == 0] or _of(results, "classification", metric)
    before = _average(unchanged)
    direction = DIRECTIONS[metric]
    lost = {
        model: before[model].minus(after) if direction > 0 else after.minus(before[model])
        for model, after in under.items()
        if model in before
    }
    drop = Quantity("drop", metric, -1, lost, _conditions(changed)) if lost else None
    return [_quantity("corruptions", metric, under, changed), drop]


def _ood(results: Sequence[Mapping], chosen: Mapping) -> "Quantity | None":
    """Every model with the score in `chosen`, or with the one that is best on these inputs."""
    for metric in ("auroc", "aupr", "fpr95"):
        found = _of(results, "ood", metric)
        if found:
            break
    else:
        return None
    pairs = _average(found, lambda r: (r["model"], score_of(r["condition"])[1]))
    estimates, scores = {}, {}
    for model, score in marks.ordered(pairs, DIRECTIONS[metric]):  # a model's best score is first
        if model not in estimates and chosen.get(model) in (None, score):
            estimates[model], scores[model] = pairs[model, score], score
    return _quantity("ood", metric, estimates, found, scores=scores)


def _labels(results: Sequence[Mapping]) -> "Quantity | None":
    metric, found = _preferred(results, "labels")
    levels = [r["level"] for r in found if r["level"] is not None]
    if not levels:
        return None
    fewest = [r for r in found if r["level"] == min(levels)]
    return _quantity("labels", metric, _average(fewest), fewest, level=min(levels))


def _missing(results: Sequence[Mapping]) -> "Quantity | None":
    metric, found = _preferred(results, "missing")
    found = [r for r in found if r["level"] != 0]
    return _quantity("missing", metric, _average(found), found)


def _costs(report: Mapping) -> "list[Quantity | None]":
    def of_models(key, metric, part):
        values = {name: model[part] for name, model in report["models"].items()}
        known = {n: Estimate(v, v, v, 1, True) for n, v in values.items() if v is not None}
        return _quantity(key, metric, known, [])

    found = _of(report["results"], "cost", "milliseconds")
    # Of several times nobody knows which is that of a prediction, unless one is called so.
    if len({r["condition"] for r in found}) > 1:
        found = [r for r in found if r["condition"] == "prediction"]
    return [
        of_models("train", "seconds", "train_seconds"),
        _quantity("predict", "milliseconds", _average(found), found),
        of_models("parameters", "parameters", "parameters"),
    ]
