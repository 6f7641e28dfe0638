"""Which model for what: the candidates of a record by one figure, for each purpose.

    [[purposes]]                       # of experiments/results/purposes.toml
    record = "quickstart"              # of `records`
    key = "model"                      # the field of a figure that names a candidate
    figure = "nll"
    best = "least"                     # or "most"
    each = "set"                       # optional: a row for each value of this field
    want = {en = "...", zh = "..."}
    data = {en = "...", zh = "..."}    # where `each` does not say it

A document shows the table between the marks `purposes begin` and `purposes end`. The best is
named with all that its error does not tell it apart from: a difference below two standard errors.
"""

import math
import pathlib
import re
import tomllib
from collections.abc import Mapping

from tfp_vae.arguments import check_choice
from tfp_vae.report.plans import Plan
from tfp_vae.report.records import number

BEST = ("least", "most")
_FIELDS = ("record", "key", "figure", "best", "want")
_SPAN = re.compile(r"(<!-- purposes begin -->\n).*?(<!-- purposes end -->)", re.S)
_INTERVAL = 2 * 1.96  # widths of a 95 % interval in standard errors
_DEVIATIONS = 2.0
_SAYS = {
    "en": {
        "head": ("you want", "data", "best measured", "not told apart from it", "behind them"),
        "comma": "; ",
        "note": "Written from the records {names}, with the settings of [Results](results.md). Not "
        "told apart: less than two standard errors of the difference from the best; the models "
        "share their test examples, so that a paired comparison (`tfp-vae compare`) may tell more. "
        "Each row is one data set, and no law.",
    },
    "zh": {
        "head": ("想要", "数据", "测得最好的", "与它分不出高下的", "其后"),
        "comma": "；",
        "note": "由记录 {names} 生成，设置见[结果](results.md)。"
        "“分不出高下”指与最好者之差不到差值的两个标准误；各模型用同样的测试样本，"
        "成对比较（`tfp-vae compare`）可能分得更细。每行只是一个数据集，不是定律。",
    },
}


def read_purposes(path: "str | pathlib.Path") -> "list[dict]":
    """Reads purposes.

    Raises:
        ValueError: naming what is missing or unknown.
        FileNotFoundError: if there is no such file.
    """
    purposes = tomllib.loads(pathlib.Path(path).read_text(encoding="utf-8")).get("purposes", [])
    for purpose in purposes:
        lacks = [field for field in _FIELDS if field not in purpose]
        if lacks:
            raise ValueError(
                f"A purpose of {path} is not whole. Expected {', '.join(_FIELDS)}. Received one "
                f"without {', '.join(lacks)}."
            )
        check_choice("best", purpose["best"], BEST)
    return purposes


def fill(
    text: str,
    purposes: "list[dict]",
    plans: "Mapping[str, Plan]",
    records: "Mapping[str, Mapping]",
    language: str,
) -> str:
    """Returns a document with the table between its marks, if it has them.

    Args:
        text: of the document.
        purposes: of `read_purposes`.
        plans: by name, which name the candidates.
        records: by name; a purpose whose record is not there is left out.
        language: "en" or "zh".
    """
    if not _SPAN.search(text):
        return text
    shown = block(purposes, plans, records, language)
    return _SPAN.sub(lambda match: f"{match[1]}{shown}{match[2]}", text)


def block(
    purposes: "list[dict]",
    plans: "Mapping[str, Plan]",
    records: "Mapping[str, Mapping]",
    language: str,
) -> str:
    """Returns the Markdown of the table and what it is written from."""
    says = _SAYS[language]
    lines = [says["head"], ["---"] * len(says["head"])]
    used = []
    for purpose in purposes:
        if purpose["record"] in records:
            used.append(purpose["record"])
            record, plan = records[purpose["record"]], plans[purpose["record"]]
            for value, figures in _groups(purpose, record["figures"]):
                data = f"`{value}`" if value else purpose.get("data", {}).get(language, "")
                cells = _cells(purpose, plan, figures, language)
                lines.append([purpose["want"][language], data, *cells])
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    names = says["comma"].join(f"`{name}`" for name in dict.fromkeys(used))
    return f"{table}\n\n{says['note'].format(names=names)}\n"


def ranked(purpose: Mapping, figures: "list[dict]") -> "tuple[list[dict], list[dict]]":
    """Returns the candidates that may be the best, the best first, and those behind, in order."""
    sign = {"most": -1.0, "least": 1.0}[purpose["best"]]
    order = sorted(figures, key=lambda figure: sign * figure["value"])
    best = order[0]
    near = [
        figure
        for figure in order
        if abs(figure["value"] - best["value"])
        <= _DEVIATIONS * math.hypot(_error(figure), _error(best))
    ]
    return near, [figure for figure in order if figure not in near]


def _error(figure: Mapping) -> float:
    """Returns the standard error of a figure, 0 where it has none."""
    if "se" in figure:
        return float(figure["se"])
    return (figure["high"] - figure["low"]) / _INTERVAL if "low" in figure else 0.0


def _groups(purpose, figures):
    own = [figure for figure in figures if figure["figure"] == purpose["figure"]]
    if "each" not in purpose:
        return [("", own)] if own else []
    values = dict.fromkeys(figure[purpose["each"]] for figure in own)
    return [(value, [f for f in own if f[purpose["each"]] == value]) for value in values]


def _cells(purpose, plan, figures, language):
    near, behind = ranked(purpose, figures)
    shown = [_candidate(purpose, plan, figure, language) for figure in (*near, *behind)]
    comma = _SAYS[language]["comma"]
    best = f"{shown[0]}: {number(near[0], purpose, language)}"
    return best, comma.join(shown[1 : len(near)]), comma.join(shown[len(near) :])


def _candidate(purpose, plan, figure, language):
    """Returns the name of a candidate as the tables of its plan have it."""
    name = str(figure[purpose["key"]])
    words = [run.words for run in plan.runs if run.name == name and purpose["key"] == "run"]
    if words and words[0]:
        return next(iter(words[0].values()))[language]
    return plan.names.get(name, {}).get(language, f"`{name}`")
