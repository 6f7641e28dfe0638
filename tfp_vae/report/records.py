"""Records of results: the figures of a plan with where they come from, and how documents show them.

    {
        "name": "digits", "seed": 0, "commit": "4be3397...", "versions": {"python": ...},
        "machine": "2 cores of AMD EPYC, no accelerator", "seconds": 17.2,
        "runs": [{"name": "digits", "command": "python -m experiments.train_vae --preset=digits",
                  "commit": "4be3397...", "seconds": 17.2}],  # with "machine" if it is another
        "chosen": {"group": "run"},
        "figures": [{"run": "digits", "figure": "elbo", "value": -165.0, "se": 1.15},
                    {"run": "uci", "figure": "score", "set": "yacht", "method": "vi",
                     "value": 1.2, "low": 1.1, "high": 1.3}],
    }

A document shows a table between two marks, and nobody types into it:

    <!-- results: digits begin -->
    <!-- results: digits end -->

Several names, with spaces between, are one table of the rows of all; their columns are the same.
"""

import json
import math
import pathlib
import re
from collections.abc import Collection, Mapping, Sequence

from tfp_vae.arguments import check_choice
from tfp_vae.report.folders import read_json
from tfp_vae.report.marks import Estimate, interval
from tfp_vae.report.plans import Plan
from tfp_vae.report.texts import duration, numbers

_FIELDS = {
    "name": str,
    "seed": (int, list),
    "commit": str,
    "versions": dict,
    "machine": str,
    "seconds": (int, float),
    "runs": list,
    "chosen": dict,
    "figures": list,
}
_SPAN = re.compile(
    r"(<!-- results: (?P<names>[\w. -]+) begin -->\n).*?(<!-- results: (?P=names) end -->)", re.S
)
_MARK = re.compile(r"<!-- results: .*?-->")
_STEP = re.compile(r"\[([^\]]*)\]|([^.\[]+)")
_HOLE = re.compile(r"\{(\w+)\}")
_MACHINE = re.compile(r"(\d+) cores? of (.+)")
# What stands beside a figure and says how sure it is: one error, or two ends.
_ERRORS = (("{key}_se",), ("{key}_low", "{key}_high"), ("lower", "upper"))
_SAYS = {
    "en": {
        "absent": "Not measured with this version yet (time on two cores): {names}.",
        "command": "`scripts/reproduce {name}` (about {time})",
        "comma": ", ",
        "source": "`scripts/reproduce {name}`: seed {seed}, commit {commits}, {machine}, {time}.",
        "interval": "({low} to {high})",
        "machine": r"\g<0>",
        "part": "{count} of {all} runs; `scripts/reproduce {name} --more` measures the rest.",
        "above": "{figure}: {more} is above {less}, their 95 % intervals lie apart.",
        "below": "{figure}: {more} is below {less}, their 95 % intervals lie apart.",
        "overlap": "{figure}: {more} and {less} are not told apart, their 95 % intervals overlap.",
        "one": "{figure}: {more} and {less} are not told apart: one run has no interval.",
        "meet": "{figure}: the 95 % intervals of {more} and {less} overlap.",
        "pairs": "Runs of one seed in pairs, {more} minus {less} is {mean} ({lower} to {upper}).",
    },
    "zh": {
        "absent": "此版本尚未测量（两个核上的时间）：{names}。",
        "command": "`scripts/reproduce {name}`（约 {time}）",
        "comma": "，",
        "source": "`scripts/reproduce {name}`：种子 {seed}，提交 {commits}，{machine}，{time}。",
        "interval": "（{low} 至 {high}）",
        "machine": r"\1 核 \2",
        "part": "{all} 次运行中的 {count} 次；`scripts/reproduce {name} --more` 测量其余。",
        "above": "{figure}：{more} 高于 {less}，两者的 95 % 区间不相交。",
        "below": "{figure}：{more} 低于 {less}，两者的 95 % 区间不相交。",
        "overlap": "{figure}：{more} 与 {less} 无法区分，两者的 95 % 区间相交。",
        "one": "{figure}：{more} 与 {less} 中有一个只运行了一次，没有区间。",
        "meet": "{figure}：{more} 与 {less} 的 95 % 区间相交。",
        "pairs": "同一种子的运行两两配对，{more} 减 {less} 为 {mean}（{lower} 至 {upper}）。",
    },
}


def found(values, place: str) -> "list[dict]":
    """Returns the figures at a place of a file, each with its error and what its holes met.

    Args:
        values: what a JSON file holds.
        place: keys with dots between; `{name}` stands for each key there; `[key=value,key={name}]`
            for each entry of a list that has these values.

    Returns:
        Dicts with "value", with "se" or "low" and "high" where the file has them, and the holes.

    Raises:
        ValueError: if nothing is there, or it is not a number.
    """
    steps = [(where, key) for where, key in _STEP.findall(place)]
    entries = _walk(values, steps, {}, place)
    if not entries:
        raise ValueError(f"There is no figure at {place}. Expected a number. Received none.")
    return entries


def _walk(values, steps: Sequence, holes: dict, place: str) -> "list[dict]":
    (where, key), rest = steps[0], steps[1:]
    if where:
        entries = [values] if isinstance(values, Mapping) else values
        matches = ((entry, _match(where, entry)) for entry in entries)
        return [
            each
            for entry, more in matches
            if more is not None
            for each in _walk(entry, rest, holes | more, place)
        ]
    hole = _HOLE.fullmatch(key)
    if hole:
        values = values if isinstance(values, Mapping) else {}
        return [
            each
            for name, inner in values.items()
            for each in _walk({name: inner}, [("", name), *rest], holes | {hole[1]: name}, place)
        ]
    if not isinstance(values, Mapping) or key not in values:
        return []
    if rest:
        return _walk(values[key], rest, holes, place)
    value = values[key]
    if value is None:
        return []  # what a program did not measure
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"The figure at {place} is wrong. Expected a number. Received {value!r}.")
    return [holes | {"value": value} | _error(values, key)]


def _match(where: str, entry: Mapping) -> "dict | None":
    holes = {}
    for part in where.split(","):
        name, _, wanted = part.partition("=")
        texts = re.split(r"\{(\w+)\}", wanted)
        pattern = "".join(
            f"(?P<{text}>[^/]+)" if place % 2 else re.escape(text)
            for place, text in enumerate(texts)
        )
        match = re.fullmatch(pattern, str(entry[name])) if name in entry else None
        if match is None:
            return None
        holes |= match.groupdict()
    return holes


def _error(values: Mapping, key: str) -> dict:
    for names in _ERRORS:
        ends = [values.get(name.format(key=key)) for name in names]
        if None not in ends:
            return dict(zip(("se",) if len(ends) == 1 else ("low", "high"), ends, strict=True))
    spread = values.get("spread")
    return dict(zip(("low", "high"), spread, strict=True)) if key == "per_second" and spread else {}


def chosen(
    plan: Plan, figures: "list[dict]", measured: "Collection[str] | None" = None
) -> "dict[str, str]":
    """Returns {group: the run that stands for it} by the choices of a plan.

    Args:
        plan: of the runs.
        figures: of all runs that were measured.
        measured: their names; None: of all. A group of which a run lacks waits for it.

    Raises:
        ValueError: if a run of a group lacks the figure by which it is chosen.
    """
    best = {}
    for choice in plan.choices:
        rows = {run.row for run in plan.runs if run.group == choice["group"]}
        needed = {run.name for run in plan.runs if run.row in rows}
        if measured is not None and not needed <= set(measured):
            continue
        values = {
            f["run"]: f["value"]
            for f in figures
            if f["run"] in rows and f["figure"] == choice["figure"]
        }
        if set(values) != rows:
            raise ValueError(
                f"Nothing to choose by among {choice['group']}. Expected {choice['figure']} of "
                f"{', '.join(sorted(rows))}. Received that of {', '.join(values) or 'none'}."
            )
        pick = min if choice["best"] == "least" else max
        best[choice["group"]] = pick(values, key=values.get)
    return best


def read_record(path: "str | pathlib.Path") -> dict:
    """Reads a record, and checks its form.

    Raises:
        ValueError: naming what is wrong with it.
        FileNotFoundError: if there is none.
    """
    record = read_json(path)
    for key, kind in _FIELDS.items():
        if not isinstance(record.get(key), kind):
            raise ValueError(
                f"{path} is not a record of results: {key} is wrong. Expected what "
                f"tfp_vae.report.records describes. Received {record.get(key)!r}."
            )
    return record


def as_text(record: Mapping) -> str:
    """Returns a record as JSON: one line for each run and figure, which reads well in a diff."""
    lines = []
    for key in _FIELDS:
        value = record[key]
        if key in ("runs", "figures"):
            inner = ",\n".join(f"    {json.dumps(entry, allow_nan=False)}" for entry in value)
            lines.append(f'  "{key}": [\n{inner}\n  ]')
        else:
            lines.append(f'  "{key}": {json.dumps(value, allow_nan=False, ensure_ascii=False)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def check_fits(plan: Plan, record: Mapping) -> None:
    """Raises `ValueError` unless a record is one of runs of the plan as it is now, all or some."""
    planned = {run.name: run.command() for run in plan.runs}
    measured = {run["name"]: run["command"] for run in record["runs"]}
    differing = sorted(k for k in measured if planned.get(k) != measured[k])
    if differing or not measured:
        raise ValueError(
            f"The record of {plan.name} is one of other runs: {', '.join(differing)}. Expected the "
            f"commands of its plan. Received others; scripts/reproduce {plan.name} measures again."
        )


def block(
    names: "list[str]", plans: Mapping[str, Plan], records: Mapping[str, Mapping], language: str
) -> str:
    """Returns the Markdown of tables: their rows, and where they come from or how to get them.

    Args:
        names: of tables with the same columns: PLAN, or PLAN.TABLE.
        plans: by name.
        records: of what was measured, by name.
        language: one of `plans.LANGUAGES`.

    Raises:
        ValueError: if there is no such table, or the columns differ.
    """
    lines, notes, absent, says = [], {}, {}, _SAYS[language]
    for name in names:
        plan, table = _table_of(name, plans)
        record = records.get(plan.name)
        if record is None:
            absent[plan.name] = says["command"].format(name=plan.name, time=plan.takes)
        else:
            notes[plan.name] = _source(plan, record, language)
            head, rows = _grid(plan, record, table, language)
            if not rows:  # of runs that are to come: no head without a table
                continue
            if lines and lines[:2] != head:
                raise ValueError(
                    f"The tables of {', '.join(names)} do not fit together. Expected the columns "
                    f"{lines[0]} in all. Received {head[0]} of {name}."
                )
            lines = (lines or head) + rows
            judged = _judged(plan, record, table, language)
            notes |= {f"{name} apart": judged} if judged else {}
    if absent:
        notes[""] = says["absent"].format(names=says["comma"].join(absent.values()))
    return "\n\n".join([*(["\n".join(lines)] if lines else []), " ".join(notes.values())]) + "\n"


def _table_of(name: str, plans: Mapping[str, Plan]) -> "tuple[Plan, Mapping]":
    plan, _, table = name.partition(".")
    check_choice("name of results", plan, sorted(plans))
    return plans[plan], plans[plan].table(table)


def _source(plan: Plan, record: Mapping, language: str) -> str:
    seed, count, says = record["seed"], len(record["runs"]), _SAYS[language]
    text = says["source"].format(
        name=plan.name,
        seed=", ".join(map(str, seed)) if isinstance(seed, list) else seed,
        commits=says["comma"].join(f"`{each}`" for each in _commits(record)),
        machine=_MACHINE.sub(says["machine"], record["machine"]),
        time=duration(record["seconds"]),
    )
    if count == len(plan.runs):
        return text
    more = says["part"].format(name=plan.name, count=count, all=len(plan.runs))
    return text + " " * (language == "en") + more


def _commits(record: Mapping) -> "list[str]":
    """Returns what the runs were measured at, in their order, each once."""
    full = [run.get("commit", record["commit"]) for run in record["runs"]]
    return list(dict.fromkeys(each[:7] + "+" * each.endswith("+") for each in full))


def _grid(plan: Plan, record: Mapping, table: Mapping, language: str) -> "tuple[list, list]":
    """Returns the two lines of the head of a table and its rows."""
    lines = (_across if "across" in table else _columns)(plan, record, table, language)
    return lines[:2], lines[2:]


def _columns(plan: Plan, record: Mapping, table: Mapping, language: str) -> "list[str]":
    columns, figures = table["columns"], _figures(plan, record, table)
    lines = _head([column[language] for column in columns])
    for row, key in _rows(plan, record, table):
        cells = []
        for column in columns:
            if "figure" in column:
                here = [f for f in figures if f["figure"] == column["figure"]]
                here = [f for f in here if str(f.get(row)) == key]
                here = _pooled(here) if row == "series" else here
                cells.append(_cell(here, column, language))
            elif "words" in column:
                words = [run.words for run in plan.runs if run.name == key]
                cells.append(words[0].get(column["words"], {}).get(language, "") if words else "")
            elif "code" in column:
                runs = [run for run in plan.runs if run.name == key]
                cells.append(f"`{' '.join(runs[0].flags)}`" if runs else "")
            else:
                cells.append(_name(plan, key, language))
        lines.append(_line(cells))
    return lines


def _across(plan: Plan, record: Mapping, table: Mapping, language: str) -> "list[str]":
    entries = [f for f in _figures(plan, record, table) if f["figure"] == table["figure"]]
    across = list(dict.fromkeys(str(f[table["across"]]) for f in entries))
    names = [_name(plan, key, language) for key in across]
    lines = _head([table.get("title", {}).get(language, ""), *names])
    for row, key in _rows(plan, record, table):
        here = [f for f in entries if str(f.get(row)) == key]
        groups = ([f for f in here if str(f[table["across"]]) == c] for c in across)
        groups = (_pooled(each) if row == "series" else each for each in groups)
        cells = [_cell(each, table, language) for each in groups]
        lines.append(_line([_name(plan, key, language), *cells]))
    return lines


def _rows(plan: Plan, record: Mapping, table: Mapping) -> "list[tuple[str, str]]":
    """Returns the pairs (what the rows are, one of them), without runs that were not chosen.

    What has none of the table's figures has no row.
    """
    row = table["rows"]
    groups = {run.row: run.group for run in plan.runs if run.group}
    shown = {part["figure"] for part in (table, *table.get("columns", ())) if "figure" in part}
    keys = dict.fromkeys(
        str(f[row])
        for f in _figures(plan, record, table)
        if row in f and (f["figure"] in shown or not shown)
    )
    if row == "run":
        picked, among = record["chosen"], {choice["group"] for choice in plan.choices}
        keys = {k: 0 for k in keys if groups.get(k) not in among or picked.get(groups[k]) == k}
    short = table.get("short", keys)
    return [(row, key) for key in keys if key in short]


def _figures(plan: Plan, record: Mapping, table: Mapping) -> "list[dict]":
    """Returns the figures that a table is of, each with the series of its run."""
    of = table.get("of", {})
    series = {run.row: run.series for run in plan.runs if run.series}
    figures = [
        f | ({"series": series[f["run"]]} if f["run"] in series else {}) for f in record["figures"]
    ]
    return [f for f in figures if all(f.get(key) == of[key] for key in of)]


def _pooled(entries: "list[dict]") -> "list[dict]":
    """Returns the mean over runs with its 95 % interval, which one run does not have."""
    if not entries:
        return []
    mean, low, high = interval([entry["value"] for entry in entries])
    return [{"value": mean} | ({"low": low, "high": high} if len(entries) > 1 else {})]


def intervals(
    plan: Plan, record: Mapping, table: Mapping, language: str
) -> "dict[str, dict[str, tuple[float, float]]]":
    """Returns {column: {series: (mean over runs, half of its 95 % interval)}} of a table by series.

    Half an interval is 0 where there is one run.
    """
    figures, found = _figures(plan, record, table), {}
    for column in table.get("columns", ()):
        for _, key in _rows(plan, record, table):
            here = [f for f in figures if f["figure"] == column.get("figure")]
            for each in _pooled([f for f in here if f.get("series") == key]):
                times, value = column.get("times", 1), each["value"]
                ends = [times * each.get(end, value) for end in ("low", "high")]
                middle, half = sum(ends) / 2, abs(ends[1] - ends[0]) / 2
                found.setdefault(column[language], {})[_name(plan, key, language)] = middle, half
    return found


def _judged(plan: Plan, record: Mapping, table: Mapping, language: str) -> str:
    """Returns a sentence on each pair of series that a table compares by their intervals."""
    says, sentences = _SAYS[language], []
    for claim in table.get("apart", ()):
        figures = [f for f in _figures(plan, record, table) if f["figure"] == claim["figure"]]
        sides = [[f for f in figures if f.get("series") == claim[k]] for k in ("more", "less")]
        if not all(sides):
            continue  # what has not been measured yet
        found = [interval([f["value"] for f in side]) for side in sides]
        more, less = (Estimate(*ends, n=len(side)) for ends, side in zip(found, sides, strict=True))
        if min(more.n, less.n) < 2:
            verdict = "one"
        elif more.overlaps(less):
            verdict = "overlap"
        else:
            verdict = "above" if more.mean > less.mean else "below"
        names = {key: _name(plan, claim[key], language) for key in ("more", "less")}
        # Intervals that overlap do not say that there is no difference.
        pairs = _pairs(claim, *sides)
        difference = Estimate(*interval(pairs), n=len(pairs)) if len(pairs) > 1 else None
        is_told = difference and not difference.lower <= 0 <= difference.upper
        verdict = "meet" if verdict == "overlap" and is_told else verdict
        sentences.append(says[verdict].format(figure=claim[language], **names))
        if difference:
            mean, lower, upper = numbers("", difference)
            said = {"mean": mean, "lower": lower or mean, "upper": upper or mean}
            sentences.append(says["pairs"].format(**names, **said))
    return " ".join(sentences)


def _pairs(claim: Mapping, more: Sequence[Mapping], less: Sequence[Mapping]) -> "list[float]":
    """Returns the differences of runs whose names differ in their series alone, as of one seed."""
    first, second = (
        {figure["run"].replace(claim[side], "", 1): figure["value"] for figure in figures}
        for side, figures in (("more", more), ("less", less))
    )
    return [value - second[seed] for seed, value in first.items() if seed in second]


def _name(plan: Plan, key: str, language: str) -> str:
    plain = key.removesuffix(".0")  # levels are floats in a report
    return plan.names.get(key, {}).get(language, f"`{plain}`")


def _cell(entries: "list[dict]", form: Mapping, language: str) -> str:
    take = form.get("take")
    if take == "count":
        return str(len(entries))
    if take and entries:
        entries = [{"value": {"most": max, "least": min}[take](e["value"] for e in entries)}]
    return "; ".join(number(entry, form, language) for entry in entries)


def number(entry: Mapping, form: Mapping = {}, language: str = "en") -> str:
    """Returns a figure with its error as text: two digits of the error, else three of the figure.

    Args:
        entry: a dict with "value", and "se" or "low" and "high".
        form: may have "times" (a factor), "unit" and "digits" (after the point).
        language: of the words between two ends.
    """
    times, unit = form.get("times", 1), form.get("unit", "")
    value = times * entry["value"]
    ends = sorted(times * entry[key] for key in ("low", "high") if key in entry)
    ends = ends if len(set(ends)) == 2 else []  # of one seed there is no interval
    size = abs(times * entry["se"]) if "se" in entry else (ends[1] - ends[0]) / 2 if ends else 0
    digits = form.get("digits")
    if digits is None:
        # Two digits of an error; of a figure without one three, and whole numbers whole.
        whole = not size and float(value).is_integer()
        scale, significant = (size, 2) if size else (abs(value), 3)
        digits = 0
        if scale and not whole:
            digits = min(max(significant - 1 - math.floor(math.log10(scale)), 0), 8)
    text = f"{value:z,.{digits}f}"
    if "se" in entry:
        text += f" +- {size:,.{digits}f}"
    elif ends:
        low, high = (f"{end:z,.{digits}f}" for end in ends)
        text += " " * (language == "en") + _SAYS[language]["interval"].format(low=low, high=high)
    return f"{text} {unit}".rstrip()


def _head(titles: "list[str]") -> "list[str]":
    return [_line(titles), "|" + " --- |" * len(titles)]


def _line(cells: "list[str]") -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def fill(
    text: str,
    plans: Mapping[str, Plan],
    records: Mapping[str, Mapping],
    language: str,
    name: str = "the document",
) -> str:
    """Returns a document with the tables between their marks.

    Args:
        text: the document.
        plans: by name.
        records: of what was measured, by name.
        language: one of `plans.LANGUAGES`.
        name: of the document, for errors.

    Raises:
        ValueError: if a mark has no partner, or there is no table of its name.
    """
    marks = _MARK.findall(text)
    if len(marks) != 2 * len(_SPAN.findall(text)):
        raise ValueError(
            f"The marks of results in {name} are wrong. Expected `<!-- results: NAME begin -->` "
            "and `<!-- results: NAME end -->`, in turns, on lines of their own. Received "
            f"{', '.join(marks)}."
        )

    def replace(match):
        shown = block(match["names"].split(), plans, records, language)
        return f"{match[1]}{shown}{match[3]}"

    return _SPAN.sub(replace, text)


def outside(text: str) -> str:
    """Returns a document without what stands between marks of results."""
    return _SPAN.sub("", text)
