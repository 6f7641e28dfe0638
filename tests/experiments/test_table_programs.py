"""Programs of tables: a table in, a table out, a model between them."""

import json

import keras
import numpy as np
import pandas as pd
import pytest


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C in the second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch:
            raise KeyboardInterrupt


@pytest.mark.always(reason="programs that people run, from their flags to their files")
def test_a_table_is_filled_and_drawn_by_the_model_of_one_run(
    program, succeeds, refused, tmp_path, monkeypatch
):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": [f"n{i}" for i in range(60)],
            "size": rng.normal(size=60).round(3),
            "kind": rng.choice(["a", "b", "c"], 60),
            "count": rng.poisson(3, 60),
        }
    )
    frame.loc[3, "size"] = frame.loc[5, "kind"] = None
    frame.to_csv(tmp_path / "in.csv", index=False)
    given = ["--data=in.csv", "--run_dir=run"]
    small = ["--epochs=2", "--hidden=4", "--latent_dim=1", "--columns=id:drop"]
    monkeypatch.setattr("tfp_vae.training.ShowProgress", Interrupt)
    command = ["impute", "--out=out.csv", *given, *small, "--num_importance_samples=5"]
    status, out, _ = program(*command)
    assert status == 130 and "kind    categorical  a, b, c" in out
    assert "after epoch 1, the last whole one" in out and "saved run/model.keras" in out
    known = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert known["epochs"] == 1 and known["interrupted"]
    out = succeeds(*command)  # by the model that there is
    assert "2 cells filled" in out and "its training was interrupted after epoch 1" in out
    filled = pd.read_csv(tmp_path / "out.csv")
    assert not filled.isna().any().any() and list(filled) == list(frame)
    assert filled["id"].tolist() == frame["id"].tolist() and filled["count"].dtype == int
    cells = pd.read_csv(tmp_path / "run" / "imputed.csv")
    assert cells["row"].tolist() == [3, 5]
    with monkeypatch.context() as patch:  # a large table, part by part
        patch.setattr("tfp_vae.data.column_files.MOST_WHOLE", 0)
        patch.setattr("tfp_vae.data.column_files.ROWS", 30)
        again = ["--out=again.csv", "--num_importance_samples=5", "--columns=id:drop"]
        assert "30 of 60 rows filled" in succeeds("impute", *given, *again)
    again, gone = pd.read_csv(tmp_path / "again.csv"), frame.isna()
    assert not again.isna().any().any()
    pd.testing.assert_frame_equal(again.mask(gone), filled.mask(gone))
    same = ("--data=in.csv", "--out=./in.csv", "--run_dir=run")
    for program in ("impute", "synthesize", "detect", "predict"):
        assert "would replace the data" in refused(program, *same)
    before = (tmp_path / "run" / "model.keras").read_bytes()
    succeeds("synthesize", "--out=new.parquet", *given, "--num_rows=30")
    drawn = pd.read_parquet(tmp_path / "new.parquet")
    assert list(drawn) == ["size", "kind", "count"] and len(drawn) == 30
    assert set(drawn["kind"]) <= set("abc") and drawn["count"].dtype == int
    report = json.loads((tmp_path / "run" / "synthetic.json").read_text())
    assert set(report["marginals"]) == {"size", "kind", "count"}
    assert (tmp_path / "run" / "model.keras").read_bytes() == before
