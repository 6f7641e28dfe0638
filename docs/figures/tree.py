"""A class among its bases and subclasses, of what is nothing to run, such as a base.

It is read from the text of the package.
"""

import ast
import functools

from docs.figures.base import ACCENT, INK, OTHER, Picture
from docs.pages import api


@functools.cache
def _classes() -> "dict[str, tuple[list[str], ast.ClassDef]]":
    """Returns {name: (names of its bases, its text)} of all public classes of the package."""
    found = {}
    for tree in api.modules().values():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
                found.setdefault(node.name, (bases, node))
    return found


def picture(name: str) -> Picture:
    """Returns the figure of a class: above it its bases, below it its subclasses, and its parts."""
    known = _classes()
    bases, node = known[name]
    below = sorted(n for n, (of, _) in known.items() if name in of)
    parts = [n.target.id for n in node.body if isinstance(n, ast.AnnAssign)]
    fields = [n for n in parts if not n.startswith("_")]
    methods = [n.name for n in node.body if isinstance(n, ast.FunctionDef)]
    methods = [n for n in dict.fromkeys(methods) if not n.startswith("_")]  # setters once
    rows = [(0, base, OTHER) for base in bases] + [(1, name, ACCENT)]
    rows += [(2, each, INK) for each in below]
    shown = fields + [f"{each}()" for each in methods]

    def paint(figure, say):
        left, right = figure.subplots(1, 2)
        for number, (depth, text, color) in enumerate(rows):
            left.text(0.02 + 0.12 * depth, -number, text, color=color, family="monospace",
                      va="center")  # fmt: skip
        left.set(ylim=(-max(len(rows), 4), 1))
        left.set_title(say("bases, class, subclasses", "基类、本类、子类"), fontsize=9)
        half = -(-len(shown) // 2)
        for number, text in enumerate(shown):
            right.text(0.02 + 0.5 * (number // max(half, 1)), -(number % max(half, 1)), text,
                       family="monospace", fontsize=8, va="center")  # fmt: skip
        right.set(ylim=(-max(half, 4), 1))
        right.set_title(say("what it has of its own", "自身的成员"), fontsize=9)
        for axes in (left, right):
            axes.axis("off")

    size = max(len(rows), -(-len(shown) // 2), 5)
    listed = ", ".join(shown[:6]) or "-"
    return Picture(
        paint,
        (
            f"{name} among the classes: bases {', '.join(bases) or '-'}; subclasses "
            f"{', '.join(below) or '-'}. Beside it {len(shown)} fields and methods of its own, "
            f"the first {listed}.",
            f"{name} 在类中的位置：基类 {', '.join(bases) or '-'}；子类 "
            f"{', '.join(below) or '-'}。旁边是它自身的 {len(shown)} 个字段与方法，"
            f"前几个为 {listed}。",
        ),
        (7.2, 0.6 + 0.24 * size),
    )
