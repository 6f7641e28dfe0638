"""Frames of polars in and out: rows, columns and dtypes are those that went in."""

import numpy as np
import pytest

from tfp_vae import data, evaluation
from tfp_vae.data import Schema

pl = pytest.importorskip("polars")
pytest.importorskip("polars.testing")
ROWS = 12


def made():
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "size": rng.normal(size=ROWS).astype(np.float32).astype(float),
            "town": ["xyz"[i % 3] for i in range(ROWS)],
            "visits": [None if i == 2 else i for i in range(ROWS)],
            "ok": [bool(i % 2) for i in range(ROWS)],
            "side": pl.Series(["lr"[i % 2] for i in range(ROWS)], dtype=pl.Categorical),
            "mark": pl.Series(["sml"[i % 3] for i in range(ROWS)], dtype=pl.Enum(list("sml"))),
            "part": pl.Series(np.arange(ROWS) / 8, dtype=pl.Float32),
            "gap": [None if i == 4 else i / 4 for i in range(ROWS)],
        }
    )


def test_a_frame_of_polars_comes_back_as_it_was():
    frame = made()
    found = Schema.infer(frame)
    assert found.names == tuple(frame.columns)
    kinds = "real categorical count binary binary categorical real real".split()
    assert [column.kind for column in found] == kinds and found[5].levels == ("s", "m", "l")
    values = found.encode(frame[frame.columns[::-1]])  # in another order
    assert np.argwhere(np.isnan(values)).tolist() == [[2, 2], [4, 7]]
    pl.testing.assert_frame_equal(found.decode(values, frame), frame, rel_tol=1e-6)


def test_cells_are_filled_in_a_frame_of_polars_and_the_others_are_as_they_were():
    frame = made().with_columns(pl.Series("note", [f"n{i}" for i in range(ROWS)]))
    found = Schema.infer(frame, {"note": "drop"})
    values = found.encode(frame.drop("note"))
    best = np.where(np.isnan(values), 2.0, values)
    guess = evaluation.Completed(best, best[np.newaxis], best, best, best, best[:, 0])
    filled = evaluation.filled(found, frame, guess)
    assert filled.columns == frame.columns and filled.schema == frame.schema
    assert filled["visits"].to_list() == [2 if i == 2 else i for i in range(ROWS)]
    assert filled["gap"][4] == 2.0 and filled.drop("visits", "gap").equals(
        frame.drop("visits", "gap")
    )
    drawn = evaluation.filled(found, frame, guess, num_draws=1)
    assert drawn.columns == ["imputation", *frame.columns] and len(drawn) == ROWS
    cells = evaluation.imputed_cells(found, frame, guess)
    assert cells["row"].tolist() == [2, 4] and cells["column"].tolist() == ["visits", "gap"]


def test_a_frame_of_polars_is_loaded_with_its_names():
    loaded = data.load(made(), target="town", columns={"gap": "real"})
    assert loaded.class_names == ("x", "y", "z")
    whole = data.load(made())
    assert whole.columns == tuple(made().columns)
    assert sum(len(split) for split in (whole.train, whole.validation, whole.test)) == ROWS
