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
BREAK = "\u200b"  # in a text: its line may end here
_OTHERS = tuple(language for language in sealed.LANGUAGES if language != "en")


def render_html(
    report: Mapping,
    figures: "Mapping[str, bytes]",
    language: str = "en",
    links: "Mapping[str, str] | None" = None,
) -> str:
    """Returns the report as HTML, with style, script and pictures inside.

    Args:
        report: see `comparison`.
        figures: {file name: bytes of a PNG} of each figure of the report. A picture X-dark.png
            stands for X.png where the reader's screen is dark; without one the picture has a light
            card behind it. A picture X.zh.png (X.zh-dark.png) stands for X.png on a Chinese page;
            a page that has to do without says that the words in its figures are English.
        language: one of `sealed.LANGUAGES`.
        links: {language: address} of the same report in other languages.

    Raises:
        ValueError: if the report has another form, or a picture is missing, unknown or no PNG.
    """
    validate(report)
    texts = Texts(language)
    check_pictures(report, figures)
    shown = ordered_figures(report)
    return sealed.render(
        __package__,
        "page.html",
        ["page.css"],
        ["page.js"],
        language,
        t=texts.words["page"],
        title=plain_heading(report, texts),
        languages=[
            (other, sealed.html_name(other), Texts(other).words["own_name"], address)
            for other, address in (links or {}).items()
        ],
        verdict=state_verdict(report, language),
        advised=grids.advised(report, texts),
        pairs=grids.pair_grids(report, texts),
        overview=grids.overview(report, texts),
        figures=[_figure(entry, figures, texts) for entry in shown],
        are_english=language != "en"
        and not all(picture_of(each["file"], language) in figures for each in shown),
        tasks=_tasks(report, texts),
        costs=grids.costs(report, texts),
        trainings=trainings(report, texts),
        failures=failures(report, texts),
        command=report["command"],
        reproduce=reproduce(report, texts),
        **sentences(report, texts),
    )


# Pictures from these widths on, in pixels, span the page, or are not shrunk on a phone: their
# letters would shrink with them.
_WIDE, _MIDDLE = 800, 520


def check_pictures(report: Mapping, figures: "Mapping[str, bytes]") -> None:
    """Checks that there is a PNG for each figure of the report, and no other.

    Raises:
        ValueError: naming the picture.
    """
    wanted = [figure["file"] for figure in report["figures"]]
    known = {picture_of(file, language) for file in wanted for language in ("en", *_OTHERS)}
    known |= set(map(_dark, known))
    if not set(wanted) <= set(figures) or not set(figures) <= known:
        raise ValueError(
            f"Pictures and report do not fit. Expected {wanted}, each with a -dark one or without. "
            f"Received {list(figures)}."
        )
    for name, content in figures.items():
        if not content.startswith(_SIGNATURE) or len(content) < 33:
            raise ValueError(
                f"{name} is not a picture. Expected the bytes of a PNG. Received {content[:8]!r}..."
            )


def ordered_figures(report: Mapping) -> "list[Mapping]":
    """Returns the figures in the order of the tasks."""
    return sorted(report["figures"], key=lambda figure: grids.TASKS.index(figure["task"]))


def picture_of(file: str, language: str) -> str:
    """Returns the file of a picture whose words are of a language: X.png, X.zh.png."""
    return sealed.file_of(file.removesuffix(".png"), "png", language)


def plain_heading(report: Mapping, texts: Texts) -> str:
    """Returns the heading of the page without the places where its lines may end."""
    return sentences(report, texts)["heading"].replace(BREAK, "")


def caption_of(figure: Mapping, texts: Texts) -> str:
    """Returns what is said below a figure: its "caption" if it has one, else its name."""
    return _translated(figure, figure.get("caption"), texts) or figure["name"].replace("_", " ")


def alt_of(figure: Mapping, texts: Texts) -> str:
    """Returns what a figure shows, for those who cannot see it."""
    return _translated(figure, figure["alt"], texts)


def _translated(figure: Mapping, said: "str | None", texts: Texts) -> "str | None":
    """Returns what a report says of a figure; of a known figure in the language of the texts."""
    known = Texts("en").words["figures"].get(figure["name"])
    return texts.words["figures"][figure["name"]] if known and said == known else said


def sentences(report: Mapping, texts: Texts) -> "dict[str, str]":
    """Returns the sentences around the tables."""
    families = {model["family"] for model in report["models"].values()}
    heading = f"heading_{families.pop()}" if len(families) == 1 else "heading"
    return {
        "heading": texts.say("page", heading, data=_title(report["dataset"], texts)),
        "facts": _facts(report, texts),
        "overview_note": texts.say(
            "page", "overview_note_paired" if report["pairs"] else "overview_note", star=STAR
        ),
        "rule": rule_of(report, texts),
        "costs_note": texts.say(
            "page", "costs_note", seconds=duration(report["seconds"]), machine=report["machine"]
        ),
    }


def _facts(report: Mapping, texts: Texts) -> str:
    """Returns how many models, seeds and examples there are, and what models have alike."""
    dataset, settings = report["dataset"], report["settings"]
    said = texts.say(
        "page",
        "facts",
        num_models=len(report["models"]),
        seeds=settings["seeds"],
        budget=texts.words["budgets"][settings["budget"]],
        match=texts.words["matches"][settings["match"]],
        **{n: f"{dataset[n]:,}" for n in ("num_train", "num_validation", "num_test")},
    )
    own = [name for name in report["models"] if ":" in name]
    if not own or settings["match"] != "parameters":
        return said
    models = texts.words["lists"]["comma"].join(own)
    return texts.join([said, texts.say("page", "own_sizes", models=models)])


def rule_of(report: Mapping, texts: Texts) -> str:
    """Returns how the marks are made: of pairs of models where there are any, else by overlap."""
    rules = (["pairs_note"] if report["pairs"] else []) + ["rule_note"]
    return texts.join([texts.word(rule) for rule in rules])


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
        if model.get("rate_at_end"):
            said.append(texts.say("training", model["rate_at_end"]))
        if end.get("weight_kl") is not None:
            numbers = {"elbo": f"{end['elbo_at_end']:.3f}", "kl": f"{end['weight_kl']:,.1f}"}
            said.append(texts.say("training", "bound", **numbers))
            weight = end["kl_weight_at_end"]
            word = "temperature" if weight < 1 else "weight"
            said.append(texts.say("training", word, weight=f"{weight:g}"))
        if end.get("posterior_elbo") is not None:
            numbers = {"elbo": f"{end['posterior_elbo']:.3f}", "kl": f"{end['posterior_kl']:,.1f}"}
            said.append(texts.say("training", "bound", **numbers))
        if end.get("elbo_gain") is not None:
            verb = "converged" if end["converged"] else "not_converged"
            said.append(texts.say("training", verb, gain=f"{end['elbo_gain']:+.3f}"))
        if end.get("below_guess"):
            said.append(texts.say("training", "below_guess", guess=f"{end['guess']:.3f}"))
        if end.get("collapsed"):
            said.append(texts.say("training", "collapsed"))
        if model.get("collapsed_labels"):
            labels = texts.words["lists"]["comma"].join(map(str, model["collapsed_labels"]))
            said.append(texts.say("training", "collapsed_labels", labels=labels))
        if "rhat_max" in end:
            rhat = "∞" if end["rhat_max"] is None else f"{end['rhat_max']:.2f}"
            agree = "chains_agree" if end["chains_agree"] else "chains_differ"
            said.append(texts.say("training", agree, rhat=rhat))
        for key, form in (("effective_sample_size_min", ".0f"), ("energy_error", ".2g")):
            if end.get(key) is not None:
                said.append(texts.say("training", key, value=f"{end[key]:{form}}"))
        if end.get("divergences"):
            said.append(texts.say("training", "divergences", share=f"{end['divergences']:.1%}"))
        if end.get("chains_diverged"):
            said.append(texts.say("training", "chains_diverged", count=end["chains_diverged"]))
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


def _title(dataset: Mapping, texts: Texts) -> str:
    """Returns what the data are called in the language of the page, or in the report."""
    known = texts.title("data_sets", dataset["name"])
    return dataset["title"] if known == dataset["name"] else known


def reproduce(report: Mapping, texts: Texts) -> "list[tuple[str, list]]":
    """Returns [(title, [(name, value)])] of what a repetition needs besides the command."""
    dataset = report["dataset"]
    shape = " × ".join(str(size) for size in dataset["shape"])
    data = [
        ("", f"{_title(dataset, texts)} ({dataset['name']})"),
        (texts.word("shape"), shape),
        (texts.word("digest"), dataset["digest"]),
    ]
    if dataset["num_classes"] is not None:
        names = texts.words["lists"]["comma"].join(dataset.get("class_names") or [])
        count = str(dataset["num_classes"])
        data.insert(2, (texts.word("num_classes"), f"{count}: {names}" if names else count))
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
    file = picture_of(figure["file"], texts.language)
    file = file if file in pictures else figure["file"]
    content, dark = pictures[file], pictures.get(_dark(file))
    width, height = struct.unpack(">II", content[16:24])  # of the header, which comes first
    return {
        "task": texts.title("tasks", figure["task"]),
        "caption": caption_of(figure, texts),
        "alt": alt_of(figure, texts),
        "source": _inline(content),
        "dark": _inline(dark) if dark else "",
        "width": width,
        "height": height,
        "size": "wide" if width >= _WIDE else "middle" if width >= _MIDDLE else "",
    }


def _dark(file: str) -> str:
    return f"{file.removesuffix('.png')}-dark.png"


def _inline(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")
