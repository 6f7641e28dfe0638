"""The page that goes from a messy CSV to a served scorer keeps its word: its code runs."""

import json
import pathlib
import re

import numpy as np
import pytest

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "en" / "messy_table.md"
PYTHON = r"```python\n(.*?)```"


@pytest.mark.release_only
@pytest.mark.dear(reason="a table from its file to a loaded export, as the page has it")
def test_twenty_lines_go_from_a_messy_csv_to_a_scorer_that_flags_what_is_strange(
    request, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    blocks = re.findall(PYTHON, PAGE.read_text(encoding="utf-8"), re.S)
    exec(compile(blocks[0], PAGE.name, "exec"), names)
    code = blocks[1]
    if not request.config.getoption("whole"):
        code = code.replace("epochs=60", "epochs=2")
    with pytest.warns(UserWarning, match="does not know and that are not read: 订单号"):
        exec(compile(code, PAGE.name, "exec"), names)
    out = capsys.readouterr().out
    kinds = [(column.name, str(column.kind)) for column in names["data"].schema]
    assert kinds[1][1] in ("real", "positive")
    assert kinds[::2] == [("城市", "categorical"), ("件数", "count")]
    assert np.isnan(names["data"].train.values()).any()
    assert "row 1: usual" in out and "row 3: unusual" in out
    assert re.search("row 2 is left out: .*'城市'.*'火星'", out)
    found, detector = names["found"], names["detector"]
    np.testing.assert_allclose(found["score"], detector.score(names["rows"].values), rtol=1e-4)
    said = json.loads((names["folder"] / "export.json").read_text(encoding="utf-8"))
    assert "火星" not in str(said) and "成都" in str(said)


def test_both_pages_have_the_same_code_of_twenty_lines():
    pages = (PAGE, PAGE.parents[1] / "zh" / PAGE.name)
    blocks = [re.findall(PYTHON, page.read_text(encoding="utf-8"), re.S) for page in pages]
    assert blocks[0] == blocks[1]
    assert sum(bool(line.strip()) for line in blocks[0][1].splitlines()) <= 20
