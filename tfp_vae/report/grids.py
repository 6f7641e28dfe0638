"""Tables of a comparison as plain rows and columns, which HTML and Markdown then write."""

import dataclasses
from collections.abc import Mapping, Sequence

from tfp_vae.report.comparison import TASKS
from tfp_vae.report.findings import Quantity, advice, quantities
from tfp_vae.report.marks import ALPHA, DIRECTIONS, Estimate, Marked, estimate_of_pair, mark
from tfp_vae.report.texts import Texts

_COSTS = ("train", "predict", "parameters")


@dataclasses.dataclass(frozen=True)
class Column:
    """A column: its title, and which way is better; None for text."""

    title: str
    direction: "int | None" = None


@dataclasses.dataclass(frozen=True)
class Head:
    """A cell of text; `sub` is said below it, `value` sorts it if the text does not."""

    text: str
    sub: str = ""
    value: "float | None" = None


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of numbers; all empty where nothing was measured.

    Attributes:
        mean, interval: as they are shown.
        value: what sorts it.
        best: whether it is best within error.
        note: what is said below it.
        bar: mean, lower and upper in percent of the width of a picture of the interval.
    """

    mean: str = ""
    interval: str = ""
    value: "float | str" = ""
    best: bool = False
    note: str = ""
    bar: "Mapping[str, float] | None" = None


@dataclasses.dataclass(frozen=True)
class Row:
    """A row: cells of text, then cells of numbers."""

    heads: "tuple[Head, ...]"
    cells: "tuple[Cell, ...]"


@dataclasses.dataclass(frozen=True)
class Grid:
    """A table: columns of text and of numbers, and rows."""

    columns: "tuple[Column, ...]"
    rows: "tuple[Row, ...]"


def overview(report: Mapping, texts: Texts) -> Grid:
    """Returns one row per model and one column per question that the results answer."""
    found = [q for key, q in quantities(report).items() if key != "parameters"]
    columns = [Column(texts.word("model"))]
    columns += [Column(quantity_title(q, texts), q.direction) for q in found]
    measured = {model for q in found if q.key not in _COSTS for model in q.estimates}
    rows = [
        Row((_model(report, name, texts),), tuple(_of_quantity(q, name, texts) for q in found))
        for name in report["models"]
        if name in measured
    ]
    return Grid(tuple(columns), tuple(rows))


def advised(report: Mapping, texts: Texts) -> Grid:
    """Returns one row per question: which model to take, who else is best, and what it costs."""
    words = ("purpose", "take", "no_worse")
    columns = [Column(texts.word(word)) for word in words]
    costs_of = {key: quantities(report).get(key) for key in ("train", "predict")}
    known = {key: quantity for key, quantity in costs_of.items() if quantity}
    columns += [Column(texts.word("value"), 0)]
    columns += [Column(quantity_title(q, texts), q.direction) for q in known.values()]
    rows = []
    for key, decision in advice(report).items():
        quantity, taken = decision.quantity, decision.take[0]
        others = [texts.title("models", name) for name in quantity.best if name != taken]
        title = texts.say("purposes", key)
        heads = (
            Head(title, quantity_title(quantity, texts)),
            Head(texts.title("models", taken)),
            Head(texts.words["lists"]["comma"].join(others) or "–"),
        )
        cells = (
            _cell(quantity.metric, quantity.estimates[taken], False, texts),
            *(_of_quantity(each, taken, texts, marked=False) for each in known.values()),
        )
        rows.append(Row(heads, cells))
    return Grid(tuple(columns), tuple(rows))


def pair_grids(report: Mapping, texts: Texts) -> "dict[str, Grid]":
    """Returns {title: Grid} of questions: one row per pair of models, the better mean first."""
    found = {}
    for quantity in quantities(report).values():
        if not quantity.pairs:
            continue
        columns = [Column(texts.word(word)) for word in ("better", "worse", "size")]
        columns += [Column(texts.word("difference"), 0), Column(texts.word("probability"), 1)]
        order, rows = quantity.order, []
        for index, a in enumerate(order):
            for b in order[index + 1 :]:
                pair = quantity.pair(a, b)
                if pair is not None:
                    names = (Head(texts.title("models", name)) for name in (a, b))
                    heads = (*names, Head(texts.say("sizes", pair["size"])))
                    share = pair["probability"]
                    told = pair["adjusted"] < ALPHA
                    gap = estimate_of_pair(pair, quantity.direction)
                    cells = (
                        _cell(quantity.metric, gap, False, texts),
                        Cell(texts.share(share), "", share, told),
                    )
                    rows.append(Row(heads, cells))
        found[quantity_title(quantity, texts)] = Grid(tuple(columns), tuple(rows))
    return found


def costs(report: Mapping, texts: Texts) -> Grid:
    """Returns one row per model: time, size, and every result of the task "cost"."""
    found = [q for key, q in quantities(report).items() if key in ("train", "parameters")]
    measured = mark([r for r in report["results"] if r["task"] == "cost"], report["pairs"])
    columns = [Column(texts.word("model"))]
    columns += [Column(quantity_title(q, texts), q.direction) for q in found]
    columns += [Column(_cost_title(key, texts), DIRECTIONS.get(key[1], 0)) for key in measured]
    rows = []
    for name in report["models"]:
        cells = [_of_quantity(q, name, texts) for q in found]
        cells += [_of_marked(key[1], marked, name, texts) for key, marked in measured.items()]
        rows.append(Row((_model(report, name, texts),), tuple(cells)))
    return Grid(tuple(columns), tuple(rows))


def task_grids(report: Mapping, texts: Texts) -> "dict[str, dict[str, Grid]]":
    """Returns {task: {metric: Grid}}: one row per condition and level, one column per model.

    Metrics that a task has once only, without condition and level, share a table under the name
    "": one row per model, one column per metric.
    """
    found = {}
    for task in TASKS:
        marked = mark([r for r in report["results"] if r["task"] == task], report["pairs"])
        if not marked or task == "cost":
            continue
        metrics = list(dict.fromkeys(key[1] for key in marked))
        plain = [m for m in metrics if [k[2:] for k in marked if k[1] == m] == [("", None)]]
        grids = {"": _plain_grid(task, plain, marked, report, texts)} if plain else {}
        for metric in metrics:
            if metric not in plain:
                grids[metric] = _task_grid(task, metric, marked, report, texts)
        found[task] = grids
    return found


def quantity_title(quantity: Quantity, texts: Texts) -> str:
    """Returns the header of a column."""
    level = texts.level(quantity.key, quantity.level)
    metric = texts.title("metrics", quantity.metric)
    return texts.say("quantities", quantity.key, metric=metric, level=level)


def _cost_title(key: tuple, texts: Texts) -> str:
    _, metric, condition, level = key
    parts = [texts.title("metrics", metric), texts.condition(condition), texts.level("cost", level)]
    return texts.words["lists"]["comma"].join(part for part in parts if part)


def _model(report: Mapping, name: str, texts: Texts) -> Head:
    family = texts.title("families", report["models"][name]["family"])
    return Head(texts.title("models", name), family)


def _of_quantity(quantity: Quantity, model: str, texts: Texts, marked: bool = True) -> Cell:
    if model not in quantity.estimates:
        return Cell()
    everything = quantity.estimates.values()
    low, high = min(e.lower for e in everything), max(e.upper for e in everything)
    score = quantity.scores.get(model)
    return _cell(
        quantity.metric,
        quantity.estimates[model],
        marked and model in quantity.best,
        texts,
        texts.score(score) if score else "",
        (low, high) if high > low and quantity.key not in _COSTS else None,
    )


def _of_marked(metric: str, marked: "Sequence[Marked]", model: str, texts: Texts) -> Cell:
    for one in marked:
        if one.model == model:
            return _cell(metric, one.estimate, one.best, texts)
    return Cell()


def _cell(metric, estimate: Estimate, best, texts: Texts, note="", ends=None) -> Cell:
    mean = texts.mean(metric, estimate)
    # The header says the unit; only percent signs stay with their numbers.
    unit = texts.unit(metric)
    mean = mean if unit == "%" else mean.removesuffix(unit)
    bar = None
    if ends:
        low, high = ends

        def place(value):
            return round(2 + 96 * (min(max(value, low), high) - low) / (high - low), 1)

        bar = {part: place(getattr(estimate, part)) for part in ("mean", "lower", "upper")}
    return Cell(mean, texts.interval(metric, estimate), estimate.mean, best, note, bar)


def _plain_grid(task: str, metrics, marked: Mapping, report: Mapping, texts: Texts) -> Grid:
    columns = [Column(texts.word("model"))]
    columns += [Column(texts.title("metrics", m), DIRECTIONS.get(m, 0)) for m in metrics]
    rows = []
    for name in report["models"]:
        cells = [_of_marked(m, marked[task, m, "", None], name, texts) for m in metrics]
        if any(cell.mean for cell in cells):
            rows.append(Row((_model(report, name, texts),), tuple(cells)))
    return Grid(tuple(columns), tuple(rows))


def _task_grid(task: str, metric: str, marked: Mapping, report: Mapping, texts: Texts) -> Grid:
    keys = [key for key in marked if key[1] == metric]
    with_level = any(key[3] is not None for key in keys)
    columns = [Column(texts.word("condition"))]
    columns += [Column(texts.word("level"))] if with_level else []
    models = [n for n in report["models"] if any(m.model == n for key in keys for m in marked[key])]
    columns += [Column(texts.title("models", n), DIRECTIONS.get(metric, 0)) for n in models]
    rows = []
    for key in keys:
        heads = [Head(texts.condition(key[2]) or texts.title("tasks", task))]
        if with_level:
            heads.append(Head(texts.level(task, key[3]), value=key[3]))
        cells = tuple(_of_marked(metric, marked[key], model, texts) for model in models)
        rows.append(Row(tuple(heads), cells))
    return Grid(tuple(columns), tuple(rows))
