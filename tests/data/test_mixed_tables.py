"""Tables of mixed columns with missing cells: frames and files in, values, and frames out."""

import datetime

import numpy as np
import pandas as pd
import pytest
from data_cases import refused

from tfp_vae import data, evaluation
from tfp_vae.data import Schema, schema
from tfp_vae.data.table_files import read_frame

ROWS = 60


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    made = pd.DataFrame(
        {
            "age": rng.normal(40, 10, ROWS).astype(np.float32).astype(float),
            "income": np.exp(rng.normal(10, 1, ROWS)).astype(np.float32).astype(float),
            "visits": rng.negative_binomial(2, 0.3, ROWS),
            "sex": rng.choice(["f", "m"], ROWS),
            "town": rng.choice(["a", "b", "c"], ROWS),
            "code": rng.choice([0, 1], ROWS),
            "ok": rng.random(ROWS) < 0.3,
            "mark": pd.Categorical(
                rng.choice(["low", "mid", "top"], ROWS), ["low", "mid", "top"], ordered=True
            ),
        },
        index=np.arange(ROWS) + 100,
    )
    made.loc[103, "age"] = made.loc[105, "town"] = None
    return made


def test_dtypes_and_values_say_what_columns_are(frame):
    found = Schema.infer(frame)
    kinds = "real positive count binary categorical binary binary ordinal".split()
    assert [column.kind for column in found] == kinds
    assert found[7].levels == ("low", "mid", "top") and found[6].levels == ("False", "True")
    assert "town    categorical  a, b, c" in str(found)
    said = Schema.infer(frame, schema.parse("visits:real,town:c<b<a,sex:drop"))
    assert said.names == tuple(name for name in frame if name != "sex")
    assert (said[2].kind, said[3].kind, said[3].levels) == ("real", "ordinal", ("c", "b", "a"))
    assert Schema.from_config(found.get_config()) == found


def test_a_frame_comes_back_with_its_dtypes_index_and_gaps(frame):
    found = Schema.infer(frame)
    values = found.encode(frame[frame.columns[::-1]])  # in another order
    assert values.dtype == np.float32 and np.argwhere(np.isnan(values)).tolist() == [[3, 0], [5, 4]]
    pd.testing.assert_frame_equal(found.decode(values, frame), frame, check_dtype=True)


def test_loaded_tables_know_their_gaps_and_keep_them_when_cut(frame):
    loaded = data.load(frame)
    assert loaded.schema == Schema.infer(frame) and loaded.columns == loaded.schema.names
    splits = [loaded.train, loaded.validation, loaded.test]
    assert sum(len(split) for split in splits) == ROWS
    gone = [np.isnan(split.values()) for split in splits]
    assert sum(each.sum() for each in gone) == 2
    for split, each in zip(splits, gone, strict=True):
        assert split.observed is None or (split.observed == ~each).all()
    tables = {"train": frame, "test": frame[::-1]}
    again = data.load(tables, target="sex", columns={"code": "categorical"})
    assert again.class_names == ("f", "m") and "sex" not in again.columns
    assert again.schema[4].kind == "categorical"


class Other:
    """A frame of another library, as polars is one."""

    def __init__(self, columns):
        self.columns, self._held = list(columns), columns

    def to_numpy(self):
        return np.stack([*self._held.values()], axis=1)

    def __getitem__(self, name):
        return pd.Series(self._held[name])

    def __len__(self):
        return len(next(iter(self._held.values())))


def test_a_frame_of_another_library_comes_out_as_one(frame):
    other = Other({name: frame[name].tolist() for name in ("age", "sex")})
    found = Schema.infer(other)
    out = found.decode(found.encode(other), other)
    assert isinstance(out, Other) and out["sex"].tolist() == frame["sex"].tolist()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gbk", "utf-16"])
def test_files_with_other_marks_encodings_and_numbers_are_read(tmp_path, encoding):
    path = tmp_path / "a.csv"
    text = '姓名;城市;收入;比\n"王; 小";上海;1,234;0,5\n李明;北京;12,000;1\n张伟;;800;2,25\n'
    path.write_text(text, encoding=encoding)
    found = read_frame(path)
    assert list(found.columns) == ["姓名", "城市", "收入", "比"]
    assert found["收入"].tolist() == [1234, 12000, 800] and found["比"].tolist() == [0.5, 1, 2.25]
    assert found["城市"].isna().tolist() == [False, False, True]


def test_parquet_and_excel_hold_what_a_frame_does(tmp_path, frame):
    frame.to_parquet(tmp_path / "a.parquet")
    assert data.load(tmp_path / "a.parquet").schema == Schema.infer(frame)
    with pd.ExcelWriter(tmp_path / "a.xlsx") as file:
        frame.to_excel(file, sheet_name="rows", index=False)
        frame.to_excel(file, sheet_name="more", index=False)
    with pytest.warns(UserWarning, match="sheets that are not read: more"):
        found = read_frame(tmp_path / "a.xlsx")
    assert found["visits"].tolist() == frame["visits"].tolist()


def test_categories_of_anything_are_labels():
    rows = np.zeros((4, 1), np.float32)
    for series, names in (
        (pd.cut(pd.Series([1, 2, 8, None]), [0, 4, 9]), ("(0, 4]", "(4, 9]")),
        (pd.Series([1.5, 1.5, 0.5, None], dtype="category"), ("0.5", "1.5")),
    ):
        found = data.Split(rows, "real", labels=series)
        assert set(found.labels.tolist()) == {-1, 0, 1} and found.class_names == names


def one(**columns):
    return pd.DataFrame(columns)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: one(a=[1, 1, 1]), ["'a' is constant", "Received 1 in", "--columns=a:drop"]),
        (lambda: one(a=[None, np.nan]), ["'a' is empty", "2 missing"]),
        (lambda: one(a=[1, "x", 2]), ["'a'", "different types", "'x' in row 1"]),
        (lambda: one(a=[1.0, np.inf]), ["'a'", "not finite", "inf in row 1"]),
        (lambda: one(a=[f"n{i}" for i in range(101)]), ["'a'", "too many levels", "101"]),
        (lambda: one(a=[f"{i}%" for i in range(30)]), ["'a'", "written as text", "'0%'"]),
        (lambda: one(a=[f"${i},000.50" for i in range(30)]), ["'a'", "written as text"]),
        (lambda: one(a=[f"(\u20ac {i})" for i in range(30)]), ["'a'", "written as text"]),
        (lambda: one(a=[*map(str, range(30)), "#DIV/0!"]), ["'a'", "text among", "'#DIV/0!'"]),
        (lambda: one(a=[f"2020-01-{i + 1:02d} 12:00" for i in range(30)]), ["'a' holds times"]),
        (lambda: one(a=[f"{i + 1}/1/2020" for i in range(30)]), ["'a' holds times"]),
        (lambda: one(a=pd.to_datetime(["2020-01-01", "2020-01-02"])), ["'a' holds times"]),
        (lambda: one(a=pd.to_timedelta([1, 2], "s")), ["'a' holds times"]),
        (lambda: one(a=[datetime.date(2020, 1, 1), None]), ["'a' holds times"]),
        (lambda: one(a=[[1], [2]]), ["'a'", "neither number nor class", "a list in row 0"]),
        (lambda: one(a=[b"a", b"b"]), ["'a'", "neither number nor class", "a bytes in row 0"]),
        (lambda: one(a=[1j, 2j]), ["'a'", "neither number nor class", "complex"]),
        (lambda: one(a=[1, 2]).iloc[:0], ["empty", "(0, 1)"]),
        (lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]), ["same name", "'a' 2 times"]),
        (lambda: one(a=[1e300, 1.0]), ["'a'", "float32", "row 0"]),
    ],
)
def test_columns_that_nothing_is_learned_from_are_refused_with_row_and_way_out(make, words):
    with refused(*words):
        Schema.infer(make())


@pytest.mark.parametrize("texts", [["5%", "10%"], [f"A{i}" for i in range(40)], ["1", "y", "x"]])
def test_few_texts_and_names_with_digits_are_classes(texts):
    assert Schema.infer(one(a=texts * 3))[0].num_levels == len(texts)
    many = [f"{i}%" for i in range(30)]
    assert Schema.infer(one(a=many), {"a": "categorical"})[0].num_levels == 30


def test_classes_that_are_mostly_numbers_are_told_by_the_one_that_is_none():
    texts = ["1", "2", "3", "foo"] * 3
    with pytest.warns(UserWarning, match=r"'a' is taken for classes.*a:categorical.*'foo'"):
        assert Schema.infer(one(a=texts))[0].num_levels == 4
    assert Schema.infer(one(a=texts), {"a": "categorical"})[0].num_levels == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"visits": -1}, ["'visits'", "counts", "-1", "row 0"]),
        ({"visits": 0.5}, ["'visits'", "counts", "0.5", "visits:real"]),
        ({"income": 0.0}, ["'income'", "above 0", "0.0"]),
        ({"age": "old"}, ["'age'", "numbers", "'old' in row 0"]),
        ({"age": np.inf}, ["'age'", "finite", "inf"]),
        ({"town": "z"}, ["'town'", "one of a, b, c", "unknown='missing'", "'z' in row 0"]),
        ({"agee": 1.0}, ["'agee' unknown"]),
    ],
)
def test_cells_that_a_schema_does_not_have_are_refused_with_row_and_way_out(frame, change, words):
    found = Schema.infer(frame)
    with refused(*words):
        found.encode(frame.astype(object).assign(**change))


def test_a_level_that_is_unknown_may_be_missing(frame):
    values = Schema.infer(frame).encode(frame.assign(town="z"), unknown="missing")
    assert np.isnan(values[:, 4]).all() and np.isnan(values).sum() == ROWS + 1


def test_what_columns_are_said_to_be_is_checked(frame):
    for text, words in (
        (3, ["name:kind"]),
        ("age", ["name:kind"]),
        ("age:rael", ["'age'", "Did you mean real"]),
    ):
        with refused(*words):
            schema.parse(text)
    with refused("Unknown column", "Did you mean age"):
        Schema.infer(frame, {"aged": "real"})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["is empty"]),
        (b"a,b\n1,2\n3,4,5\n", ["could not be read", "line 3"]),
        (b"a,b\n\xff\xfe\xfa\x80,2\n", ["could not be read", "UTF-8"]),
    ],
)
def test_files_that_hold_no_table_are_refused(tmp_path, content, words):
    (tmp_path / "a.csv").write_bytes(content)
    with refused(*words):
        read_frame(tmp_path / "a.csv")


def test_names_of_columns_are_text_without_spaces_around_and_none_is_there_twice(tmp_path):
    rows = [[1, "x", 3.5, 1], [2, "y", None, 2], [3, "y", -1.5, 2]]
    frame = pd.DataFrame(rows, columns=[2020, " b ", "c", "c"])
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    with refused("same name", "'c' 2 times"):
        Schema.infer(read_frame(tmp_path / "a.xlsx"))
    frame = frame.iloc[:, :3]
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    assert list(read_frame(tmp_path / "a.xlsx")) == ["2020", "b", "c"]
    found = Schema.infer(frame, {"c": "real"})
    values = np.array([[1, 0, 3.5], [2, 1, 7], [3, 1, -1.5]], np.float32)
    made = evaluation.Completed(*[values] * 6)
    assert evaluation.filled(found, frame, made)["c"].tolist() == [3.5, 7, -1.5]
    assert evaluation.imputed_cells(found, frame, made)["value"].tolist() == [7]
    with refused("imputation"):
        numbered = frame.rename(columns={2020: "imputation"})
        evaluation.filled(found, numbered, made, num_draws=1)


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_a_column_without_a_name_is_refused_and_left_out_where_it_is_empty(tmp_path, ending):
    path, frame = tmp_path / f"a{ending}", one(a=[1, 2], b=["x", "y"])
    write = frame.to_csv if ending == ".csv" else frame.to_excel
    write(path)
    with refused("without a name", "index=False", "column 1 of 3"):
        read_frame(path)
    frame[""] = np.nan
    write(path, index=False)
    assert list(read_frame(path)) == ["a", "b"]
