"""With few labels a posterior of all weights learns nothing; the report says so, and who does."""

import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae import report
from tfp_vae.studies import comparison
from tfp_vae.studies.comparison import plan, results


@pytest.mark.all_only
@pytest.mark.dear(reason="two trainings with a hundred labels, as long as those of a comparison")
def test_collapse_with_few_labels_is_named_and_a_bayesian_last_layer_learns(tmp_path, monkeypatch):
    data = tv.data.load("digits", kind="unit_interval")
    settings = comparison.Settings.of(
        "quick", data, tasks=("labels",), label_counts=(100,), rate_factors=(10,)
    )
    monkeypatch.setattr(plan, "LEAST_SEEDS", 1)
    run = comparison.Comparison(tmp_path / "run", data, settings, ["bnn", "bnn_last_layer"], 1)
    lines = []
    run.run(lines.append)
    values = results.summarise(run, "", [])
    report.validate(values)
    trained = {name: model["training"] for name, model in values["models"].items()}
    # The KL falls to that of the prior in the end; a training that stops before is told as well.
    assert trained["bnn"]["below_guess"] and trained["bnn"]["guess"] == pytest.approx(-np.log(10))
    assert values["models"]["bnn"]["collapsed_labels"] == [100]
    last = trained["bnn_last_layer"]
    assert not last["collapsed"] and not last["below_guess"]
    assert [("below guessing" in line) for line in lines if "ELBO" in line] == [True, False]
    accuracy = {r["model"]: r["mean"] for r in values["results"] if r["metric"] == "accuracy"}
    assert accuracy["bnn_last_layer"] >= 0.85 and accuracy["bnn"] < 0.3
    texts = report.texts.Texts("en")
    bnn, last = report.page.trainings(values, texts)
    sentence = texts.say("training", "collapsed_labels", labels="100")
    assert sentence in bnn and sentence not in last
