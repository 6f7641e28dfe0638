"""The program of bounds on log p(x): of a run, of an exact model, and what it refuses."""

import json

import keras
import pytest

import tfp_vae as tv

TINY = ("--num_steps=3", "--num_chains=2", "--num_examples=5", "--samples=100")


@pytest.fixture
def saved(tmp_path):
    """Returns a function that makes a run folder of a model of the digits."""

    def save(model):
        (tmp_path / "run").mkdir()
        model.save(tmp_path / "run" / "model.keras")

    return save


@pytest.mark.always(reason="a program that people run, from its flags to its files")
def test_bounds_of_a_run_are_those_of_its_data_and_of_its_own(saved, make_vae, succeeds, tmp_path):
    saved(make_vae((8, 8, 1), decoder=tv.decoders.Normal, data_kind="unit_interval"))
    out = succeeds("bounds", "--run_dir=run", "--dataset=digits", *TINY)
    found = json.loads((tmp_path / "run" / "bounds.json").read_text())
    assert [row["bound"] for row in found["ladders"]["test"]] == ["ELBO", "L_100", "AIS"]
    assert found["ladders"]["drawn from the model"][-1]["bound"] == "reverse AIS"
    assert found["settings"]["num_steps"] == 3 and found["kind"] == "unit_interval"
    assert out.startswith("AIS of test, step 3/3") and "reverse AIS" in out


def test_a_run_of_another_sort_is_refused_before_work(saved, refused):
    network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
    model = tv.BayesianNetwork(network, tv.likelihoods.Categorical(10))
    model.build((None, 8, 8, 1))
    saved(model)
    line = refused("bounds", "--run_dir=run", "--dataset=digits", *TINY)
    assert "Expected the folder of one. Received a BayesianNetwork" in line


def test_flags_of_a_run_and_of_an_exact_model_do_not_mix(refused):
    assert "--dataset has no effect" in refused("bounds", "--exact=ppca", "--dataset=mnist")
    assert "--overwrite has no effect" in refused("bounds", "--overwrite")
    assert "samples" in refused("bounds", "--samples=0")
    assert "Did you mean ppca?" in refused("bounds", "--exact=pca")
