"""Results and decisions: tables from the records, reasons from their pages."""

import pathlib
import re

from tfp_vae.report import plans, records

ROOT = pathlib.Path(__file__).parents[2]
RESULTS = ROOT / "experiments" / "results"
_INTRO = {
    "en": """# Results

`scripts/reproduce NAME` measures a table and writes its record: commands, seed, commit, versions,
machine, every figure with its error, seconds. This page is written from the records; what was not
measured with this version has its command here and no number. Log-probabilities are in nats per
example, +- one standard error.
""",
    "zh": """# 结果

`scripts/reproduce NAME` 测量一张表并写下记录：
命令、种子、提交、版本、机器、每个数字及其误差、秒数。
本页由记录生成；这个版本尚未测量的结果只给出命令，不给数字。对数概率以每个样本的纳特为单位，
+- 后面是一个标准误。
""",
}


def pages(language: str) -> "dict[str, str]":
    """Returns the page of results and those of decisions."""
    return {"results.md": _results(language), **_decisions(language)}


def _results(language: str) -> str:
    known = plans.read_plans(RESULTS / "plans")
    found = {
        name: records.read_record(RESULTS / f"{name}.json")
        for name in known
        if (RESULTS / f"{name}.json").exists()
    }
    lines = [_INTRO[language]]
    for name, plan in known.items():
        lines += [f"## {plan.title[language]}", ""]
        for part in plan.tables:
            if "short" in part:  # its rows stand in another table
                continue
            block = plans.block_name(name, part.get("name", ""))
            marks = f"<!-- results: {block} begin -->\n<!-- results: {block} end -->\n"
            shown = records.fill(marks, known, found, language, "the page of results")
            shown = re.sub(r"<!--.*?-->\n?", "", shown).replace(" +- ", "\u00a0+-\u00a0")
            if shown != lines[-2]:  # one command measures all tables of a plan
                lines += [shown, ""]
    return "\n".join(lines)


def _decisions(language: str) -> "dict[str, str]":
    titles = {"en": "Decisions", "zh": "设计决定"}
    notes = {
        "en": "Why each room is as it is, with the figures that decided.",
        "zh": "每个部分为什么是现在这样，以及起决定作用的数字。各页为英文，与源码目录中的相同。",
    }
    names, found = [], {}
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        names.append(path.stem)
        text = path.read_text(encoding="utf-8")
        # Links to files of the checkout are no pages of the site.
        found[f"decisions/{path.name}"] = re.sub(
            r"\[([^\]]+)\]\((?!https?:)(?![a-z_]+\.md\))[^)]+\)", r"\1", text
        )
    index = [f"# {titles[language]}", "", notes[language], "", "```{toctree}", ":maxdepth: 1", ""]
    return {"decisions/index.md": "\n".join([*index, *names, "```", ""]), **found}
