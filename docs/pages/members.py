"""A page for each member of each family, from the registry and the docstring of its file.

A new member brings its page with its file. What a docstring does not say stands in
docs/members/FAMILY.toml, a table for each member:

    [name]
    source = "authors, title, where and when, equation"   # "own" for what is from nowhere else
    formula = 'LaTeX'
    like = "other"            # what is not said here is that of another member
    [name.what]               # and when, when_not, exports: each with en and zh
    en = "..."
    zh = "..."

What all members of a family have in common stands in docs/members/families.toml; `exports` of a
member is that of its family where it says nothing. `missing` says what is not there.
"""

import ast
import functools
import pathlib
import tomllib
from collections.abc import Mapping

from docs.pages import api
from docs.pages.figures import Drawn
from docs.pages.text import LANGUAGES, docstring, escape, table, word
from tfp_vae import peek

FOLDER = pathlib.Path(__file__).parents[1] / "members"
# The families: their registry, or the room whose public classes are the members.
FAMILIES = {
    "models": ("models", {"en": "Models", "zh": "模型"}),
    "kinds": ("methods.vae_kinds.VAE_KINDS", {"en": "Kinds of VAE", "zh": "VAE 的种类"}),
    "bounds": ("objectives.BOUNDS", {"en": "Bounds", "zh": "下界"}),
    "priors": ("distributions.priors.PRIORS", {"en": "Priors of latents", "zh": "隐变量先验"}),
    "posteriors": ("distributions.encoders.ENCODERS", {"en": "Posteriors", "zh": "变分后验"}),
    "codes": ("distributions.codes.CODES", {"en": "Discrete latents", "zh": "离散隐变量"}),
    "code_priors": (
        "distributions.code_priors.CODE_PRIORS",
        {"en": "Priors of codes", "zh": "编码的先验"},
    ),
    "networks": ("methods.vae_networks.VAE_NETWORKS", {"en": "Networks", "zh": "网络"}),
    "heads": ("distributions.heads.HEADS", {"en": "Heads (likelihoods)", "zh": "输出头（似然）"}),
    "missingness": (
        "distributions.missingness.MISSINGNESS",
        {"en": "Reasons for missing cells", "zh": "缺失的原因"},
    ),
    "layers": ("layers", {"en": "Bayesian layers", "zh": "贝叶斯层"}),
    "weight_priors": ("layers.priors.WEIGHT_PRIORS", {"en": "Priors of weights", "zh": "权重先验"}),
    "methods": ("methods.weights.METHODS", {"en": "Weight methods", "zh": "权重方法"}),
    "curvatures": (
        "models.curvatures.STRUCTURES",
        {"en": "Curvatures (Laplace)", "zh": "曲率（拉普拉斯近似）"},
    ),
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
    "figure": {"en": "Figure", "zh": "图"},
    "when": {"en": "When", "zh": "何时用"},
    "when_not": {"en": "When not", "zh": "何时不用"},
    "exports": {"en": "Exports", "zh": "导出"},
    "call": {"en": "Call", "zh": "调用"},
    "from": {"en": "Where it is from", "zh": "出处"},
    "docs": {"en": "From its docstring", "zh": "文档字符串"},
}
# Facts in both languages, and those that are the same text in both.
_IN_WORDS = ("what", "when", "when_not", "exports")
_AS_THEY_ARE = ("source", "formula")
# What a method of a head is for; a class has those that it or a base of it defines.
_ABILITIES = {
    "steps": {"en": "The web page draws its mean.", "zh": "网页可画出它的均值。"},
    "tables": {
        "en": "Its probabilities are a table: a codec can use it where values are pixels.",
        "zh": "各取值的概率可列成表：取值是像素时，编解码器可用。",
    },
    "fisher_root": {
        "en": "Laplace and SNGP know its Fisher information.",
        "zh": "拉普拉斯近似和 SNGP 知道它的费希尔信息。",
    },
    "expected_log_prob": {
        "en": "A last layer can be integrated out of it (`DenseDeterministic`).",
        "zh": "可以对最后一层解析积分（`DenseDeterministic`）。",
    },
}
_OWN = {"en": "A part of this package alone.", "zh": "本包自有。"}
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
def _read(name: str) -> "dict[str, dict]":
    path = FOLDER / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def facts(family: str) -> "dict[str, dict]":
    """Returns what docs/members says of the members of a family."""
    found = _read(family)
    return {name: {**found.get(own.get("like"), {}), **own} for name, own in found.items()}


def of_family(family: str) -> dict:
    """Returns what the members of a family have in common: `about`, and `exports` if they have."""
    return _read("families").get(family, {})


def missing(family: str) -> "list[str]":
    """Returns what is not said of a family and its members, a line for each with its cure."""
    found = []
    if not _in_words(of_family(family).get("about")):
        found.append(f"{family} has no `about` in en and zh: add it to docs/members/families.toml.")
    known = facts(family)
    for name in members(family):
        fact = known.get(name, {})
        lacks = [each for each in _AS_THEY_ARE if not fact.get(each)]
        said = {"exports": _exports(family, name)} | fact
        lacks += [each for each in _IN_WORDS if not _in_words(said.get(each))]
        if lacks:
            found.append(
                f"{family} {name} has no {', '.join(lacks)}: add what is missing to [{name}] in "
                f"docs/members/{family}.toml, words in en and zh."
            )
    return found


def _in_words(said: "dict | None") -> bool:
    return bool(said) and all(said.get(language) for language in LANGUAGES)


def _exports(family: str, name: str) -> "dict | None":
    """Returns what a member exports to: what is written, and of a head what its class can do."""
    said = facts(family).get(name, {}).get("exports") or of_family(family).get("exports")
    node = members(family)[name][2]
    if not said or family != "heads" or not isinstance(node, ast.ClassDef):
        return said
    able = _abilities(node.name)
    lines = [text for ability, text in _ABILITIES.items() if ability in able]
    return {
        language: "\n".join([said[language], "", *(f"- {line[language]}" for line in lines)])
        for language in LANGUAGES
    }


def _abilities(name: str) -> "set[str]":
    """Returns the abilities of a head: those of its bases, and what it defines or takes back."""
    for module, tree in api.modules().items():
        if not module.startswith("tfp_vae.distributions.heads.") or module.endswith(".base"):
            continue
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                bases = [_abilities(ast.unparse(base)) for base in node.bases]
                found = set().union(*bases) | {getattr(each, "name", "") for each in node.body}
                # `expected_log_prob = Head.expected_log_prob`, which only raises.
                taken = [getattr(each, "targets", []) for each in node.body]
                back = {getattr(each, "id", "") for targets in taken for each in targets}
                return found - back
    return set()


def pages(
    language: str, drawn: "Mapping[tuple[str, str], Drawn] | None" = None
) -> "dict[str, str]":
    """Returns {page: text}: one for each member, one for each family, a list of families.

    Args:
        language: of the pages.
        drawn: of `figures.draw`: without it the pages have no figures.
    """
    found, drawn = {}, drawn or {}
    index = [f"# {TITLES[language]}", "", "```{toctree}", ":maxdepth: 2", ""]
    for family, (_, title) in FAMILIES.items():
        index.append(f"{family}/index")
        known = members(family)
        rows = [
            (f"[`{name}`]({name}.md)", escape(_meaning(family, name, language))) for name in known
        ]
        head = (_WORDS["by name"][language], _WORDS["what"][language])
        about = of_family(family).get("about", {}).get(language, "")
        text = [f"# {title[language]}", "", about, "", table(head, rows)]
        text += ["```{toctree}", ":hidden:", ""]
        found[f"members/{family}/index.md"] = "\n".join([*text, *known, "```", ""])
        for name in known:
            found[f"members/{family}/{name}.md"] = _page(
                family, name, language, drawn.get((family, name))
            )
    found["members/index.md"] = "\n".join([*index, "```", ""])
    return found


def _meaning(family: str, name: str, language: str) -> str:
    fact = facts(family).get(name, {}).get("what", {})
    meaning, module, node = members(family)[name]
    said = fact.get(language) or meaning or (api.ast.get_docstring(node) or "" if node else "")
    if not said and module:
        said = ast.get_docstring(api.modules()[module]) or ""
    return " ".join(said.split("\n\n")[0].split())


def _page(family: str, name: str, language: str, drawn: "Drawn | None") -> str:
    _, module, node = members(family)[name]
    fact = facts(family).get(name, {})
    lines = [f"# {escape(name)}", "", escape(_meaning(family, name, language)), ""]
    if "formula" in fact:
        lines += [f"## {_WORDS['formula'][language]}", "", f"$$\n{fact['formula']}\n$$", ""]
    if drawn is not None:
        said, file = escape(drawn.alt[language]), f"../figures/{drawn.files[language]}"
        lines += [f"## {_WORDS['figure'][language]}", "", f"![{said}]({file})", "", said, ""]
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
    said = (_exports(family, name) or {}).get(language)
    lines += [f"## {_WORDS['exports'][language]}", "", *([said, ""] if said else [])]
    lines += [_EXPORTS[language], ""]
    if "source" in fact:
        from_ = _OWN[language] if fact["source"] == "own" else f"{escape(fact['source'])}."
        lines += [f"## {_WORDS['from'][language]}", "", from_, ""]
    source = f"`{module.replace('.', '/')}.py`" if module else ""
    return "\n".join([*lines, f"## {word('source', language)}", "", source, ""])
