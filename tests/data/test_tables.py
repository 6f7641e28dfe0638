"""Tables: embedded ones, UCI sets with their standard splits, .csv files, targets of any source."""

import functools
import http.server
import pathlib
import subprocess
import sys
import threading
import tracemalloc

import keras
import numpy as np
import pandas as pd
import pytest
from data_cases import refused, sizes, splits_of

from tfp_vae import data
from tfp_vae.data import Kind
from tfp_vae.data.named import uci as sets

ROOT = pathlib.Path(__file__).parents[2]


def rows(x, y):
    """Returns the examples as sorted pairs, so that sets in another order compare."""
    return sorted((row.tobytes(), float(each)) for row, each in zip(x, y, strict=True))


def all_rows(loaded):
    splits = splits_of(loaded)
    return rows(np.concatenate([s.values() for s in splits]), np.concatenate([s.y for s in splits]))


# Tables inside scikit-learn.


@pytest.mark.parametrize(
    ("name", "count", "features", "classes"),
    [("diabetes", 442, 10, None), ("wine", 178, 13, 3), ("breast_cancer", 569, 30, 2)],
)
def test_embedded_tables_are_what_scikit_learn_has(name, count, features, classes):
    from sklearn import datasets

    loaded = data.load(name)
    options = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(datasets, f"load_{name}")(**options)
    assert all_rows(loaded) == rows(bunch.data.astype(np.float32), bunch.target)
    assert (sum(sizes(loaded)), len(loaded.test)) == (count, round(0.2 * count))
    assert (loaded.name, loaded.shape, loaded.kind) == (name, (features,), Kind.REAL)
    assert loaded.num_classes == classes
    assert loaded.task == ("regression" if classes is None else "classification")
    assert data.load(name).digests == loaded.digests
    assert name in data.NAMES


# UCI sets.


def uci_arrays(count=40, features=3, splits=4, seed=0):
    rng = np.random.default_rng(seed)
    tests = [rng.permutation(count)[: count // 10] for _ in range(splits)]
    return {
        "x": rng.uniform(0, 1, (count, features)),
        "y": rng.normal(size=count),
        "test_index": np.array(tests, np.int32),
    }


@pytest.mark.parametrize("split", [None, 0, 3, np.int64(2)])
def test_a_standard_split_tests_on_its_rows_and_trains_on_all_others(tmp_path, split):
    arrays = uci_arrays()
    np.savez(tmp_path / "concrete.npz", **arrays)
    loaded = data.load("uci/concrete", data_dir=tmp_path, split=split)
    x, y = arrays["x"].astype(np.float32), arrays["y"].astype(np.float32)
    test = arrays["test_index"][split or 0]
    assert rows(loaded.test.values(), loaded.test.y) == rows(x[test], y[test])
    assert all_rows(loaded) == rows(x, y)
    assert (sizes(loaded), loaded.name) == ((32, 4, 4), "uci/concrete")
    assert (loaded.kind, loaded.task, loaded.num_classes) == (Kind.REAL, "regression", None)


def test_uci_gives_all_standard_splits_at_once(tmp_path):
    arrays = uci_arrays()
    np.savez(tmp_path / "energy.npz", **arrays)
    x, y, test_index = data.uci("uci/energy", str(tmp_path))
    assert (x.dtype, y.dtype, test_index.dtype) == (np.float32, np.float32, np.int64)
    np.testing.assert_allclose(x, arrays["x"], rtol=1e-6)
    np.testing.assert_allclose(y, arrays["y"], rtol=1e-6)
    np.testing.assert_array_equal(test_index, arrays["test_index"])


@pytest.mark.parametrize(
    ("name", "count", "features", "splits"),
    [
        ("concrete", 1030, 8, 20),
        ("energy", 768, 8, 20),
        ("kin8nm", 8192, 8, 20),
        ("naval", 11934, 16, 20),
        ("power", 9568, 4, 20),
        ("protein", 45730, 9, 5),
        ("wine", 1599, 11, 20),
        ("yacht", 308, 6, 20),
    ],
)
def test_the_uci_sets_have_their_known_sizes(prepared, name, count, features, splits):
    folder = prepared("uci", f"{name}.npz")
    x, y, test_index = data.uci(f"uci/{name}", folder)
    assert (x.shape, y.shape) == ((count, features), (count,))
    assert test_index.shape == (splits, round(count / 10))
    assert sets._UCI[f"uci/{name}"][1:] == (count, splits)
    loaded = data.load(f"uci/{name}", data_dir=folder, split=splits - 1)
    assert (len(loaded.test), sum(sizes(loaded))) == (round(count / 10), count)


@pytest.mark.parametrize("split", [-1, 4, 0.5, "1"])
def test_a_split_that_a_uci_set_does_not_have_is_refused_with_their_number(tmp_path, split):
    np.savez(tmp_path / "yacht.npz", **uci_arrays())
    with refused("the 4 of uci/yacht", ">= 0 and <= 3", repr(split)):
        data.load("uci/yacht", data_dir=tmp_path, split=split)


@pytest.mark.parametrize("folder", ["", "nowhere"])
def test_a_uci_set_missing_from_data_dir_is_refused_and_not_downloaded(tmp_path, folder):
    with refused("'uci/yacht'", "yacht.npz", tmp_path / folder, error=FileNotFoundError):
        data.load("uci/yacht", data_dir=tmp_path / folder)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["concrete", "uci/boston", "diabetes", None])
def test_an_unknown_uci_set_is_refused_with_the_known_ones(tmp_path, name):
    with refused("uci/concrete, uci/energy", repr(name)):
        data.uci(name, tmp_path)


def test_an_unknown_uci_source_is_refused():
    with refused("uci/boston", "uci/concrete", error=FileNotFoundError):
        data.load("uci/boston")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param({"x": None}, "not a UCI set", id="no x"),
        pytest.param({"x": np.zeros(40)}, "do not fit", id="x of one axis"),
        pytest.param({"y": np.zeros(39)}, "do not fit", id="y of another length"),
        pytest.param({"test_index": np.zeros(4, int)}, "do not fit", id="test_index of one axis"),
        pytest.param({"test_index": np.zeros((0, 4), int)}, "do not fit", id="no splits"),
        pytest.param({"test_index": np.zeros((2, 4))}, "wrong types", id="test_index of floats"),
        pytest.param({"y": np.full(40, "a")}, "wrong types", id="y of text"),
        pytest.param({"test_index": np.array([[1, 2], [3, 3]])}, "split 1", id="a row twice"),
        pytest.param({"test_index": np.array([[1, 40]])}, "split 0", id="a row beyond the last"),
        pytest.param({"test_index": np.array([[-1, 2]])}, "split 0", id="a negative row"),
        pytest.param({"test_index": np.arange(40)[None]}, "split 0", id="no training rows"),
        pytest.param({"y": np.full(40, np.nan)}, "not finite", id="NaN"),
        pytest.param({"x": np.full((40, 3), 1e300)}, "not finite", id="too large for float32"),
    ],
)
def test_a_uci_file_with_wrong_arrays_is_refused_by_name(tmp_path, change, word):
    arrays = {key: value for key, value in (uci_arrays() | change).items() if value is not None}
    np.savez(tmp_path / "power.npz", **arrays)
    with refused(tmp_path / "power.npz", word):
        data.uci("uci/power", tmp_path)


def test_a_damaged_uci_file_is_refused_by_name(tmp_path):
    (tmp_path / "power.npz").write_bytes(b"PK\x03\x04 cut")
    with refused(tmp_path / "power.npz"):
        data.uci("uci/power", tmp_path)


# UCI sets from a server.


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def uci_server(tmp_path, monkeypatch):
    """Serves a folder as the original files of UCI sets are served; downloads go to `cache`."""
    root = tmp_path / "server"
    root.mkdir()
    handler = functools.partial(_Quiet, directory=root)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(sets, "UCI_URL", f"http://127.0.0.1:{server.server_port}")
    get_file = functools.partial(keras.utils.get_file, cache_dir=str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(keras.utils, "get_file", get_file)
    yield root
    server.shutdown()
    thread.join()
    server.server_close()


def serve(root, folder, arrays):
    """Writes the arrays of a set in the layout of the server; the target is column 0."""
    place = root / folder / "data"
    place.mkdir(parents=True)
    np.savetxt(place / "data.txt", np.column_stack([arrays["y"], arrays["x"]]))
    np.savetxt(place / "index_features.txt", np.arange(1, arrays["x"].shape[1] + 1))
    np.savetxt(place / "index_target.txt", [0])
    for number, index in enumerate(arrays["test_index"]):
        np.savetxt(place / f"index_test_{number}.txt", index, fmt="%d")
    return place


@pytest.fixture
def yacht(monkeypatch):
    """A small set under the name of one: 40 rows and 4 splits."""
    monkeypatch.setitem(sets._UCI, "uci/yacht", ("yacht-folder", 40, 4))
    return uci_arrays()


def test_a_downloaded_uci_set_is_the_one_in_data_dir(uci_server, yacht, tmp_path):
    serve(uci_server, "yacht-folder", yacht)
    np.savez(tmp_path / "yacht.npz", **yacht)
    downloaded, read = data.uci("uci/yacht"), data.uci("uci/yacht", tmp_path)
    for a, b in zip(downloaded, read, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    loaded = data.load("uci/yacht", split=2)
    assert loaded.digests == data.load("uci/yacht", data_dir=tmp_path, split=2).digests


def test_a_uci_set_is_downloaded_once(uci_server, yacht):
    place = serve(uci_server, "yacht-folder", yacht)
    first = data.uci("uci/yacht")
    for file in place.iterdir():
        file.unlink()
    np.testing.assert_array_equal(data.uci("uci/yacht")[0], first[0])


def test_a_uci_set_that_cannot_be_downloaded_is_refused_with_the_way_out(uci_server):
    with refused("'uci/naval'", "404", "data_dir", "naval.npz", error=FileNotFoundError):
        data.load("uci/naval")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        pytest.param("data.txt", "", id="no rows"),
        pytest.param("data.txt", "1 2 3 4\n" * 39, id="too few rows"),
        pytest.param("data.txt", "1 2 3\n" * 40, id="too few columns"),
        pytest.param("index_features.txt", "-1\n2\n", id="a negative column"),
        pytest.param("index_target.txt", "0\n1\n", id="two targets"),
        pytest.param("index_target.txt", "", id="no target"),
        pytest.param("index_test_1.txt", "1\n2\n3\n", id="too few test rows"),
    ],
)
def test_damaged_downloads_are_refused_with_the_place_in_the_cache(
    uci_server, yacht, file, content
):
    (serve(uci_server, "yacht-folder", yacht) / file).write_text(content)
    with refused("'uci/yacht' are damaged", "tfp_vae/uci/yacht-folder"):
        data.uci("uci/yacht")


def test_a_downloaded_page_that_is_no_table_is_refused_by_name(uci_server, yacht):
    (serve(uci_server, "yacht-folder", yacht) / "data.txt").write_text("<html>Log in</html>")
    with refused("data.txt", "table of numbers"):
        data.uci("uci/yacht")


# .csv files.


@pytest.fixture
def csv_file(tmp_path):
    """Returns a function that writes a .csv file."""

    def write(text, name="table.csv", **options):
        (tmp_path / name).write_text(text, **options)
        return tmp_path / name

    return write


def column(values):
    return "a,y\n" + "".join(f"{i}.5,{value}\n" for i, value in enumerate(values))


def found_y(loaded):
    """Returns y in the order of column a."""
    splits = splits_of(loaded)
    a = np.concatenate([split.values()[:, 0] for split in splits])
    return np.concatenate([split.y for split in splits])[np.argsort(a)]


def test_the_last_column_of_a_csv_is_the_target(csv_file):
    path = csv_file("a,b c,y\n" + "".join(f"{i},{-i}e-1,{i}.25\n" for i in range(20)))
    loaded = data.load(path)
    numbers = np.arange(20)
    x = np.stack([numbers, -numbers / 10], axis=1).astype(np.float32)
    assert all_rows(loaded) == rows(x, numbers + 0.25)
    assert (sizes(loaded), loaded.shape, loaded.kind) == ((16, 2, 2), (2,), Kind.REAL)
    assert (loaded.name, loaded.task, loaded.num_classes) == ("table.csv", "regression", None)
    assert data.load(str(path)).digests == loaded.digests


def test_another_column_may_be_the_target(csv_file):
    path = csv_file("a,b,c\n" + "".join(f"{i}.5,{i}.25,{i}\n" for i in range(9)))
    loaded = data.load(path, target="b")
    i = np.arange(9)
    assert all_rows(loaded) == rows(np.stack([i + 0.5, i], 1).astype(np.float32), i + 0.25)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(["dog", "cat", "eel"] * 3, [1, 0, 2] * 3, id="text"),
        pytest.param([0, 1, 3] * 3, [0, 1, 3] * 3, id="integers"),
        pytest.param([*range(20), 0], [*range(20), 0], id="20 integers"),
    ],
)
def test_text_and_few_integers_are_classes(csv_file, values, expected):
    loaded = data.load(csv_file(column(values)))
    assert (loaded.task, loaded.num_classes) == ("classification", max(expected) + 1)
    assert found_y(loaded).tolist() == expected


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([*range(21)], id="21 integers"),
        pytest.param([1.0, 2.0, 3.0] * 3, id="whole numbers written as decimals"),
        pytest.param([0.5, 1, 2, -1e3], id="fractions"),
    ],
)
def test_other_numbers_are_targets(csv_file, values):
    loaded = data.load(csv_file(column(values)))
    assert loaded.task == "regression"
    np.testing.assert_allclose(found_y(loaded), values)


def test_task_decides_over_the_values_of_a_csv(csv_file):
    few = csv_file(column([3, 1, 2] * 3))
    assert data.load(few, task="regression").task == "regression"
    many = csv_file(column(f"{i}.0" for i in range(30)))
    loaded = data.load(many, task="classification")
    assert (loaded.task, loaded.num_classes) == ("classification", 30)
    mixed = csv_file(column(["3a", "1", "2"] * 3))
    assert found_y(data.load(mixed, task="classification")).tolist() == [2, 0, 1] * 3


def test_a_csv_may_have_quotes_spaces_blank_lines_and_a_byte_order_mark(csv_file):
    text = '"a, b", y\r\n1.5, "x, y"\r\n\r\n 2.5 ,z\r\n3.5,z\r\n4.5,z\r\n\r\n'
    loaded = data.load(csv_file(text, "TABLE.CSV", encoding="utf-8-sig", newline=""))
    assert found_y(loaded).tolist() == [0, 1, 1, 1]


def test_numbers_of_a_csv_stay_in_their_units(csv_file):
    loaded = data.load(csv_file("a,b,y\n" + "0,255,0.5\n" * 9))
    np.testing.assert_array_equal(loaded.train.values(), [[0, 255]] * len(loaded.train))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", ["is empty"], id="empty"),
        pytest.param("\n\n", ["is empty"], id="blank lines only"),
        pytest.param("a,b\n", ["has no rows"], id="no rows"),
        pytest.param("1.5,2,cat\n2,3,dog\n", ["has no header", "1.5"], id="no header"),
        pytest.param("a\n1\n2\n", ["one column only", "'a'"], id="one column"),
        pytest.param("a/b\n1/2\n", ["one column only", "delimiter", "'a/b'"], id="slashes"),
        pytest.param("a;y\n1,5;2\n", ["decimal point", "'1,5' in line 2"], id="decimal comma"),
        pytest.param('a,y\n"1,250",2\n', ["thousands", "'1,250' in line 2"], id="thousands"),
        pytest.param("a;y\n0,126;2\n", ["decimal point", "'0,126' in line 2"], id="three decimals"),
        pytest.param("a,y\n1,x\n-,x\n", ["missing", "'-' in line 3"], id="a dash"),
        *(
            pytest.param(f"a,y\n1,x\n1,{mark}\n", ["missing", f"'{mark}' in line 3"], id=mark)
            for mark in ("None", "<NA>", "NaT", "#N/A", "--", ".")
        ),
        pytest.param(",a,y\n0,1,2\n", ["without a name", "column 1 of 3"], id="unnamed column"),
        pytest.param("a,b,a\n0,1,2\n", ["the same name", "'a' 2 times"], id="repeated name"),
        pytest.param("a,y\n1,2\n1,2,3\n", ["Received 3 in line 3"], id="a cell too many"),
        pytest.param("a,y\n1,2\n\n1\n", ["Received 1 in line 4"], id="a cell too few"),
        pytest.param("a,y\n1,2\n,3\n", ["missing", "'' in line 3, column 'a'"], id="no value"),
        pytest.param("a,y\n1,?\n", ["missing", "'?' in line 2, column 'y'"], id="question mark"),
        pytest.param("a,y\n1,x\n1,NA\n", ["missing", "'NA' in line 3, column 'y'"], id="NA class"),
        pytest.param("a,y\nnan,1\n", ["missing", "'nan' in line 2, column 'a'"], id="nan"),
        pytest.param("a,y\n1,2\nred,3\n", ["'red' in line 3, column 'a'"], id="text feature"),
        pytest.param("a,y\n-inf,3\n", ["'-inf' in line 2, column 'a'"], id="infinite feature"),
        pytest.param("a,y\n1_0,3\n", ["'1_0' in line 2, column 'a'"], id="underscore"),
        pytest.param("a,y\n1,2\n1,x\n", ["column 'y'", "'x' in line 3", "task"], id="mixed target"),
        pytest.param("a,y\n1,1\n1,-1\n", ["'y'", "from 0", "-1 in line 3"], id="negative class"),
        pytest.param("a,y\n1,1.5\n1,inf\n", ["'y'", "'inf' in line 3"], id="infinite target"),
        pytest.param("a,y\n1,0.5\n2,1\n", ["too few examples"], id="two rows"),
        pytest.param('a,y\n1,"x\n', ["could not be read"], id="open quote"),
    ],
)
def test_a_csv_that_is_no_table_is_refused_with_the_place_of_the_fault(csv_file, text, words):
    path = csv_file(text)
    with refused(path.name, *words):
        data.load(path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_rows_of_a_csv_say_what_separates_its_cells(csv_file, delimiter):
    rows = "".join(f"{i}.5,{i},c {i % 2}\n" for i in range(9))
    path = csv_file("a b,b,y\n".replace(",", delimiter) + rows.replace(",", delimiter))
    loaded = data.load(path)
    assert (loaded.columns, loaded.class_names) == (("a b", "b"), ("c 0", "c 1"))
    named = "tab" if delimiter == "\t" else delimiter
    assert data.load(path, delimiter=named).digests == loaded.digests
    with refused("Impossible delimiter", "'--'"):
        data.load(path, delimiter="--")


@pytest.mark.parametrize("encoding", ["gbk", "utf-16", "utf-8-sig", "latin-1"])
def test_a_csv_is_read_in_its_encoding(csv_file, recwarn, encoding):
    words = ("größe", "groß", "klein") if encoding == "latin-1" else ("身高", "大", "小")
    text = f"{words[0]},y\n" + f"1.5,{words[1]}\n2.5,{words[2]}\n" * 5
    path = csv_file(text, encoding=encoding)
    given = encoding if encoding == "latin-1" else None
    loaded = data.load(path, encoding=given)
    assert (loaded.columns, set(loaded.class_names)) == ((words[0],), set(words[1:]))
    assert [str(each.message)[-29:] for each in recwarn] == (
        ["GBK; encoding says another one"[-29:]] if encoding == "gbk" else []
    )
    with refused("Unknown encoding", "'utf-99'"):
        data.load(path, encoding="utf-99")


@pytest.mark.parametrize(("columns", "count"), [(1, 40_000), (20, 4000)])
def test_a_csv_takes_less_than_six_times_its_size(csv_file, columns, count):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(count, columns + 1)).round(4).tolist()
    rows = [",".join(map(str, row)) for row in values]
    names = [*(f"c{i}" for i in range(columns)), "y"]
    path = csv_file("\n".join([",".join(names), *rows]))
    # What is imported does not remember the file.
    data.load(csv_file(column([0.5] * 9), "small.csv"))
    tracemalloc.start()
    data.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * path.stat().st_size


def test_a_csv_that_is_not_utf_8_is_refused_by_name(csv_file):
    path = csv_file("größe,y\n1,2\n", encoding="latin-1")
    with refused(path, "UTF-8"):
        data.load(path)


@pytest.mark.parametrize("value", ["1e39", "-1e300"])
def test_numbers_that_float32_cannot_hold_are_refused(csv_file, value):
    with refused("not finite"):
        data.load(csv_file("a,y\n" + f"{value},0.5\n" * 9))
    with refused("too large"):
        data.load(csv_file("a,y\n" + f"0.5,{value}\n" * 9))


@pytest.mark.parametrize("column", ["id", "y"])
def test_integers_that_become_one_number_on_the_way_are_refused_by_column(tmp_path, column):
    numbers = {"id": np.arange(9), "a": np.arange(9) / 2, "y": np.arange(9) * 1000}
    numbers[column] = 2**60 + np.arange(9)
    frame = pd.DataFrame(numbers)
    frame.to_csv(tmp_path / "a.csv", index=False)
    with refused(tmp_path / "a.csv", "on the way to float32", f"{column!r}", str(2**60 + 1)):
        data.load(tmp_path / "a.csv", task="regression")
    with refused("float32"):
        data.load(frame, target="y", task="regression")
    with refused("on the way to float32", f"{column!r}"):
        data.load(frame)
    frame[column] = 2**60
    if column == "id":
        frame.to_csv(tmp_path / "a.csv", index=False)  # all the same: nothing is lost
        assert len(data.load(tmp_path / "a.csv", task="regression").train) == 7


def test_a_csv_with_nul_bytes_is_told_its_encoding(tmp_path):
    (tmp_path / "a.csv").write_bytes("a,y\n1,2\n".encode("utf-16-le"))
    with refused("NUL bytes", "encoding, such as 'utf-16-le'"):
        data.load(tmp_path / "a.csv")


def test_an_unknown_target_column_is_refused_with_the_columns(csv_file):
    with refused("'z'", "one of a, b, y"):
        data.load(csv_file("a,b,y\n1,2,3\n"), target="z")


@pytest.mark.parametrize(
    ("values", "task", "words"),
    [
        (["x", "y"] * 5, "regression", ["not numeric", "'x' in line 2"]),
        ([0.5, 1] * 5, "classification", ["no class numbers", "0.5 in line 2"]),
        ([1] * 9, "ranking", ["Unknown task", "classification, regression", "'ranking'"]),
    ],
)
def test_a_task_that_a_column_does_not_fit_is_refused(csv_file, values, task, words):
    with refused(*words):
        data.load(csv_file(column(values)), task=task)


# Targets of arrays and .npz files.


@pytest.mark.parametrize("shape", [(30,), (30, 2)], ids=str)
def test_targets_of_an_array_stay_with_their_rows(shape):
    x = np.linspace(-1, 1, 90).reshape(30, 3)
    y = np.arange(np.prod(shape)).reshape(shape)
    loaded = data.load(x, targets=y)
    assert (loaded.task, sizes(loaded)) == ("regression", (24, 3, 3))
    for split in splits_of(loaded):
        index = np.rint((split.values()[:, 0] + 1) * 89 / 2 / 3).astype(int)
        np.testing.assert_array_equal(split.y, y[index])


def test_floats_in_an_npz_are_targets_and_integers_labels(tmp_path):
    x, y = np.linspace(-1, 1, 90).reshape(30, 3), np.arange(30)
    for dtype, task in ((np.int64, "classification"), (np.float64, "regression")):
        np.savez(tmp_path / "a.npz", x=x, y=y.astype(dtype))
        assert data.load(tmp_path / "a.npz").task == task
        assert data.load(tmp_path / "a.npz", task="regression").task == "regression"
    np.savez(tmp_path / "a.npz", x=x)
    assert data.load(tmp_path / "a.npz").task is None


def test_one_hot_floats_in_an_npz_are_labels_unless_the_task_says_otherwise(tmp_path):
    x, y = np.linspace(-1, 1, 24).reshape(12, 2), np.eye(3)[np.arange(12) % 3]
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_test=np.arange(12) % 3)
    loaded = data.load(tmp_path / "a.npz", task="classification")
    np.testing.assert_array_equal(loaded.test.labels, np.arange(12) % 3)
    np.savez(tmp_path / "a.npz", x=x, y=y)
    assert (data.load(tmp_path / "a.npz").task, data.load(tmp_path / "a.npz").num_classes) == (
        "classification",
        3,
    )
    assert data.load(tmp_path / "a.npz", task="regression").train.targets.shape[1:] == (3,)
    np.savez(tmp_path / "a.npz", x=x, y=np.repeat([[0.0, 1.0], [1.0, 1.0]], 6, 0))
    assert data.load(tmp_path / "a.npz").task == "regression"


def test_wide_targets_of_an_npz_keep_their_splits(tmp_path):
    x, y = np.linspace(-1, 1, 90).reshape(30, 3), np.random.default_rng(0).normal(size=(30, 2))
    np.savez(tmp_path / "a.npz", x_train=x[:20], y_train=y[:20], x_test=x[20:], y_test=y[20:])
    loaded = data.load(tmp_path / "a.npz")
    assert (sizes(loaded), loaded.task) == ((18, 2, 10), "regression")
    np.testing.assert_array_equal(loaded.test.y, y[20:].astype(np.float32))


@pytest.mark.parametrize(
    ("arrays", "task", "words"),
    [
        pytest.param({}, "regression", ["nothing to learn"], id="no y"),
        pytest.param(
            {"y_train": np.array(["a", ""] * 4 + ["b"])}, None, ["train labels", "''"], id="text"
        ),
        pytest.param(
            {"y_train": np.array(["a"] * 9)},
            "regression",
            ["target values are not numbers"],
            id="words",
        ),
        pytest.param(
            {"y_train": np.full(9, 0.5)}, "classification", ["train labels", "0.5"], id="fractions"
        ),
        pytest.param(
            {"y_train": np.arange(9) - 2}, None, ["train labels", "-2 at index (0,)"], id="negative"
        ),
        pytest.param(
            {"y_train": np.full(9, np.nan)}, None, ["train target", "nan at index (0,)"], id="NaN"
        ),
        pytest.param(
            {"y_train": np.zeros(9), "y_test": np.zeros(9, int)}, None, ["differ in type"], id="two"
        ),
        pytest.param(
            {"y_train": np.zeros(9), "y_test": np.zeros((9, 2))},
            None,
            ["differ in shape"],
            id="another shape in the test split",
        ),
        pytest.param({"y_train": np.zeros(8)}, None, ["targets do not fit", "(9,)"], id="short"),
    ],
)
def test_unusable_y_of_an_npz_is_refused(tmp_path, arrays, task, words):
    x = np.linspace(-1, 1, 27).reshape(9, 3)
    np.savez(tmp_path / "a.npz", x_train=x, x_test=x, **arrays)
    with refused(*words):
        data.load(tmp_path / "a.npz", task=task)


def test_labels_and_targets_of_an_array_together_are_refused():
    with refused("both labels and targets", "(9,)", "(9, 1)"):
        data.load(np.zeros((9, 4)), labels=np.zeros(9, int), targets=np.zeros((9, 1)))


# Arguments that do not apply.


@pytest.mark.parametrize(
    ("argument", "value", "forms"),
    [
        ("labels", np.zeros(9, int), ["digits", "wine", "uci/yacht", ".csv", ".npz", "folder"]),
        ("targets", np.zeros(9), ["digits", "wine", "uci/yacht", ".csv", ".npz", "folder"]),
        ("target", "y", ["array", "digits", "wine", "uci/yacht", ".npz", "folder"]),
        ("task", "regression", ["array", "digits", "wine", "uci/yacht", "folder"]),
        ("split", 0, ["array", "digits", "wine", ".csv", ".npz", "folder"]),
    ],
)
def test_an_argument_that_does_not_apply_is_refused_with_where_it_goes(
    tmp_path, csv_file, argument, value, forms
):
    np.savez(tmp_path / "a.npz", x=np.zeros((9, 4)), y=np.zeros(9))
    sources = {
        "array": np.zeros((9, 4)),
        ".csv": csv_file(column([0.5] * 9)),
        ".npz": tmp_path / "a.npz",
        "folder": tmp_path,
    }
    for form in forms:
        with refused(f"{argument} does not apply", f"{argument}=None; it goes with a"):
            data.load(sources.get(form, form), **{argument: value})


def test_a_table_is_loaded_without_tensorflow(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,y\n" + "".join(f"{i},{2.5 * i},{i % 3}\n" for i in range(60)))
    code = (
        "import sys, tfp_vae as tv; split = tv.data.load(sys.argv[1]).train; "
        "print(split.values().shape[1:], {'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "(2,) set()"
