"""Families whose members are files that register themselves, and whose names need no import.

    BOUNDS = Registry("tfp_vae.objectives", "bound")

    @BOUNDS.register("iwae", "importance-weighted bound of K draws")
    class IWAE(Bound): ...

`list(BOUNDS)` reads the names from the text of the room's files, so that a program knows the values
of its flags before TensorFlow is imported; `BOUNDS["iwae"]` imports the room. A class of a user
registers itself by the same decorator and is found by the same name.
"""

import ast
import contextlib
import functools
import importlib
import pathlib
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tfp_vae.arguments import check_choice

_HERE = pathlib.Path(__file__).parent


class Registry(Mapping):
    """The members of a family by name, in the order of `first`, then of the alphabet.

    Args:
        room: the package whose files hold the members, such as "tfp_vae.objectives".
        what: one member in words, for errors.
        first: names to list before the others.
    """

    def __init__(self, room: str, what: str, first: "tuple[str, ...]" = ()):
        self.room, self.what, self._first = room, what, first
        self._members: dict[str, Any] = {}
        self._meanings: dict[str, str] = {}
        self._groups: dict[str, str] = {}

    def register(self, name: str, meaning: str = "", group: str = "") -> Callable:
        """Returns a decorator that registers a class (or a function) under `name`.

        Args:
            name: of the member, by which flags and recipes find it.
            meaning: what it is, in words.
            group: of members that not everybody can use, see `group`.

        Raises:
            ValueError: if another member has the name.
        """

        def decorate(member):
            known = self._members.get(name)
            # The same class again is a module that was reloaded, as in a notebook.
            if known is not None and getattr(known, "__qualname__", 0) != member.__qualname__:
                raise ValueError(
                    f"There are two of the name {name!r}. Expected a new name for a {self.what}. "
                    f"Received {member!r} beside {known!r}."
                )
            self._members[name] = member
            self._meanings[name], self._groups[name] = meaning, group
            return member

        return decorate

    @contextlib.contextmanager
    def temporary(self) -> "Iterator[Registry]":
        """A context that takes back what is registered in it, as for a test or in a notebook."""
        before = set(self._members)
        try:
            yield self
        finally:
            # A member of the room that was imported meanwhile stays: it is not imported again.
            for name in self._members.keys() - before - _scan(self.room).keys():
                del self._members[name], self._meanings[name], self._groups[name]

    @property
    def meanings(self) -> "dict[str, str]":
        """What each member is, in words, by name."""
        known = {name: meaning for name, (meaning, _) in _scan(self.room).items()} | self._meanings
        return {name: known[name] for name in self}

    def group(self, name: str = "") -> "tuple[str, ...]":
        """Returns the names of the members of a group in order; of those in none by default."""
        known = {each: group for each, (_, group) in _scan(self.room).items()} | self._groups
        return tuple(each for each in self if known[each] == name)

    def check(self, name: str) -> str:
        """Returns `name`; raises `ValueError` if no member has it, with the nearest one."""
        check_choice(self.what, name, self)
        return name

    def __getitem__(self, name: str) -> Any:
        self.check(name)
        if name not in self._members:
            load_room(self.room)
        return self._members[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._members or name in _scan(self.room))

    def __iter__(self) -> Iterator[str]:
        names = {**_scan(self.room), **self._meanings}
        yield from (name for name in self._first if name in names)
        yield from sorted(name for name in names if name not in self._first)

    def __len__(self) -> int:
        return len(set(_scan(self.room)) | set(self._members))

    def complete(self, names: "list[str]") -> None:
        """Adds all classes that the room registers to `names`, the `__all__` of the room.

        Called at the end of the room's `__init__`, it imports the files that nobody named there, so
        that a new member is one new file.
        """
        module = load_room(self.room)
        for member in self._members.values():
            if member.__module__.startswith(self.room) and member.__name__ not in names:
                setattr(module, member.__name__, member)
                names.append(member.__name__)


def load_room(room: str) -> types.ModuleType:
    """Imports all files of a package and returns it."""
    for path in _files(room):
        relative = path.relative_to(_folder(room)).with_suffix("")
        importlib.import_module(".".join([room, *relative.parts]))
    return importlib.import_module(room)


def _folder(room: str) -> pathlib.Path:
    return _HERE.joinpath(*room.split(".")[1:])


def _files(room: str) -> "list[pathlib.Path]":
    return sorted(path for path in _folder(room).rglob("*.py") if path.stem != "__init__")


@functools.cache
def _scan(room: str) -> "dict[str, tuple[str, str]]":
    """Returns {name: (meaning, group)} of what a room registers, from the text of its files."""
    found: dict[str, tuple[str, str]] = {}
    texts = [path.read_text(encoding="utf-8") for path in _files(room)]
    # Parsing is most of what a program does before its flags are known: what has none is left.
    trees = [ast.parse(text) for text in texts if ".register(" in text or "Registry(" in text]
    owners = {name for tree in trees for name, of in _registries(tree) if of != room}
    for tree in trees:
        for node in tree.body:
            for call in getattr(node, "decorator_list", []):
                if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "register":
                    if getattr(getattr(call.func, "value", None), "id", "") in owners:
                        continue  # of a room inside this one
                    values = [a.value for a in call.args if isinstance(a, ast.Constant)]
                    words = [value for value in values if isinstance(value, str)]
                    if words and len(words) == len(values):
                        name, meaning, group = (*words, "", "")[:3]
                        found[name] = meaning, group
    return found


def _registries(tree: ast.Module) -> "list[tuple[str, str]]":
    """Returns (name, room) of the registries that a file defines."""
    found = []
    for node in tree.body:
        call = getattr(node, "value", None)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Registry" and call.args:
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            room = getattr(call.args[0], "value", "")
            found += [(target.id, room) for target in targets if isinstance(target, ast.Name)]
    return found
