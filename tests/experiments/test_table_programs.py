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
    assert cells["row"].tolist() == [4, 6]  # as detect and predict count
    with monkeypatch.context() as patch:  # a large table, part by part
        patch.setattr("tfp_vae.data.column_files.MOST_WHOLE", 0)
        patch.setattr("tfp_vae.data.column_files.ROWS", 30)
        again = ["--out=again.csv", "--num_importance_samples=5", "--columns=id:drop"]
        assert "30 of 60 rows filled" in succeeds("impute", *given, *again)
    again, gone = pd.read_csv(tmp_path / "again.csv"), frame.isna()
    assert not again.isna().any().any()
    pd.testing.assert_frame_equal(again.mask(gone), filled.mask(gone))
    same = ("--data=in.csv", "--out=./in.csv", "--run_dir=run")
    for name in ("impute", "synthesize", "detect", "predict"):
        assert "would replace the data" in refused(name, *same)
    before = (tmp_path / "run" / "model.keras").read_bytes()
    few = ["--out=new.parquet", *given, "--num_rows=30"]
    assert "z is drawn from" in succeeds("synthesize", *few)
    drawn = pd.read_parquet(tmp_path / "new.parquet")
    assert list(drawn) == ["size", "kind", "count"] and len(drawn) == 30
    assert set(drawn["kind"]) <= set("abc") and drawn["count"].dtype == int
    report = json.loads((tmp_path / "run" / "synthetic.json").read_text())
    assert set(report["marginals"]) == {"size", "kind", "count"}
    assert (tmp_path / "run" / "model.keras").read_bytes() == before
    assert "z is drawn from" not in succeeds("synthesize", *few, "--fit_prior=none")
    frame["kind"] = frame["kind"].fillna("z")  # a class that no row of the training had
    frame.to_csv(tmp_path / "more.csv", index=False)
    more = ["--data=more.csv", "--out=more_filled.csv", *given[1:], "--columns=id:drop"]
    status, _, said = program("impute", *more)
    assert status == 2 and "'kind'" in said and "'z' in row 6" in said
    assert "--unknown=missing" in said
    succeeds("impute", *more, "--unknown=missing", "--num_importance_samples=5")
    filled = pd.read_csv(tmp_path / "more_filled.csv")
    assert filled.loc[5, "kind"] == "z" and not filled.isna().any().any()


def test_flags_that_do_not_fit_the_columns_are_refused_before_any_training(refused, tmp_path):
    frame = pd.DataFrame({"size": np.arange(30) % 7 - 0.5, "kind": ["a", "b", "c"] * 10})
    frame.to_csv(tmp_path / "in.csv", index=False)
    frame.rename(columns={"size": "imputation"}).to_csv(tmp_path / "numbered.csv", index=False)
    given = ("--data=in.csv", "--out=out.csv", "--run_dir=run")
    for command, words in (
        (("synthesize", *given, "--given=kinds=a"), "Did you mean kind"),
        (("synthesize", *given, "--given=kind=z"), "one of a, b, c"),
        (("synthesize", *given, "--given=size=big"), "'big'"),
        (("synthesize", *given, "--target=kinds"), "Did you mean kind"),
        (("impute", "--data=numbered.csv", *given[1:], "--num_draws=2"), "'imputation'"),
    ):
        assert words in refused(*command), command
        assert not (tmp_path / "run").exists()
