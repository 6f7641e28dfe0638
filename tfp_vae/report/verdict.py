"""The verdict in plain words; every sentence follows from the numbers, by the rule of `marks`."""

import dataclasses
from collections.abc import Mapping

from tfp_vae.report import findings
from tfp_vae.report.findings import PURPOSES, Decision, advice, quantities
from tfp_vae.report.marks import estimate_of
from tfp_vae.report.texts import Texts, plain


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A headline and points of (title, text) below it, a line each."""

    headline: str
    points: "tuple[tuple[str, str], ...]"


def state_verdict(report: Mapping, language: str = "en") -> Verdict:
    """Returns what the numbers of a comparison say, a line for each question.

    A question is decided if what no model is better than is itself better than at least half of the
    others, by the rule of `marks`, see `findings.Decision`. Questions that were not measured have
    no line.

    Args:
        report: see `comparison`; it is taken as valid.
        language: one of `sealed.LANGUAGES`.
    """
    texts, found, advised = Texts(language), quantities(report), advice(report)
    lines = [(key, _told(advised[key], texts)) for key in PURPOSES if key in advised]
    lines += [
        (key, _alone(found[key], texts)) for key in PURPOSES if key in found and key not in advised
    ]
    lines += [("density", line) for line in _density(report, texts)]
    lines += [("abilities", line) for line in _abilities(report, texts)]
    lines += [("costs", line) for line in _costs(found, texts)]
    points = tuple((texts.say("points", key), line) for key, line in lines)
    return Verdict(_headline(report, advised, texts), points)


def _headline(report: Mapping, advised: "Mapping[str, Decision]", texts: Texts) -> str:
    data = report["dataset"]["title"]
    if not advised:
        return texts.say("verdict", "headline_alone", data=data)
    by_pairs = all(decision.quantity.pairs for decision in advised.values())
    return texts.say(
        "verdict",
        "headline",
        data=data,
        decided=sum(decision.is_decided for decision in advised.values()),
        total=len(advised),
        rule=texts.say("verdict", "by_pairs" if by_pairs else "by_overlap"),
    )


def _told(decision: Decision, texts: Texts) -> str:
    """Returns the line of a question: what to take, and what that is better than."""
    quantity, take = decision.quantity, decision.take
    worse, others = len(decision.worse), decision.others
    if not worse:
        leader, count = quantity.leader, len(quantity.estimates)
        return texts.say("verdict", "open", count=count, **_first(quantity, leader, texts))
    if not decision.is_decided:  # nothing to take: the best mean of those that are as good
        words = _first(quantity, min(take, key=quantity.order.index), texts)
        return texts.say("verdict", "partly", worse=worse, others=others, **words)
    words = _first(quantity, take[0], texts)
    words |= {
        "count": str(len(take)),
        "second": texts.title("models", take[1]) if len(take) == 2 else "",
        "better": texts.say(
            "verdict", "all" if worse == others else "some", worse=worse, others=others
        ),
    }
    return texts.say("verdict", {1: "one", 2: "two"}.get(len(take), "many"), **words)


def _alone(quantity, texts: Texts) -> str:
    return texts.say("verdict", "alone", **_first(quantity, quantity.leader, texts))


def _first(quantity, model: str, texts: Texts) -> "dict[str, str]":
    value = texts.mean(quantity.metric, quantity.estimates[model])
    return {"first": texts.title("models", model), "value": value}


def _density(report: Mapping, texts: Texts) -> "list[str]":
    failed, total = findings.density_failures(report)
    if not failed:
        return []
    value = texts.mean("auroc", estimate_of(failed[0]))
    return [texts.say("verdict", "density", count=len(failed), total=total, value=value)]


def _abilities(report: Mapping, texts: Texts) -> "list[str]":
    return [
        texts.say(
            "verdict",
            "abilities",
            family=texts.title("families", family),
            abilities=texts.words["lists"]["comma"].join(
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
        names = {part: texts.title("models", model) for part, model in names.items()}
        lines.append(texts.say("verdict", key, low=low, high=high, **names))
    return lines
