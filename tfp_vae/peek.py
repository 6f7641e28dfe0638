"""Names that a module defines, read from its text: nothing is imported.

    names("training.SCHEDULES")  # ("constant", "cosine", "step"), TensorFlow is not there yet

A program knows so the values of its flags in a few milliseconds, and each is written in one place.
What is read: a tuple or a list of texts, the keys of a dict, the values of an enum, the members of
a `Registry`; and what such a thing is made of by `*other`, `tuple(other)` or an import.
"""

import ast
import functools
import pathlib

from tfp_vae.registry import Registry

_HERE = pathlib.Path(__file__).parent


def names(path: str) -> "tuple[str, ...]":
    """Returns the texts in a constant of this package.

    Args:
        path: where it is, without the package, such as "data.NAMES".

    Raises:
        LookupError: if there is no such constant, or none that can be read.
    """
    module, _, name = path.rpartition(".")
    return tuple(_read(f"tfp_vae.{module}", name))


def registry(path: str) -> Registry:
    """Returns a `Registry` of this package, of which names, meanings and groups are known.

    Args:
        path: where it is, such as "distributions.heads.HEADS".

    Raises:
        LookupError: if there is none.
    """
    module, _, name = path.rpartition(".")
    module, node = _value(f"tfp_vae.{module}", name)
    if not _is_registry(node):
        raise LookupError(f"{path} is not a registry. Expected one. Received {ast.unparse(node)}.")
    return _registry(module, node)


def number(path: str) -> int:
    """Returns the number that a constant of this package is, such as "export.DEFAULT_SAMPLES"."""
    (found,) = names(path)
    return int(found)


@functools.cache
def _body(module: str) -> "list[ast.stmt]":
    place = _HERE.joinpath(*module.split(".")[1:])
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    if not file.is_file():
        raise LookupError(f"There is no module {module}. Expected one. Received its name.")
    found = []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        # What stands under `if TYPE_CHECKING:` is what a room of late imports has.
        found += node.body if isinstance(node, ast.If) else [node]
    return found


def _value(module: str, name: str) -> "tuple[str, ast.AST]":
    """Returns the module that defines a name and what it is there: a value or a class."""
    for node in _body(module):
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        if any(getattr(target, "id", None) == name for target in targets):
            return module, node.value
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _value(node.module, alias.name)
    raise LookupError(f"{module} has no {name}. Expected a constant. Received its name.")


def _read(module: str, name: str) -> "list[str]":
    return _texts(*_value(module, name))


def _is_registry(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Registry"


def _registry(module: str, node: ast.Call) -> Registry:
    options = {each.arg: _argument(module, each.value) for each in node.keywords}
    return Registry(*(_argument(module, each) for each in node.args), **options)


def _texts(module: str, node: ast.AST) -> "list[str]":
    if isinstance(node, ast.ClassDef):
        assigned = (part.value for part in node.body if isinstance(part, ast.Assign))
        return [value.value for value in assigned if isinstance(value, ast.Constant)]
    if isinstance(node, ast.Constant):
        return [node.value]
    if isinstance(node, ast.Starred):
        return _texts(module, node.value)
    if isinstance(node, ast.Dict):
        return [text for key in node.keys for text in _texts(module, key)]
    if isinstance(node, ast.Tuple | ast.List):
        return [text for each in node.elts for text in _texts(module, each)]
    if isinstance(node, ast.Name):
        return _read(module, node.id)
    if isinstance(node, ast.Attribute):
        return _read(_imported(module, node.value.id), node.attr)
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("tuple", "list"):
        return _texts(module, node.args[0])
    if _is_registry(node):
        return list(_registry(module, node))
    raise LookupError(
        f"A constant of {module} cannot be read from its text. Expected texts, or what is made of "
        f"them. Received {ast.unparse(node)}."
    )


def _argument(module: str, node: ast.AST) -> "str | tuple[str, ...]":
    texts = _texts(module, node)
    return tuple(texts) if isinstance(node, ast.Tuple) else texts[0]


def _imported(module: str, alias: str) -> str:
    """Returns which module a name stands for in another one."""
    for node in _body(module):
        for each in getattr(node, "names", []):
            if (each.asname or each.name) == alias:
                return f"{node.module}.{each.name}"
    raise LookupError(f"{module} imports no {alias}. Expected an import. Received its name.")
