"""Plans of results: what is run for a table, which figures are kept of it, how it is shown.

A plan is a TOML file, `NAME.toml`:

    minutes = 12                     # on two cores, about
    [title]
    en = "Digits"
    zh = "手写数字"

    [[runs]]
    name = "digits"                  # its folder, and its rows
    program = "train_vae"            # of experiments/; or script = "scripts/benchmark"
    flags = ["--preset=digits"]
    quick = ["--epochs=1"]           # more flags, of --quick
    data = "tfds"                    # "tfds" or "uci": it takes a folder of prepared data
    folder = "other"                 # works in the folder of an earlier run, and adds to its rows
    file = "metrics.json"            # which holds the figures
    over = {beta = [0.1, 1]}         # one run for each value; {beta} in texts stands for it
    group = "digits"                 # of runs of which one is chosen
    series = "vae"                   # of runs that differ in their seed alone
    [runs.figures]
    elbo = "test_elbo"               # its place in the file
    score = "table.{set}.{method}.rmse"                  # everything there
    brier = "results.[task=ood,model={model}].mean"    # what fits among a list
    [runs.words.data]                # text of its rows
    en = "digits, 8-bit"
    zh = "digits，8 位"

    [[choices]]                      # which run of a group stands for it
    group = "digits"
    figure = "validation_nll"
    best = "least"                   # or "most"

    [[tables]]
    name = "rmse"                    # it is shown where NAME.rmse is asked for
    rows = "run"                     # or a name in braces; or "series", for which a column has
                                     # the mean over runs and its 95 % interval (Student's t)
    across = "method"                # columns by a name in braces, of one figure; or columns:
    figure = "score"
    of = {method = "vi"}             # of these figures only
    short = ["vi"]                   # of these rows only: a part of another table, for a document
    [[tables.columns]]
    en = "-ELBO"
    zh = "-ELBO"
    figure = "elbo"                  # or words = "data", or code = "flags"
    times = -1
    unit = "%"
    digits = 2
    take = "most"                    # of several figures: "most", "least", or how many: "count"
    [[tables.apart]]                 # of rows = "series": a sentence, by the intervals, on whether
    en = "MIG"                       # one series is above another in a figure
    zh = "MIG"
    figure = "mig"
    more = "beta_tc"
    less = "vae"
"""

import dataclasses
import itertools
import pathlib
import tomllib
from collections.abc import Mapping

LANGUAGES = ("en", "zh")
DATA = ("tfds", "uci")
_KEYS = {
    "plan": {"minutes", "seed", "title", "runs", "choices", "tables", "names"},
    "run": {
        *("name", "program", "script", "flags", "quick", "data", "folder", "file", "over"),
        *("group", "series", "figures", "words"),
    },
    "choice": {"group", "figure", "best"},
    "table": {
        *("name", "rows", "title", "of", "across", "figure", "columns", "times", "digits"),
        "apart",
        "short",
    },
    "apart": {"figure", "more", "less", *LANGUAGES},
    "column": {"figure", "words", "code", "times", "unit", "digits", "take", *LANGUAGES},
}


@dataclasses.dataclass(frozen=True)
class Run:
    """One program of a plan, ready to be run; see the module."""

    name: str
    program: str = ""
    script: str = ""
    flags: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    data: str = ""
    folder: str = ""
    file: str = "metrics.json"
    group: str = ""
    series: str = ""
    figures: Mapping[str, str] = dataclasses.field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)

    @property
    def row(self) -> str:
        """The name of its rows: that of the run whose folder it works in."""
        return self.folder or self.name

    def command(self, quick: bool = False) -> str:
        """Returns what is run, without the folders of a machine."""
        program = self.script or f"python -m experiments.{self.program}"
        return " ".join([program, *self.flags, *(self.quick if quick else ())])


@dataclasses.dataclass(frozen=True)
class Plan:
    """What one name of results needs and shows.

    Attributes:
        name: of the plan, its record and its tables.
        minutes: about how long it takes on two cores.
        seed: of its runs, where their files do not say it; a list where there are several.
        title: by language.
        runs: in the order in which they are run.
        choices: which run stands for a group: by "group", "figure" and "best".
        tables: see the module.
        names: {what stands in a file: {language: what is shown}}.
    """

    name: str
    minutes: float
    title: Mapping[str, str]
    runs: tuple[Run, ...]
    seed: object = 0
    choices: tuple[Mapping, ...] = ()
    tables: tuple[Mapping, ...] = ()
    names: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)

    @property
    def takes(self) -> str:
        """About how long it takes: 45 min, 1.5 h."""
        hours = self.minutes / 60
        return f"{hours:.2g} h" if hours >= 1 else f"{self.minutes:g} min"

    def table(self, name: str) -> Mapping:
        """Returns the table of a name.

        Raises:
            ValueError: if there is none.
        """
        found = [table for table in self.tables if table.get("name", "") == name]
        if not found:
            known = ", ".join(block_name(self.name, t.get("name", "")) for t in self.tables)
            raise ValueError(
                f"The plan {self.name} has no such table. Expected one of {known}. Received "
                f"{block_name(self.name, name)!r}."
            )
        return found[0]


def block_name(plan: str, table: str) -> str:
    """Returns the name by which a document asks for a table."""
    return f"{plan}.{table}" if table else plan


def read_plan(path: "str | pathlib.Path") -> Plan:
    """Reads a plan, and checks it.

    Raises:
        ValueError: naming what is wrong with it.
    """
    path = pathlib.Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is damaged. Expected TOML. Received: {error}") from error
    where = path.name
    _check_keys(values, "plan", where, ("minutes", "title", "runs", "tables"))
    _check_languages(values["title"], f"{where}: title")
    runs = []
    for number, entry in enumerate(values["runs"], 1):
        place = f"{where}: run {entry.get('name', number)}"
        _check_keys(entry, "run", place, ("name", "figures"))
        if ("program" in entry) == ("script" in entry):
            _refuse(place, "either a program or a script", sorted(entry))
        if entry.get("data", "tfds") not in DATA:
            _refuse(place, f"data to be one of {', '.join(DATA)}", entry["data"])
        for key, words in entry.get("words", {}).items():
            _check_languages(words, f"{place}: words.{key}")
        runs += _expanded(entry)
    names = [run.name for run in runs]
    for run in runs:
        if names.count(run.name) > 1:
            _refuse(where, "another name for each run", run.name)
        if run.folder and run.folder not in names[: names.index(run.name)]:
            _refuse(f"{where}: run {run.name}", "the folder of an earlier run", run.folder)
    for choice in values.get("choices", ()):
        _check_keys(choice, "choice", f"{where}: choices", ("group", "figure", "best"))
        if choice["best"] not in ("least", "most"):
            _refuse(f"{where}: choices", "best to be least or most", choice["best"])
        if choice["group"] not in {run.group for run in runs}:
            _refuse(f"{where}: choices", "the group of a run", choice["group"])
    figures = {figure for run in runs for figure in run.figures}
    series = {run.series for run in runs if run.series}
    for table in values["tables"]:
        place = f"{where}: table {table.get('name', '')}".rstrip()
        _check_keys(table, "table", place, ("rows",))
        if ("across" in table) == ("columns" in table):
            _refuse(place, "either across or columns", sorted(table))
        if "across" in table and table.get("figure") not in figures:
            _refuse(place, f"a figure among {', '.join(sorted(figures))}", table.get("figure"))
        if table["rows"] == "series" and not series:
            _refuse(place, "runs with a series", "none")
        if "apart" in table and table["rows"] != "series":
            _refuse(place, 'apart beside rows = "series"', table["rows"])
        for claim in table.get("apart", ()):
            _check_keys(claim, "apart", place, ("figure", "more", "less", *LANGUAGES))
            if claim["figure"] not in figures:
                _refuse(place, f"a figure among {', '.join(sorted(figures))}", claim["figure"])
            for side in ("more", "less"):
                if claim[side] not in series:
                    _refuse(place, f"a series among {', '.join(sorted(series))}", claim[side])
        for column in table.get("columns", ()):
            _check_keys(column, "column", place, LANGUAGES)
            if "figure" in column and column["figure"] not in figures:
                _refuse(place, f"a figure among {', '.join(sorted(figures))}", column["figure"])
    return Plan(
        name=path.stem,
        minutes=values["minutes"],
        title=values["title"],
        runs=tuple(runs),
        seed=values.get("seed", 0),
        choices=tuple(values.get("choices", ())),
        tables=tuple(values["tables"]),
        names=values.get("names", {}),
    )


def read_plans(folder: "str | pathlib.Path") -> "dict[str, Plan]":
    """Returns all plans of a folder by name."""
    return {path.stem: read_plan(path) for path in sorted(pathlib.Path(folder).glob("*.toml"))}


def _expanded(entry: Mapping) -> "list[Run]":
    over = entry.get("over", {})
    runs = []
    for values in itertools.product(*over.values()):
        here = dict(zip(over, values, strict=True))
        filled = {key: _filled(value, here) for key, value in entry.items() if key != "over"}
        runs.append(Run(**filled | {k: tuple(filled.get(k, ())) for k in ("flags", "quick")}))
    return runs


def _filled(value, here: Mapping):
    if isinstance(value, Mapping):
        return {key: _filled(inner, here) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, here) for inner in value]
    for key, inner in here.items() if isinstance(value, str) else ():
        value = value.replace(f"{{{key}}}", str(inner))
    return value


def _check_keys(values: Mapping, what: str, where: str, needed: tuple) -> None:
    unknown, missing = sorted(set(values) - _KEYS[what]), sorted(set(needed) - set(values))
    if unknown:
        _refuse(where, f"some of {', '.join(sorted(_KEYS[what]))}", unknown)
    if missing:
        _refuse(where, f"{' and '.join(missing)} too", sorted(values))


def _check_languages(words, where: str) -> None:
    if not isinstance(words, Mapping) or set(words) != set(LANGUAGES):
        _refuse(where, f"a text for each of {', '.join(LANGUAGES)}", words)


def _refuse(where: str, expected: str, received) -> None:
    raise ValueError(f"{where} is wrong. Expected {expected}. Received {received!r}.")
