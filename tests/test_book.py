"""The book: every chapter runs, and everything of its sources runs in some chapter."""

import json

import pytest

from docs.pages import book

CHAPTERS = book.chapters()
KINDS = [
    pytest.param(each, id=each.name, marks=[pytest.mark.all_only] if each.dear else [])
    for each in CHAPTERS
]


@pytest.mark.parametrize("chapter", KINDS)
def test_a_chapter_runs_and_its_claims_hold(chapter, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert book.run(chapter)


def test_every_formula_figure_block_problem_and_erratum_runs_somewhere():
    assert [name for name, places in book.where().items() if not places] == []


def test_a_chapter_that_runs_what_is_in_no_source_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "01_x.py"
    path.write_text("# title en: x\n# title zh: x\n\n# %% runs: 17.99\nx = 1\n")
    monkeypatch.setattr(book, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"Received '17\.99'"):
        book.where()
    path.write_text("# %% [markdown] fr\n# x\n")
    with pytest.raises(ValueError, match=r"of no kind.*fr"):
        book.chapters()


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda each: each.name)
def test_both_languages_of_a_chapter_have_the_same_formulas_and_cells(chapter):
    import re

    english, chinese = (
        [cell.text for cell in chapter.cells if cell.kind == language] for language in ("en", "zh")
    )
    assert len(english) == len(chinese) and set(chapter.titles) == {"en", "zh"}
    for one, other in zip(english, chinese, strict=True):
        for pattern in (r"(?s)\$\$.*?\$\$", r"`[^`]+`"):
            assert sorted(re.findall(pattern, one)) == sorted(re.findall(pattern, other))
        inline = [sorted(re.findall(r"(?<!\$)\$[^$]+\$(?!\$)", text)) for text in (one, other)]
        assert inline[0] == inline[1]
    kinds = [json.loads(book.notebook(chapter, language))["cells"] for language in ("en", "zh")]
    assert len(kinds[0]) == len(kinds[1])
