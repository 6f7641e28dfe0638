"""API reference from the text of the package: every public name of every room."""

import ast
import functools
import pathlib

from docs.pages.text import docstring, escape, word

PACKAGE = pathlib.Path(__file__).parents[2] / "tfp_vae"
TITLES = {"en": "API reference", "zh": "API 参考"}


@functools.cache
def modules() -> "dict[str, ast.Module]":
    """Returns {dotted name: tree} of all modules without a private name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = list(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        if not any(part.startswith("_") or part == "programs" for part in parts):
            found[".".join(parts)] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def rooms() -> "dict[str, list[str]]":
    """Returns {room: its modules}; single files beside the rooms are rooms too."""
    found: dict[str, list[str]] = {}
    for name in modules():
        found.setdefault(".".join(name.split(".")[:2]), []).append(name)
    return found


def public(tree: ast.Module) -> "list[ast.stmt]":
    """Returns the classes and functions of a module that have a public name."""
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return [n for n in tree.body if isinstance(n, kinds) and not n.name.startswith("_")]


def pages(language: str) -> "dict[str, str]":
    """Returns {page: text}: one for each room, and a list of them."""
    found = {}
    for room, names in rooms().items():
        found[f"api/{room}.md"] = _room(room, names, language)
    note = word("English text", language)
    index = [f"# {TITLES[language]}", "", note, "", "```{toctree}", ":maxdepth: 1", ""]
    found["api/index.md"] = "\n".join([*index, *rooms(), "```", ""])
    return found


def _room(room: str, names: "list[str]", language: str) -> str:
    lines = [f"# {escape(room)}", "", word("English text", language), ""]
    for name in names:
        tree = modules()[name]
        own = public(tree)
        text = docstring(ast.get_docstring(tree), language)
        if name != room:
            if not own:
                continue
            lines += [f"## {escape(name)}", ""]
        lines += [text, *_constants(tree)]
        for node in own:
            lines += _member(node, language, "##" if name == room else "###")
    return "\n".join(lines)


def constants(tree: ast.Module) -> "list[str]":
    """Returns the public names that a module assigns."""
    nodes = [n for n in tree.body if isinstance(n, ast.Assign | ast.AnnAssign)]
    places = [t for n in nodes for t in getattr(n, "targets", [getattr(n, "target", None)])]
    names = [n.id for place in places for n in ast.walk(place) if isinstance(n, ast.Name)]
    return [name for name in names if not name.startswith("_")]


def _constants(tree: ast.Module) -> "list[str]":
    """Returns lines for the registries and other constants with a public name."""
    found = [f"- `{name}`" for name in constants(tree)]
    return [*found, ""] if found else []


def signature(node: ast.AST) -> str:
    """Returns how a function or a class is called."""
    if isinstance(node, ast.ClassDef):
        init = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
        if not init:
            return node.name
        return f"{node.name}({_arguments(init[0], own=True)})"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({_arguments(node)}){returns}".replace("'", "")


def _arguments(node: ast.FunctionDef, own: bool = False) -> str:
    text = ast.unparse(node.args)
    return text.removeprefix("self").removeprefix(", ") if own or text.startswith("self") else text


def _member(node: ast.AST, language: str, level: str) -> "list[str]":
    lines = [f"{level} {escape(node.name)}", "", "```python", signature(node), "```", ""]
    lines += [docstring(ast.get_docstring(node), language), ""]
    if isinstance(node, ast.ClassDef):
        for part in node.body:
            if not isinstance(part, ast.FunctionDef) or part.name.startswith("_"):
                continue
            text = docstring(ast.get_docstring(part), language)
            if text:
                shown = text.replace("\n", "\n  ").rstrip()
                lines += [f"- `{signature(part)}`", "", f"  {shown}", ""]
    return lines
