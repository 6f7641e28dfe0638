"""The verdict in plain words; every sentence follows from the numbers, by the rule of `marks`."""

import dataclasses
from collections.abc import Mapping

from tfp_vae.report import findings
from tfp_vae.report.findings import PURPOSES, Quantity, quantities
from tfp_vae.report.marks import estimate_of, estimate_of_pair
from tfp_vae.report.texts import Texts, plain


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A headline and points of (title, text) below it."""

    headline: str
    points: "tuple[tuple[str, str], ...]"


def state_verdict(report: Mapping, language: str = "en") -> Verdict:
    """Returns what the numbers of a comparison say.

    A model is called best only if it alone is best within error (`marks`); of several the sentence
    says which they are, and who is behind. Tasks that were not measured have no sentence.

    Args:
        report: see `comparison`; it is taken as valid.
        language: one of `sealed.LANGUAGES`.
    """
    texts = Texts(language)
    found = quantities(report)
    sentences = {
        "classification": _told(found, texts, "accuracy") + _told(found, texts, "nll"),
        "calibration": _told(found, texts, "ece"),
        "corruptions": _told(found, texts, "drop") + _but(found, texts),
        "ood": _told(found, texts, "ood") + _density(report, texts),
        "scarce": _told(found, texts, "labels") + _told(found, texts, "missing"),
        "abilities": _abilities(report, texts) + _costs(found, texts),
    }
    points = tuple(
        (texts.say("points", key), texts.join(lines)) for key, lines in sentences.items() if lines
    )
    return Verdict(_headline(report, found, texts), points)


def _headline(report: Mapping, found: Mapping, texts: Texts) -> str:
    data = report["dataset"]["title"]
    compared = [found[key] for key in PURPOSES if key in found and len(found[key].estimates) > 1]
    if any(quantity.key == "nll" for quantity in compared):  # which counts calibration too
        compared = [quantity for quantity in compared if quantity.key != "ece"]
    if not compared:
        return texts.say("verdict", "headline_alone", data=data)
    trusted: dict[str, list[Quantity]] = {}
    for quantity in compared:
        who = _trusted(report, quantity, texts)
        if who:
            trusted.setdefault(who, []).append(quantity)
    if not trusted:
        return texts.say("verdict", "headline_tied", data=data, purposes=_purposes(compared, texts))
    trusts = [
        texts.say("verdict", "trust", model=who, purposes=_purposes(wins, texts))
        for who, wins in trusted.items()
    ]
    reasons = [_reason(wins[0], texts) for wins in [*trusted.values()][:2]]
    semicolon = texts.words["lists"]["semicolon"]
    joined = semicolon.join(trusts) if len(trusts) > 2 else texts.list(trusts, "then")
    return texts.say(
        "verdict", "headline", data=data, trusts=joined, reasons=semicolon.join(reasons)
    )


def _purposes(wins: "list[Quantity]", texts: Texts) -> str:
    return texts.list([texts.say("purposes", quantity.key) for quantity in wins])


def _trusted(report: Mapping, quantity: Quantity, texts: Texts) -> str:
    """Returns whom to trust: a model, or models of one family if none of the other keeps up."""

    def family(model):
        return report["models"][model]["family"]

    best = quantity.best
    if len(best) == 1:
        return texts.name("models", best[0])
    families = {family(model) for model in best}
    if len(families) > 1 or not {family(model) for model in quantity.behind} - families:
        return ""
    return texts.words["families"][families.pop()]["one"]


def _reason(quantity: Quantity, texts: Texts) -> str:
    best, behind = (quantity.estimates[m] for m in (quantity.leader, quantity.behind[0]))
    return texts.say(
        "reasons",
        quantity.key,
        metric=texts.name("metrics", quantity.metric),
        level=texts.level(quantity.key, quantity.level),
        value=texts.mean(quantity.metric, best),
        next_value=texts.mean(quantity.metric, behind),
    )


def _told(found: Mapping, texts: Texts, key: str) -> "list[str]":
    """Returns the sentences about one quantity: who is clearly best, or that nobody is."""
    quantity = found.get(key)
    if quantity is None:
        return []

    def who(model):
        name, score = texts.name("models", model), quantity.scores.get(model)
        if not score:
            return name
        return texts.say("verdict", "with_score", model=name, score=texts.score(score))

    def value(estimate, **options):
        return texts.estimate(quantity.metric, estimate, gap=key == "drop", **options)

    leader, best, behind = quantity.leader, quantity.best, quantity.behind
    first = quantity.estimates[leader]
    words = {
        "leader": who(leader),
        "metric": texts.name("metrics", quantity.metric),
        "value": value(first),
        "level": texts.level(key, quantity.level),
        "conditions": texts.list([texts.condition(name) for name in quantity.conditions]),
    }
    if len(quantity.estimates) == 1:
        return [texts.say("verdict", "alone", **words)]
    if len(best) > 1:
        words["ties"] = texts.list([who(model) for model in best[1:]])
        words["all"] = texts.list([who(model) for model in best])
        if behind and quantity.pairs:
            words["purpose"] = texts.say("purposes", key)
            words["models"] = texts.list([texts.name("models", model) for model in behind])
            return [texts.say("verdict", "several", **words)]
        lines = [texts.say("verdict", f"{key}_tied", **words)]
        if quantity.pairs:
            lines = [texts.say("verdict", "nobody", purpose=texts.say("purposes", key), **words)]
        if behind:
            models = texts.list([texts.name("models", model) for model in behind])
            lines.append(texts.say("verdict", "behind", models=models))
        return lines
    second = quantity.estimates[behind[0]]
    pair = quantity.pair(leader, behind[0])
    if pair is not None:
        gap = estimate_of_pair(pair, quantity.direction)
    else:
        gap = first.minus(second) if quantity.direction > 0 else second.minus(first)
    words |= {
        "next": who(behind[0]),
        "next_value": value(second),
        "gap": texts.estimate(quantity.metric, gap, gap=True),
    }
    lines = [texts.say("verdict", f"{key}_clear", **words)]
    if pair is not None:
        size = texts.say("sizes", pair["size"])
        share = texts.share(pair["probability"])
        lines.append(texts.say("verdict", "paired", probability=share, size=size))
    return lines


def _but(found: Mapping, texts: Texts) -> "list[str]":
    # A model that is bad everywhere loses little: then it must be said who is best all the same.
    under, drop = found.get("corruptions"), found.get("drop")
    if not (under and drop) or len(under.best) != 1 or under.leader in drop.best:
        return []
    return [
        texts.say(
            "verdict",
            "corruptions_but",
            metric=texts.name("metrics", under.metric),
            leader=texts.name("models", under.leader),
            value=texts.estimate(under.metric, under.estimates[under.leader]),
        )
    ]


def _density(report: Mapping, texts: Texts) -> "list[str]":
    failed, total = findings.density_failures(report)
    if not failed:
        return []
    worst = failed[0]
    below = worst["upper"] < 0.5 and estimate_of(worst).known
    return [
        texts.say(
            "verdict",
            "density_fails" if below else "density_chance",
            count=len(failed),
            total=total,
            value=texts.estimate("auroc", estimate_of(worst)),
            inputs=texts.condition(findings.score_of(worst["condition"])[0]),
            model=texts.name("models", worst["model"]),
        )
    ]


def _abilities(report: Mapping, texts: Texts) -> "list[str]":
    return [
        texts.say(
            "verdict",
            "abilities",
            family=texts.words["families"][family]["name"],
            abilities=texts.words["lists"]["semicolon"].join(
                texts.say("abilities", ability) for ability in done
            ),
        )
        for family, done in findings.abilities(report).items()
    ]


def _costs(found: Mapping, texts: Texts) -> "list[str]":
    lines = []
    for key in ("train", "predict"):
        quantity = found.get(key)
        if quantity is None or len(quantity.estimates) < 2:
            continue
        cheapest, dearest = quantity.order[0], quantity.order[-1]
        low, high = (plain(quantity.estimates[m].mean) for m in (cheapest, dearest))
        names = {"cheapest": cheapest, "dearest": dearest}
        names = {part: texts.name("models", model) for part, model in names.items()}
        lines.append(texts.say("verdict", key, low=low, high=high, **names))
    return lines
