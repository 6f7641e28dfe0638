"""The report of a comparison as one HTML file that needs no network and asks for nothing."""

import base64
import struct
from collections.abc import Mapping

from tfp_vae.report import grids, sealed
from tfp_vae.report.comparison import validate
from tfp_vae.report.texts import Texts, duration
from tfp_vae.report.verdict import state_verdict

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
STAR = "★"


def render_html(report: Mapping, figures: "Mapping[str, bytes]", language: str = "en") -> str:
    """Returns the report as HTML, with style, script and pictures inside.

    Args:
        report: see `comparison`.
        figures: {file name: bytes of a PNG} of each figure of the report. A picture X-dark.png
            stands for X.png where the reader's screen is dark; without one the picture has a light
            card behind it.
        language: one of `sealed.LANGUAGES`.

    Raises:
        ValueError: if the report has another form, or a picture is missing, unknown or no PNG.
    """
    validate(report)
    texts = Texts(language)
    check_pictures(report, figures)
    return sealed.render(
        __package__,
        "page.html",
        ["page.css"],
        ["page.js"],
        language,
        t=texts.words["page"],
        verdict=state_verdict(report, language),
        overview=grids.overview(report, texts),
        figures=[_figure(entry, figures, texts) for entry in ordered_figures(report)],
        tasks=_tasks(report, texts),
        costs=grids.costs(report, texts),
        trainings=trainings(report, texts),
        failures=failures(report, texts),
        command=report["command"],
        reproduce=reproduce(report, texts),
        **sentences(report, texts),
    )


# Pictures from this width on, in pixels, span the page.
_WIDE = 1000


def check_pictures(report: Mapping, figures: "Mapping[str, bytes]") -> None:
    """Checks that there is a PNG for each figure of the report, and no other.

    Raises:
        ValueError: naming the picture.
    """
    wanted = [figure["file"] for figure in report["figures"]]
    known = {*wanted, *map(_dark, wanted)}
    if not set(wanted) <= set(figures) or not set(figures) <= known:
        raise ValueError(
            f"Pictures and report do not fit. Expected {wanted}, each with a -dark one or without. "
            f"Received {list(figures)}."
        )
    for name, content in figures.items():
        if not content.startswith(_SIGNATURE) or len(content) < 33:
            raise ValueError(
                f"{name} is no picture. Expected the bytes of a PNG. Received {content[:8]!r}..."
            )


def ordered_figures(report: Mapping) -> "list[Mapping]":
    """Returns the figures in the order of the tasks."""
    return sorted(report["figures"], key=lambda figure: grids.TASKS.index(figure["task"]))


def caption_of(figure: Mapping) -> str:
    """Returns what is said below a figure: its "caption" if it has one, else its name."""
    return figure.get("caption") or figure["name"].replace("_", " ")


def sentences(report: Mapping, texts: Texts) -> "dict[str, str]":
    """Returns the sentences around the tables."""
    dataset, settings = report["dataset"], report["settings"]
    return {
        "heading": texts.say("page", "heading", data=dataset["title"]),
        "facts": texts.say(
            "page",
            "facts",
            num_models=len(report["models"]),
            seeds=settings["seeds"],
            budget=texts.words["budgets"][settings["budget"]],
            match=texts.words["matches"][settings["match"]],
            **{n: f"{dataset[n]:,}" for n in ("num_train", "num_validation", "num_test")},
        ),
        "overview_note": texts.say("page", "overview_note", star=STAR),
        "costs_note": texts.say(
            "page", "costs_note", seconds=duration(report["seconds"]), machine=report["machine"]
        ),
    }


def trainings(report: Mapping, texts: Texts) -> "list[str]":
    """Returns a sentence per model: its learning rate, and how far its bound was optimised.

    The bound is that of models whose weights have a posterior, where it decides what a row of the
    tables is worth: predictions of a posterior that was stopped early may look better.
    """
    found = []
    for name, model in report["models"].items():
        said, end = [], model.get("training") or {}
        if model.get("learning_rate") is not None:
            said.append(texts.say("training", "rate", rate=f"{model['learning_rate']:g}"))
        if end.get("weight_kl") is not None:
            numbers = {"elbo": f"{end['elbo_at_end']:.3f}", "kl": f"{end['weight_kl']:,.1f}"}
            said.append(texts.say("training", "bound", **numbers))
            said.append(texts.say("training", "weight", weight=f"{end['kl_weight_at_end']:g}"))
        if end.get("elbo_gain") is not None:
            verb = "converged" if end["converged"] else "not_converged"
            said.append(texts.say("training", verb, gain=f"{end['elbo_gain']:+.3f}"))
        if end.get("collapsed"):
            said.append(texts.say("training", "collapsed"))
        if said:
            words = texts.words["lists"]["semicolon"].join(said)
            found.append(f"{texts.title('models', name)}: {words}")
    return found


def failures(report: Mapping, texts: Texts) -> "list[dict]":
    """Returns the failures with titles of models."""
    return [
        failure
        | {
            "model": texts.title("models", failure["model"]),
            "seed": "" if failure["seed"] is None else failure["seed"],
            "stage": texts.title("tasks", failure["stage"]),
        }
        for failure in map(dict, report["failures"])
    ]


def reproduce(report: Mapping, texts: Texts) -> "list[tuple[str, list]]":
    """Returns [(title, [(name, value)])] of what a repetition needs besides the command."""
    dataset = report["dataset"]
    shape = " × ".join(str(size) for size in dataset["shape"])
    data = [
        ("", f"{dataset['title']} ({dataset['name']})"),
        (texts.word("shape"), shape),
        (texts.word("digest"), dataset["digest"]),
    ]
    if dataset["num_classes"] is not None:
        data.insert(2, (texts.word("num_classes"), str(dataset["num_classes"])))
    settings = [(name, _plain(value)) for name, value in report["settings"].items()]
    versions = [(name, _plain(value)) for name, value in report["versions"].items()]
    return [
        (texts.word("data"), data),
        (texts.word("settings"), settings),
        (texts.word("versions"), versions),
    ]


def _plain(value) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return str(value)


def _tasks(report: Mapping, texts: Texts) -> "list[dict]":
    return [
        {
            "name": task,
            "title": texts.title("tasks", task),
            "note": texts.words["tasks"][task]["note"],
            "metrics": texts.words["lists"]["comma"].join(_metrics(report, task, texts)),
            "parts": [
                {"title": metric and texts.title("metrics", metric), "grid": grid}
                for metric, grid in found.items()
            ],
        }
        for task, found in grids.task_grids(report, texts).items()
    ]


def _metrics(report: Mapping, task: str, texts: Texts) -> "list[str]":
    metrics = dict.fromkeys(r["metric"] for r in report["results"] if r["task"] == task)
    return [texts.title("metrics", metric) for metric in metrics]


def _figure(figure: Mapping, pictures: "Mapping[str, bytes]", texts: Texts) -> dict:
    content, dark = pictures[figure["file"]], pictures.get(_dark(figure["file"]))
    width, height = struct.unpack(">II", content[16:24])  # of the header, which comes first
    return {
        "task": texts.title("tasks", figure["task"]),
        "caption": caption_of(figure),
        "alt": figure["alt"],
        "source": _inline(content),
        "dark": _inline(dark) if dark else "",
        "width": width,
        "height": height,
        "wide": width >= _WIDE,
    }


def _dark(file: str) -> str:
    return f"{file.removesuffix('.png')}-dark.png"


def _inline(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")
