"""A page for each member of each family, from the registry and the docstring of its file.

A new member brings its page with its file. What a docstring does not say - the formula, when to
take it and when not, in both languages - may stand in docs/members/FAMILY.toml.
"""

import ast
import functools
import pathlib
import tomllib

from docs.pages import api
from docs.pages.text import docstring, escape, table, word
from tfp_vae import peek

FOLDER = pathlib.Path(__file__).parents[1] / "members"
# The families: their registry, or the room whose public classes are the members.
FAMILIES = {
    "models": ("models", {"en": "Models", "zh": "模型"}),
    "bounds": ("objectives.BOUNDS", {"en": "Bounds", "zh": "下界"}),
    "priors": ("distributions.priors.PRIORS", {"en": "Priors of latents", "zh": "隐变量先验"}),
    "posteriors": ("distributions.encoders.ENCODERS", {"en": "Posteriors", "zh": "变分后验"}),
    "heads": ("distributions.heads.HEADS", {"en": "Heads (likelihoods)", "zh": "输出头（似然）"}),
    "layers": ("layers", {"en": "Bayesian layers", "zh": "贝叶斯层"}),
    "weight_priors": ("layers.priors.WEIGHT_PRIORS", {"en": "Priors of weights", "zh": "权重先验"}),
    "methods": ("methods.weights.METHODS", {"en": "Weight methods", "zh": "权重方法"}),
    "gradients": (
        "objectives.gradients.GRADIENTS",
        {"en": "Gradient estimators", "zh": "梯度估计量"},
    ),
}
TITLES = {"en": "Models and their parts", "zh": "模型及其部件"}
_WORDS = {
    "by name": {"en": "By name", "zh": "名称"},
    "what": {"en": "What it is", "zh": "说明"},
    "formula": {"en": "Formula", "zh": "公式"},
    "when": {"en": "When", "zh": "何时用"},
    "when_not": {"en": "When not", "zh": "何时不用"},
    "exports": {"en": "Exports", "zh": "导出"},
    "call": {"en": "Call", "zh": "调用"},
    "docs": {"en": "From its docstring", "zh": "文档字符串"},
}
_EXPORTS = {
    "en": "`tfp-vae export --formats=... --verify` writes and tries it; what a format cannot hold "
    "is refused by name before anything is written.",
    "zh": "用 `tfp-vae export --formats=... --verify` 写出并检验；"
    "某种格式容纳不了的，在写任何文件之前按名称拒绝。",
}


@functools.cache
def members(family: str) -> "dict[str, tuple[str, str, ast.AST | None]]":
    """Returns {name: (meaning, module, its class or function)} of a family, in its order."""
    place = FAMILIES[family][0]
    room = f"tfp_vae.{place.rpartition('.')[0] if place.split('.')[-1].isupper() else place}"
    if not place.split(".")[-1].isupper():
        return {node.name: ("", module, node) for module, node in _exported(room)}
    registry = peek.registry(place)
    nodes = dict(_registered(registry.room))
    meanings = registry.meanings
    return {name: (meanings[name], *nodes.get(name, ("", None))) for name in registry}


def _exported(room: str) -> "list[tuple[str, ast.AST]]":
    """Returns the classes that a room exports, with the modules that they are in."""
    (names,) = [
        ast.literal_eval(node.value)
        for node in api.modules()[room].body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    ]
    found = []
    for module, tree in api.modules().items():
        if module.startswith(f"{room}."):
            own = [n for n in api.public(tree) if n.name in names and isinstance(n, ast.ClassDef)]
            found += [(module, node) for node in own]
    made = {node.name for _, node in found}
    # Classes that a file makes of parts (one for each rank and estimator) have one page, their own.
    for module, tree in api.modules().items():
        if module.startswith(f"{room}."):
            for node in tree.body:
                targets = getattr(node, "targets", [])
                for target in (getattr(each, "id", "") for each in targets):
                    if target in names and target not in made and target[:1].isupper():
                        found.append((module, ast.ClassDef(target, [], [], [], [])))
                        made.add(target)
    order = {name: place for place, name in enumerate(names)}
    return sorted(found, key=lambda pair: order[pair[1].name])


def _registered(room: str) -> "list[tuple[str, tuple[str, ast.AST]]]":
    found = []
    for module, tree in api.modules().items():
        if not module.startswith(f"{room}."):
            continue
        for node in ast.walk(tree):
            for call in getattr(node, "decorator_list", []):
                if getattr(getattr(call, "func", None), "attr", "") == "register":
                    found.append((call.args[0].value, (module, node)))
    return found


@functools.cache
def facts(family: str) -> "dict[str, dict]":
    """Returns what docs/members says of the members of a family."""
    path = FOLDER / f"{family}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def pages(language: str) -> "dict[str, str]":
    """Returns {page: text}: one for each member, one for each family, a list of families."""
    found = {}
    index = [f"# {TITLES[language]}", "", "```{toctree}", ":maxdepth: 2", ""]
    for family, (_, title) in FAMILIES.items():
        index.append(f"{family}/index")
        known = members(family)
        rows = [
            (f"[`{name}`]({name}.md)", escape(_meaning(family, name, language))) for name in known
        ]
        head = (_WORDS["by name"][language], _WORDS["what"][language])
        text = [f"# {title[language]}", "", table(head, rows), "```{toctree}", ":hidden:", ""]
        found[f"members/{family}/index.md"] = "\n".join([*text, *known, "```", ""])
        for name in known:
            found[f"members/{family}/{name}.md"] = _page(family, name, language)
    found["members/index.md"] = "\n".join([*index, "```", ""])
    return found


def _meaning(family: str, name: str, language: str) -> str:
    fact = facts(family).get(name, {}).get("what", {})
    meaning, module, node = members(family)[name]
    said = fact.get(language) or meaning or (api.ast.get_docstring(node) or "" if node else "")
    if not said and module:
        said = ast.get_docstring(api.modules()[module]) or ""
    return " ".join(said.split("\n\n")[0].split())


def _page(family: str, name: str, language: str) -> str:
    _, module, node = members(family)[name]
    fact = facts(family).get(name, {})
    lines = [f"# {escape(name)}", "", escape(_meaning(family, name, language)), ""]
    if "formula" in fact:
        lines += [f"## {_WORDS['formula'][language]}", "", f"$$\n{fact['formula']}\n$$", ""]
    for part in ("when", "when_not"):
        if part in fact:
            lines += [f"## {_WORDS[part][language]}", "", fact[part][language], ""]
    if node is not None:
        lines += [f"## {_WORDS['call'][language]}", "", f"`{module}`", ""]
        if isinstance(node, ast.FunctionDef) or node.body:
            lines += ["```python", api.signature(node), "```", ""]
        said = ast.get_docstring(node) if node.body else None
        text = docstring(said or ast.get_docstring(api.modules()[module]), language)
        lines += [
            f"## {_WORDS['docs'][language]}",
            "",
            word("English text", language),
            "",
            text,
            "",
        ]
    lines += [f"## {_WORDS['exports'][language]}", "", _EXPORTS[language], ""]
    source = f"`{module.replace('.', '/')}.py`" if module else ""
    return "\n".join([*lines, f"## {word('source', language)}", "", source, ""])
