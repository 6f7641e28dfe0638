"""Figures of members: docs/figures/FAMILY.py draws any member of it from its code.

A figure is kept by a digest of what made it: the text of the member, of what this imports, and of
what draws. So a second build draws only what changed, and a member that registers itself is drawn
as its family is.
"""

import ast
import functools
import hashlib
import importlib
import json
import pathlib
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from docs.pages import api
from docs.pages.text import LANGUAGES
from tfp_vae.files import replacing

FOLDER = pathlib.Path(__file__).parents[1] / "figures"
_DPI = 100


class Drawn(NamedTuple):
    """A figure that is drawn: files in a folder, and what is seen, by language."""

    files: "dict[str, str]"
    alt: "dict[str, str]"


def picture(family: str, name: str) -> Any:
    """Returns the `Picture` of a member.

    Raises:
        ValueError: naming the member and the file that could not draw it.
    """
    module = importlib.import_module(f"docs.figures.{family}")
    try:
        return module.picture(name)
    except Exception as error:
        raise ValueError(
            f"The figure of {family} {name} cannot be drawn. Expected that "
            f"docs/figures/{family}.py can make it. Received {type(error).__name__}: {error}"
        ) from error


def paint(made: Any, language: str, path: pathlib.Path) -> None:
    """Writes a `Picture` in a language; without a font that has its letters, in English."""
    import matplotlib

    from tfp_vae.plots import style
    from tfp_vae.plots.figure import Figure

    font = style.chinese_font() if language == "zh" else None
    settings = {"axes.unicode_minus": False, "font.size": 9}
    if font:
        settings["font.family"] = ["DejaVu Sans", font]
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=made.size, layout="constrained")
        made.paint(figure, lambda english, chinese: chinese if font else english)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=_DPI, metadata={"Software": None})


def draw(
    wanted: "Iterable[tuple[str, str]]", folder: pathlib.Path, new: bool = True
) -> "dict[tuple[str, str], Drawn]":
    """Returns figures of members, drawn into a folder where they are not there yet.

    Args:
        wanted: pairs (family, name).
        folder: that keeps them.
        new: whether to draw what is not there; otherwise it is left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found, seconds = {}, {}
    for family, name in wanted:
        stem = f"{family}-{name}-{digest(family, name)}"
        files = {language: f"{stem}-{language}.png" for language in LANGUAGES}
        words = folder / f"{stem}.json"
        if not words.exists():  # written last
            if not new:
                continue
            start = time.perf_counter()
            made = picture(family, name)
            for language in LANGUAGES:
                paint(made, language, folder / files[language])
            with replacing(words) as temporary:
                text = json.dumps(dict(zip(LANGUAGES, made.alt, strict=True)), ensure_ascii=False)
                temporary.write_text(text, encoding="utf-8")
            seconds[family] = seconds.get(family, 0.0) + time.perf_counter() - start
        found[family, name] = Drawn(files, json.loads(words.read_text(encoding="utf-8")))
    for family, taken in seconds.items():
        print(f"  figures of {family}: {taken:.1f} s", flush=True)
    used = {file for each in found.values() for file in each.files.values()}
    for path in folder.glob("*.png") if new else ():
        if path.name not in used:
            path.unlink()
            path.with_name(f"{path.stem.rpartition('-')[0]}.json").unlink(missing_ok=True)
    return found


@functools.cache
def digest(family: str, name: str) -> str:
    """Returns what stands for the text that a figure is drawn from."""
    import matplotlib

    from docs.pages import members
    from tfp_vae.plots import style

    module = members.members(family)[name][1]
    parts = [matplotlib.__version__, str(style.chinese_font())]
    parts.append(pathlib.Path(__file__).read_text(encoding="utf-8"))
    for path in sorted([*FOLDER.glob("*.py"), *FOLDER.glob("*.json")]):
        kept = path.suffix == ".json" and family == "methods"
        if path.stem in ("base", "tree", family) or kept or family == "models":
            parts.append(path.read_text(encoding="utf-8"))
    if module:
        known = api.modules()
        parts += [ast.unparse(known[each]) for each in sorted({module} | _imported(module))]
    text = "\0".join([family, name, *parts])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _imported(module: str) -> "set[str]":
    """Returns the modules of the package that one imports."""
    known, found = api.modules(), set()
    for node in ast.walk(known[module]):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & known.keys()
