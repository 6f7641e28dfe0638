"""The house keeps its order: a room imports only rooms listed above it, and nothing of Keras 2."""

import ast
import functools
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
ROOMS = [
    "version",
    "backend",
    "files",
    "processor",
    "reading",
    "cells",
    "arguments",
    "registry",
    "peek",
    "extras",
    "notebooks",
    "randomness",
    "keras_private",
    "probability",
    "data",
    "networks",
    "distributions",
    "layers",
    "objectives",
    "optimizers",
    "conformal",
    "models",
    "methods",
    "training",
    "evaluation",
    "report",
    "plots",
    "codec",
    "studies",
    "comparison",
    "export",
    "sklearn",
    "testing",
]
FILES = sorted((ROOT / "tfp_vae").rglob("*.py"))


@functools.cache
def _tree(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _room(path: pathlib.Path) -> str:
    return path.relative_to(ROOT / "tfp_vae").with_suffix("").parts[0]


def _imports(path: pathlib.Path) -> set[str]:
    found = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tfp_vae"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_imports_only_rooms_above_it(path):
    room = _room(path)
    if room == "__init__":
        return
    assert room in ROOMS, f"{room} has no place in the house"
    allowed = ROOMS[: ROOMS.index(room) + 1]
    assert _imports(path) <= set(allowed)


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.py")), ids=lambda p: p.name)
def test_experiments_are_thin(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 160
    if path.name != "__init__.py":  # which only starts TensorFlow, quietly
        assert not re.search(r"import (numpy|tensorflow|matplotlib)\b", text)


def test_nothing_of_keras_2_is_used():
    pattern = re.compile(r"\b(tf_keras|tfp\.layers|tf\.keras)\b")
    for path in [*FILES, *(ROOT / "experiments").glob("*.py")]:
        assert not pattern.search(path.read_text(encoding="utf-8")), path


def test_public_names_exist_and_are_all_listed():
    import tfp_vae

    for name in tfp_vae.__all__:
        assert hasattr(tfp_vae, name)
    for room in ("data", "decoders", "encoders", "heads", "networks", "objectives", "priors"):
        module = getattr(tfp_vae, room)
        for name in getattr(module, "__all__", []):
            assert hasattr(module, name)


def _at_once(body: list[ast.stmt]) -> set[str]:
    """Returns the modules that are imported with a file, not only when something is called."""
    found = set()
    for node in body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            found |= _at_once(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in ("body", "orelse", "handlers", "finalbody"):
                found |= _at_once(getattr(node, part, []))
    return found


def test_importing_a_room_loads_neither_plots_nor_data_sets():
    heavy = re.compile(r"(matplotlib|sklearn|tensorflow_datasets|PIL|tfp_vae\.plots)(\.|$)")
    loads = {str(path.relative_to(ROOT / "tfp_vae")): _at_once(_tree(path).body) for path in FILES}
    # That of plots/figure.py shows itself in a notebook.
    assert [p for p, names in loads.items() if any("matplotlib.figure" in n for n in names)] == [
        "plots/figure.py"
    ]
    for path, names in loads.items():
        if not path.startswith(("plots/", "studies/", "sklearn/")):
            assert not {name for name in names if heavy.match(name)}, path


def _private_names(path: pathlib.Path, stored: bool) -> set[str]:
    """Returns the private names that a file defines, or those that it reads from objects."""
    found = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) == stored:
            found.add(node.attr)
        elif stored and isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif stored and isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return {name for name in found if name.startswith("_") and not name.startswith("__")}


@pytest.mark.always(reason="nothing else looks")
def test_private_names_of_keras_and_tensorflow_are_used_in_one_file():
    private = ROOT / "tfp_vae" / "keras_private.py"
    others = [path for path in FILES if path != private]
    kept = _private_names(private, False) | _private_names(private, True)
    assert "_flatten_layers" in kept
    ours = set().union(*(_private_names(path, True) for path in others)) | {"_replace"}
    for path in others:
        used = _private_names(path, False) | _private_names(path, True)
        assert not used & kept, path
        assert used <= ours, path
        assert not re.search(
            r"^\s*(from|import) (keras\.src|tensorflow\.python)\b",
            path.read_text(encoding="utf-8"),
            re.MULTILINE,
        ), path


def test_no_two_files_of_tests_have_the_same_name():
    """Pytest imports a file by its bare name, so the second of a pair is not collected."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)
