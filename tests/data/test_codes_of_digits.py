"""Cells of digits that are codes: 007 is no 7, and what a number would lose is kept or said."""

import numpy as np
import pandas as pd
import pytest
from data_cases import refused

from tfp_vae import data
from tfp_vae.data import Schema, column_files, schema

ROWS = 60
CODES = [f"{7 * (i % 5):03d}" for i in range(ROWS)]  # 000, 007, 014, 021, 028
SIZES = [f"{i * 37 % 11}" for i in range(ROWS)]


def written(path, **columns):
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join(map(",".join, [list(columns), *rows])) + "\n", encoding="utf-8")
    return path


@pytest.fixture(params=[True, False], ids=["in memory", "by columns"])
def opened(request, monkeypatch):
    monkeypatch.setattr(column_files, "_CELLS", 20)
    return lambda path, **more: column_files.open_table(path, in_memory=request.param, **more)


def test_leading_zeros_stay_and_are_classes(opened, tmp_path):
    path = written(tmp_path / "a.csv", zip=["", *CODES[1:]], size=SIZES)
    table = opened(path)
    assert table["zip"].dropna().tolist() == CODES[1:] and table["zip"].isna()[0]
    assert table["size"].tolist() == [int(each) for each in SIZES]
    found = Schema.infer(table)
    assert [c.kind for c in found] == ["categorical", "count"]
    assert found[0].levels == ("000", "007", "014", "021", "028") and found[0].dtype == "text"
    back = found.decode(found.encode(data.read_frame(path)))
    data.write_frame(back, tmp_path / "b.csv")
    assert data.read_frame(tmp_path / "b.csv")["zip"].tolist()[1:] == CODES[1:]


def test_a_number_may_have_zeros_where_it_is_said_to_be_one(opened, tmp_path):
    many = [f"{i:04d}" for i in range(ROWS)]
    path = written(tmp_path / "a.csv", id=many, size=SIZES)
    with refused("codes of many values", "id:categorical", "id:real", "id:drop", "'0000'"):
        Schema.infer(opened(path))
    for kind, dtype in (("count", "int64"), ("real", "int64")):
        found = Schema.infer(opened(path), {"id": kind})
        assert (found[0].kind, found[0].dtype) == (kind, dtype)
        np.testing.assert_array_equal(found.encode(data.read_frame(path))[:, 0], np.arange(ROWS))
    assert Schema.infer(opened(path), {"id": "categorical"})[0].levels == tuple(many)


def test_what_is_no_code_stays_what_it_was(opened, tmp_path):
    columns = {
        "zero": ["0", "10"],
        "share": ["0.5", "-0.25"],
        "start": ["00:30", "09:15"],
        "day": ["2020-01-05", "2021-10-05"],
        "wide": ["0.12345678901234567", "1234567890123456.5"],
    }
    table = opened(written(tmp_path / "a.csv", **columns))
    kinds = "".join(table[name].dtype.kind for name in columns)
    assert kinds[:2] == "if" and kinds[4] == "f"
    assert table["day"].tolist() == columns["day"] and table["start"].tolist() == columns["start"]


def test_long_integers_keep_their_last_digits_beside_gaps(opened, tmp_path):
    ids = ["9007199254740993", "9007199254740992", ""] * 20
    path = written(tmp_path / "a.csv", id=ids, size=SIZES)
    found = Schema.infer(opened(path), {"id": "categorical"})
    assert found[0].levels == ("9007199254740992", "9007199254740993")
    whole = written(tmp_path / "b.csv", id=[each or "1" for each in ids], size=SIZES)
    assert Schema.infer(opened(whole), {"id": "categorical"})[0].num_levels == 3


def test_powers_are_numbers_and_said_to_be_unless_they_are_classes(opened, tmp_path):
    path = written(tmp_path / "a.csv", part=["1e5", "2E7", "1000"] * 20, size=SIZES)
    with pytest.warns(UserWarning, match="1e5 in column 'part' is read as the number 100000; .*:"):
        assert opened(path)["part"].tolist()[:3] == [1e5, 2e7, 1000]
    columns = schema.parse("part:categorical")
    table = opened(path, text=schema.names_of_classes(columns))
    assert Schema.infer(table, columns)[0].levels == ("1000", "1e5", "2E7")
    loaded = data.load(path, columns=columns)
    assert loaded.schema[0].levels == ("1000", "1e5", "2E7")


def test_a_gap_of_a_whole_part_leaves_integers_as_they_are(opened, tmp_path):
    numbers = [*[""] * 40, *map(str, range(20))]
    table = opened(written(tmp_path / "a.csv", late=numbers, size=SIZES))
    assert table["late"].isna().sum() == 40 and table["late"].dropna().tolist() == list(range(20))


def test_codes_to_predict_are_classes_with_their_names(tmp_path):
    path = written(tmp_path / "a.csv", size=SIZES, y=CODES)
    loaded = data.load(path)
    assert loaded.class_names == ("000", "007", "014", "021", "028")
    assert loaded.train.labels.max() == 4
    with pytest.warns(UserWarning, match="000 in column 'y' is read as the number 0; task="):
        assert data.load(path, task="regression").class_names is None


def test_codes_among_numbers_are_said_in_one_line(tmp_path):
    path = written(tmp_path / "a.csv", size=SIZES, zip=CODES, y=SIZES)
    with pytest.warns(UserWarning, match="'zip' is read as the number 0; columns='zip:cat") as said:
        data.load(path)
    assert len(said) == 1


def test_a_model_knows_codes_of_new_rows(tmp_path):
    from types import SimpleNamespace

    known = Schema.infer(data.read_frame(written(tmp_path / "a.csv", zip=CODES, size=SIZES)))
    model = SimpleNamespace(intake=SimpleNamespace(schema=known, columns=known.names))
    rows = data.rows.read(written(tmp_path / "b.csv", zip=["014", "007"], size=["1", "2"]), model)
    np.testing.assert_array_equal(rows.values[:, 0], [2, 1])
    with refused("'zip'", "one of 000, 007"):
        data.rows.read(written(tmp_path / "c.csv", zip=["14", "7"], size=["1", "2"]), model)


@pytest.mark.parametrize("day", ["2020-01-{:02d}T10:00", "2020年1月{}日", "2020/1/{}", "{}.1.2020"])
def test_days_in_any_common_form_are_no_classes(day):
    frame = pd.DataFrame({"day": [day.format(i) for i in range(1, 29)]})
    with refused("'day' holds times"):
        Schema.infer(frame)


def test_days_that_are_written_as_numbers_are_said_to_be_days():
    days = [10_000 * (2015 + i % 9) + 100 * (1 + i % 12) + 1 + i % 28 for i in range(ROWS)]
    frame = pd.DataFrame({"day": days, "size": np.arange(ROWS)})
    with pytest.warns(UserWarning, match="'day' looks like days.*--columns=day:drop.*20150101"):
        Schema.infer(frame)
    Schema.infer(frame, {"day": "real"})  # which is what somebody wants
    Schema.infer(frame.assign(day=frame["day"] + 50))  # of no month


def test_a_file_whose_last_row_is_cut_off_is_said_to_be(opened, tmp_path):
    path = written(tmp_path / "a.csv", a=SIZES, b=SIZES, c=SIZES)
    opened(path)
    path.write_text(path.read_text() + "17,2")
    with pytest.warns(UserWarning, match="may be cut off: its last row has 2 of 3 cells.*'17,2'"):
        assert opened(path)["c"].isna().sum() == 1
