"""Tables larger than memory: what is read by columns is what the whole table would be."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from data_cases import refused, splits_of

from tfp_vae import data
from tfp_vae.data import Schema, column_files, streams
from tfp_vae.data.column_files import ColumnFile

ROWS = 1200


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    made = pd.DataFrame(
        {
            "age": rng.normal(40, 10, ROWS).round(3),
            "income": np.exp(rng.normal(10, 1, ROWS)).round(2),
            "visits": rng.negative_binomial(2, 0.3, ROWS),
            "town": rng.choice(["a", "b", "c"], ROWS),
            "ok": rng.random(ROWS) < 0.3,
            "code": rng.choice(["7", "08", "x"], ROWS, p=[0.6, 0.397, 0.003]),
            "late": [None] * 800 + ["f", "m"] * 200,
            "y": rng.choice(["no", "yes"], ROWS),
        }
    )
    for name in ("age", "visits", "town"):
        made.loc[rng.random(ROWS) < 0.05, name] = None
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory, frame):
    path = tmp_path_factory.mktemp("large")
    frame.to_csv(path / "a.csv", index=False)
    frame.to_parquet(path / "a.parquet", index=False)
    return path


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(column_files, "_CELLS", 8 * 130)  # rows of a part
    monkeypatch.setattr(column_files, "_BLOCK", 2**12)
    monkeypatch.setattr(streams, "_BLOCK_BYTES", 2**13)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("target", [None, "y"])
def test_a_table_that_streams_is_the_one_in_memory_to_the_last_bit(folder, ending, target):
    path = folder / f"a.{ending}"
    whole, large = (
        data.load(path, columns={}, target=target, in_memory=each) for each in (True, False)
    )
    assert large.schema == whole.schema and large.digests == whole.digests
    for one, other in zip(splits_of(whole), splits_of(large), strict=True):
        assert isinstance(other.stored, streams.Stream) and isinstance(one.stored, np.ndarray)
        np.testing.assert_array_equal(one.values(), other.values())
        np.testing.assert_array_equal(one.observed, other.observed)
        for number in range(one.shape[0]):
            of_other = streams.column(other.by_columns(), number)
            np.testing.assert_array_equal(streams.column(one.by_columns(), number), of_other)
        assert target is None or np.array_equal(one.labels, other.labels)


def test_a_large_file_is_read_by_columns_and_small_values_stay_in_memory(folder, monkeypatch):
    path = folder / "a.parquet"
    assert isinstance(column_files.open_table(path), pd.DataFrame)
    monkeypatch.setattr(column_files, "MOST_WHOLE", 1000)
    assert isinstance(column_files.open_table(path), ColumnFile)
    assert isinstance(data.load(path).train.stored, np.ndarray)
    monkeypatch.setattr(column_files, "MOST_BYTES", 4 * 8 * ROWS - 1)
    assert isinstance(data.load(path).train.stored, streams.Stream)


def test_columns_left_out_are_not_looked_at_and_kinds_can_be_said(folder):
    columns = {"late": "drop", "visits": "real", "town": ("c", "b", "a")}
    whole, large = (
        data.load(folder / "a.csv", columns=columns, in_memory=each) for each in (True, False)
    )
    assert large.schema == whole.schema and "late" not in large.schema.names
    assert large.digests == whole.digests


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gbk", "utf-16"])
def test_separators_of_thousands_are_found_wherever_they_are(tmp_path, encoding):
    rows = [f"北京;{800 + i};0,{i % 9}" for i in range(300)]
    path = tmp_path / "a.csv"
    text = "\n".join(["城市;收入;比", *rows, '"上; 海";1,234;2,25', ";;"])
    path.write_text(text + "\n", encoding=encoding)
    whole = data.read_frame(path)
    large = column_files.open_table(path, in_memory=False)
    assert large.columns == ["城市", "收入", "比"] and len(large) == 302
    for name in large.columns:
        pd.testing.assert_series_equal(large[name], whole[name])
    assert Schema.infer(large) == Schema.infer(whole)


def test_rows_of_a_large_file_are_those_of_a_small_one_and_bad_ones_are_said(
    tmp_path, folder, frame, monkeypatch
):
    schema = Schema.infer(frame.drop(columns=["late", "y"]))
    model = SimpleNamespace(intake=SimpleNamespace(schema=schema, columns=schema.names))
    frame = frame.copy()
    frame.loc[[3, 1100], "town"] = ["elsewhere", "nowhere"]
    frame.to_csv(tmp_path / "bad.csv", index=False)
    frame.to_parquet(tmp_path / "bad.parquet", index=False)
    with pytest.warns(UserWarning, match="late, y"):
        whole = data.rows.read(tmp_path / "bad.csv", model, keep_going=True)
    monkeypatch.setattr(column_files, "MOST_WHOLE", 0)
    monkeypatch.setattr(data.rows, "_ROWS", 500)
    for name in ("bad.csv", "bad.parquet"):
        with pytest.warns(UserWarning, match="late, y"):
            rows = data.rows.read(tmp_path / name, model, keep_going=True)
        assert list(rows.refused) == [4, 1101] and "'nowhere'" in rows.refused[1101]
        np.testing.assert_array_equal(rows.numbers, whole.numbers)
        np.testing.assert_array_equal(rows.values, whole.values)
        with refused("'town'", "'elsewhere' in row 4"), pytest.warns(UserWarning):
            data.rows.read(tmp_path / name, model)
        with pytest.warns(UserWarning):
            some = data.rows.read(tmp_path / name, model, unknown="missing")
        assert len(some.numbers) == len(whole.numbers) + 2


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_parts_of_a_large_table_are_written_as_the_whole_one(tmp_path, folder, ending):
    table = column_files.open_table(folder / f"a.{ending}", in_memory=False)
    data.write_frames(table.frames(500), tmp_path / f"b.{ending}")
    whole, parts = (data.read_frame(each / f"{name}.{ending}")
                    for each, name in ((folder, "a"), (tmp_path, "b")))  # fmt: skip
    pd.testing.assert_frame_equal(parts, whole)


def test_errors_are_those_of_a_small_file(tmp_path):
    for rows, words in (
        (["1,x"] * 300 + ["inf,y"], ["'a'", "not finite", "row 300"]),
        (["1,x"] * 300, ["'a' is constant"]),
        (["1,x", "2,y"] * 150 + ["3"] + ["1,z,4"], ["could not be read", "line 303"]),
        (["1,2,3"] * 9, ["rows of another length"]),
        ([], ["is empty"]),
    ):
        path = tmp_path / "a.csv"
        path.write_text("\n".join(["a,b", *rows]) + "\n")
        with refused(*words):
            Schema.infer(column_files.open_table(path, in_memory=False))
    path.write_text("a,a\n1,2\n")
    with refused("same name", "'a' 2 times"):
        column_files.open_table(path, in_memory=False)
    (tmp_path / "a.parquet").write_bytes(b"no table")
    with refused("could not be read", ".parquet"):
        column_files.open_table(tmp_path / "a.parquet", in_memory=False)


def test_a_disk_without_room_is_told_before_anything_is_written(folder, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 10}))
    with refused("temporary files", "TMPDIR", "10", error=OSError):
        data.load(folder / "a.parquet", in_memory=False)


@pytest.mark.all_only
def test_batches_and_units_of_a_table_that_streams_are_those_in_memory(folder):
    import tfp_vae as tv

    whole, large = (data.load(folder / "a.parquet", in_memory=each) for each in (True, False))
    for one, other in zip(whole.train.epoch(500, 1, 2), large.train.epoch(500, 1, 2), strict=True):
        np.testing.assert_array_equal(one, other)
    found = []
    for each in (whole, large):
        recipe = tv.methods.VAERecipe(latent_dim=2, hidden=(4,), missing="not_at_random")
        vae = recipe.build(each, seed=0)
        vae.adapt(each.train)
        found.append([x.numpy() for x in vae.non_trainable_variables])
    assert sum(np.ptp(x) > 0 for x in found[0] if x.size) > 3
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_time_that_is_left_of_a_long_reading_is_said(folder, monkeypatch, capsys):
    monkeypatch.setattr(column_files, "_QUIET", 0.0)
    column_files._Told(folder / "a.csv").at(100)
    assert "a.csv: 0 % read, " in capsys.readouterr().err
