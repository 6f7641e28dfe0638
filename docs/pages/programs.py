"""Programs and all their flags, from the flags themselves: TensorFlow is not imported."""

from docs.pages.text import escape, table
from experiments import __main__ as command
from experiments import completion, helping, presets

TITLES = {"en": "Programs", "zh": "程序"}
_HEAD = {
    "en": ("flag", "default", "meaning, values"),
    "zh": ("选项", "默认值", "含义与取值"),
}
_INTRO = {
    "en": "`tfp-vae PROGRAM --NAME=VALUE ...`, "
    "in the checkout `python -m experiments PROGRAM ...`. Presets, by `--preset=NAME`: {}.",
    "zh": "`tfp-vae PROGRAM --NAME=VALUE ...`；"
    "在源码目录里是 `python -m experiments PROGRAM ...`。"
    "预设用 `--preset=NAME` 选取：{}。选项的含义取自程序本身的英文说明。",
}


def pages(language: str) -> "dict[str, str]":
    """Returns {page: text}: one for each program, and a list of them."""
    known = command.programs()
    names = ", ".join(f"`{name}`" for name in presets.names())
    found = {}
    index = [f"# {TITLES[language]}", "", _INTRO[language].format(names), ""]
    index.append(table(_HEAD[language][:1] + _HEAD[language][2:], _links(known)))
    index += ["```{toctree}", ":hidden:", "", *known, "```", ""]
    found["programs/index.md"] = "\n".join(index)
    for name, what in known.items():
        rows = [_row(flag) for flag in completion.flags_of(name.replace("-", "_"))]
        text = [f"# {name}", "", escape(what), "", f"```text\ntfp-vae {name} --NAME=VALUE ...\n```"]
        found[f"programs/{name}.md"] = "\n".join([*text, "", table(_HEAD[language], rows)])
    return found


def _links(known: "dict[str, str]") -> "list[tuple[str, str]]":
    return [(f"[{name}]({name}.md)", escape(what)) for name, what in known.items()]


def _row(flag) -> "tuple[str, str, str]":
    default = (flag.default_as_str or "").strip("'")
    values = ", ".join(f"`{value}`" for value in helping.choices(flag))
    name = f"`--[no]{flag.name}`" if flag.boolean else f"`--{flag.name}`"
    text = escape(" ".join(helping.meaning(flag).split()))
    return name, f"`{default}`" if default else "", f"{text} {values}".strip()
