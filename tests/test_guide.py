"""The pages of the guide name what there is: objects of the package, programs, flags, values."""

import importlib
import pathlib
import re

import pytest

from experiments import __main__ as command
from experiments import completion, helping

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [
    *sorted((ROOT / "docs").glob("[ez][nh]/*.md")),
    *(ROOT / name for name in ("README.md", "README.zh-CN.md")),
]
SCRIPTS = {"all", "completion", "flagfile"}  # of no program
OPEN = {("scale", "poisson")}  # of train_bnn, where more than the choices is taken


@pytest.fixture(scope="module")
def flags():
    """Returns {flag: its choices in any program}."""
    found: dict[str, set] = {}
    for program in command.programs():
        for flag in completion.flags_of(program.replace("-", "_")):
            found.setdefault(flag.name, set()).update(helping.choices(flag))
            if flag.boolean:
                found.setdefault(f"no{flag.name}", set())
    return found


def wrong(text, flags):
    """Returns what a page names and nobody has: programs, flags, values of flags, objects."""
    programs = command.programs()
    lost = [each for each in re.findall(r"tfp-vae ([a-z][a-z-]+)", text) if each not in programs]
    for name, value in re.findall(r"(?<![\w-])--([a-z][a-z_]+)(?:=([\w.]+))?", text):
        if name not in flags:
            lost += [f"--{name}"] * (name not in SCRIPTS)
        elif value and flags[name] and value not in flags[name] and (name, value) not in OPEN:
            lost.append(f"--{name}={value}")
    for path in re.findall(r"\b(?:tv|tfp_vae)((?:\.\w+)+)", text):
        place = importlib.import_module("tfp_vae")
        for name in path[1:].split("."):
            if not hasattr(place, name):
                lost.append(f"tv{path}")
                break
            place = getattr(place, name)
    return lost + re.findall(r'objective="\w+"', text)  # which is an object, and no name


@pytest.mark.parametrize("path", PAGES, ids=lambda each: "/".join(each.parts[-2:]))
def test_what_a_page_of_the_guide_names_exists(path, flags):
    assert wrong(path.read_text(encoding="utf-8"), flags) == []


def test_what_does_not_exist_is_found(flags):
    text = 'tfp-vae fly, `--wings=2`, `--method=glue`, `tv.wings`, `objective="iwae"`; --method=vi'
    assert wrong(text, flags) == ["fly", "--wings", "--method=glue", "tv.wings", 'objective="iwae"']
