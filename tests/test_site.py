"""The site: the same pages in both languages, every public name, every member, no request."""

import ast
import pathlib
import re

import pytest

from docs.pages import api, build, members, text
from docs.pages.chinese import Pairs

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pages():
    return {language: build.pages(language) for language in text.LANGUAGES}


def _formulas(page):
    return re.findall(r"\$\$.*?\$\$|\$[^$\n]+\$", re.sub(r"(?s)```.*?```", "", page), re.S)


def _code(page):
    return [re.sub(r"\s*#.*", "", block) for block in re.findall(r"```\w*\n(.*?)```", page, re.S)]


def _links(page):
    return sorted(re.findall(r"\]\(([^)]+)\)", page))


def _levels(page):
    return [line.split(" ")[0] for line in page.splitlines() if re.match(r"#+ ", line)]


@pytest.mark.always(reason="documents change with every commit")
def test_both_languages_have_the_same_pages_sections_formulas_code_and_links(pages):
    assert pages["en"].keys() == pages["zh"].keys()
    for name in pages["en"]:
        if name.startswith(("decisions/", "api/")) and "index" not in name:
            continue  # one text for both
        english, chinese = (
            re.sub(r"(?s)```\{toctree\}.*?```", "", p[name]) for p in pages.values()
        )
        for part in (_formulas, _code, _links, _levels):
            assert part(english) == part(chinese), (name, part.__name__)


def test_links_between_pages_lead_somewhere_and_nothing_is_fetched(pages):
    chapters = {f"book/{path.stem}.md" for path in (ROOT / "docs" / "book").glob("[0-9]*.py")}
    for found in pages.values():
        for name, page in found.items():
            assert not re.search(r"<(img|script|iframe|link) ", page), name
            prose = re.sub(r"(?s)```.*?```|`[^`]*`", "", page)
            for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", prose):
                place = (pathlib.PurePosixPath(name).parent / target).as_posix()
                assert place in found or place in chapters, (name, target)
    settings = (ROOT / "docs" / "conf.py").read_text() + (ROOT / "docs/static/site.css").read_text()
    assert "http" not in settings


def test_every_public_name_of_every_room_is_in_the_reference(pages):
    modules = api.modules()
    known = {name for tree in modules.values() for name in _names(tree)}
    known |= {name.rpartition(".")[2] for name in modules} | {"__version__"}
    for module, tree in modules.items():
        for node in tree.body:
            if getattr(getattr(node, "targets", [None])[0], "id", "") == "__all__":
                missing = set(ast.literal_eval(node.value)) - known
                assert not missing, (module, missing)
        for node in api.public(tree):
            room = ".".join(module.split(".")[:2])
            assert api.signature(node) in pages["en"][f"api/{room}.md"], (module, node.name)


def _names(tree):
    made = api.constants(tree)
    # A class that a room exports by another name stands under that of its file.
    made += [a.asname for n in tree.body for a in getattr(n, "names", []) if a.asname]
    return made + [node.name for node in api.public(tree)]


@pytest.mark.parametrize("family", members.FAMILIES)
def test_every_member_has_a_page_with_words_in_both_languages(family, pages):
    for name in members.members(family):
        assert f"members/{family}/{name}.md" in pages["en"]
    assert members.members(family)
    assert members.facts(family).keys() <= members.members(family).keys(), "facts of nobody"
    assert not members.missing(family), "\n".join(members.missing(family))


def test_a_new_member_brings_its_page_and_is_named_with_the_file_that_lacks_its_facts(monkeypatch):
    name = next(iter(members.members("bounds")))
    monkeypatch.setattr(members, "facts", lambda family: {})
    told = f"bounds {name} has no source, formula, what, when, when_not: add .*docs/members/bounds"
    assert re.match(told, members.missing("bounds")[0])
    page = members.pages("zh")[f"members/bounds/{name}.md"]
    assert "tfp_vae/objectives/" in page and "## 导出" in page


def test_formulas_become_mathml_and_chinese_is_found_by_parts_of_words():
    mathml = pytest.importorskip("docs.pages.mathml").mathml
    assert mathml(r"\frac{1}{2} \sum_i \sigma_i^2", "block").startswith("<math ")
    for family in members.FAMILIES:
        for name, fact in members.facts(family).items():
            drawn = re.sub('aria-label="[^"]*"', "", mathml(fact["formula"], "block"))
            assert "\\" not in drawn, (family, name, "a command that MathML does not know")
    search = Pairs({})
    assert set(search.split("自编码器 VAE")) == {"自编", "编码", "码器", "VAE"}
