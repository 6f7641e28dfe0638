"""The site: the same pages in both languages, every public name, every member, no request."""

import ast
import gettext
import html.parser
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

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
    thin = '<mspace width="0.167em"></mspace>'
    assert mathml(r"q \log p").count(thin) == 2 and thin not in mathml(r"\log(p), \log_2 p")
    for family in members.FAMILIES:
        for name, fact in members.facts(family).items():
            drawn = re.sub('aria-label="[^"]*"', "", mathml(fact["formula"], "block"))
            assert "\\" not in drawn, (family, name, "a command that MathML does not know")
    search = Pairs({})
    assert set(search.split("自编码器 VAE")) == {"自编", "编码", "码器", "VAE"}


def test_lines_of_a_chinese_sentence_are_joined_and_nothing_else_is():
    page = "甲，\n乙 $a$。\nlog p 丙\n\n```text\n丁\n戊\n```\n- 己\n- 庚\n| 辛 |\n"
    expected = page.replace("甲，\n", "甲，").replace("。\nlog", "。log")
    assert text.joined(page) == expected


def _catalogue():
    path = ROOT / "docs" / "locale" / "zh_CN" / "LC_MESSAGES" / "sphinx.po"
    pairs = re.findall(r'^msgid "(.+)"\nmsgstr "(.+)"$', path.read_text("utf-8"), re.M)
    return {key.replace(r"\"", '"'): words.replace(r"\"", '"') for key, words in pairs}


def test_every_word_of_the_theme_has_its_chinese():
    theme, sphinx = map(importlib.util.find_spec, ("furo", "sphinx"))
    if theme is None or sphinx is None:
        pytest.skip("needs furo and sphinx")
    places = [pathlib.Path(each.origin).parent for each in (theme, sphinx)]
    known = gettext.translation("sphinx", places[1] / "locale", ["zh_CN"])
    ours, found = _catalogue(), set()
    for path in (places[0] / "theme").rglob("*.html"):
        text = path.read_text("utf-8")
        found |= set(re.findall(r'_\(\s*["\']([^"\']+)["\']\s*\)', text))
        found |= set(re.findall(r'aria-label="([^"{]+)"|<title>([^<{]+)<', text))
        found |= set(re.findall(r"{%-? trans -?%}\s*([^<{]+?)\s*{%-? endtrans", text))
    names = {"versions"}  # of what stands on readthedocs.org alone
    words = {word for each in found for word in ([each] if isinstance(each, str) else each)} - names
    assert len(words) > 20
    lacking = {word for word in words - {""} if word not in ours and known.gettext(word) == word}
    assert lacking <= {"Made with"}  # which ends in a space there, and has its Chinese with it
    assert "Made with " in ours


def test_what_the_theme_says_in_english_alone_is_said_as_the_catalogue_has_it():
    theme = pytest.importorskip("docs.pages.theme")

    class Chinese(gettext.NullTranslations):
        gettext = staticmethod(lambda words: _catalogue().get(words, words))

    page = (
        '<title>Menu</title><b aria-label="Toggle navigation of 甲 & Next">Menu</b>'
        "<a>@pradyunsg</a>'s <a>it</a>'s <p aria-label=\"Menu of x\">"
    )
    assert theme.translated(page, Chinese()) == (
        '<title>菜单</title><b aria-label="展开或收起：甲 & Next">Menu</b>'
        '<a>@pradyunsg</a> 的 <a>it</a>\'s <p aria-label="Menu of x">'
    )
    assert theme.translated(page, gettext.NullTranslations()) == page


class _Chrome(html.parser.HTMLParser):
    """The words of a page outside its article: what is seen, and what a reader of screens says."""

    def __init__(self, page):
        super().__init__()
        self.words, self._inside = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "style", "article"):
            self._inside.append(tag)
        self.words += [v for k, v in attrs if k in ("aria-label", "title", "placeholder")]

    def handle_endtag(self, tag):
        if tag in self._inside:
            self._inside.remove(tag)

    def handle_data(self, data):
        self.words += [data] * (not self._inside)


@pytest.mark.all_only  # every word has its Chinese, above
def test_the_theme_speaks_chinese_on_the_chinese_pages_and_english_on_the_english(tmp_path):
    pytest.importorskip("furo")
    source = tmp_path / "source"
    source.mkdir()
    pages = {"index": ["a"], "a": ["b", "c"], "b": [], "c": []}
    for name, below in pages.items():
        lines = [f"# 页{len(below)}", "## 段", *(["```{toctree}", *below, "```"] if below else [])]
        (source / f"{name}.md").write_text("\n".join(lines), "utf-8")
    said_by = {"zh_CN": ("上一页", "下一页", "本页内容"), "en": ("Previous", "On this page")}
    for language, words in said_by.items():
        target = tmp_path / language
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "-c", ROOT / "docs", "-D"]
        command += [f"language={language}", source, target]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
        files = [target / f"{name}.html" for name in (*pages, "search")]
        said = " ".join(" ".join(_Chrome(file.read_text("utf-8")).words) for file in files)
        assert all(word in said for word in words)
        if language == "zh_CN":
            names = r"tfp_vae [\d.]+|Apache-2\.0|Sphinx|@pradyunsg|Furo|JavaScript"
            assert not re.findall("[A-Za-z][a-z]+", re.sub(names, "", said))
