"""Exact models have the log p(x) that they say, and the ladder stands in its order."""

import json

import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae import report
from tfp_vae.evaluation.annealing import simulate
from tfp_vae.models.proposals import Joint
from tfp_vae.randomness import fold_in
from tfp_vae.studies import ladder
from tfp_vae.studies.exact import EXACT

QUICK = ladder.Settings(6, num_steps=20, num_chains=8, num_elbo_samples=50, samples=(50,))


@pytest.mark.parametrize("name", EXACT)
def test_exact_log_p_is_that_of_importance_sampling(name, base_seed):
    exact = EXACT[name](seed=base_seed)
    x = simulate(exact.vae, 6, None, fold_in(base_seed))[1].values()
    joint = Joint(exact.vae.at(0), tf.constant(x), None)
    z = joint.sample_prior(4000, fold_in(base_seed, 1))
    log_w = joint.log_likelihood(z).numpy().astype(np.float64)
    found = np.logaddexp.reduce(log_w, axis=0) - np.log(len(log_w))
    error = np.exp(log_w - found).std(axis=0) / np.sqrt(len(log_w))
    assert np.all(np.abs(found - exact.log_evidence(x)) < 4 * error)


def test_the_ladder_of_an_exact_model_stands_in_its_order_and_is_written(tmp_path):
    exact = ladder.made("ppca", 0)
    found = {"ppca": ladder.of_simulated(exact.vae, QUICK, exact)}
    rungs = found["ppca"].rungs
    assert [rung.name for rung in rungs] == ["ELBO", "L_50", "AIS", "exact", "reverse AIS"]
    assert found["ppca"].disorder() == []
    below = ladder.Rung("AIS", rungs[-1].values - 1)
    assert ladder.Ladder((rungs[-1], below), {}).disorder()[0].startswith("AIS is 1 nats below")
    run = report.RunFolder(tmp_path / "run")
    run.create()
    text = ladder.write(run, found, QUICK, {"exact": "ppca"})
    assert "reverse AIS" in text and "of moves accepted" in text
    written = json.loads((tmp_path / "run" / "bounds.json").read_text())
    assert [row["bound"] for row in written["ladders"]["ppca"]] == [rung.name for rung in rungs]
    assert (tmp_path / "run" / "bounds.png").exists()
    assert (tmp_path / "run" / "bounds.txt").read_text() == f"{text}\n"


def test_discrete_latents_have_a_ladder_without_annealing():
    exact = ladder.made("enumeration", 0)
    found = ladder.of_simulated(exact.vae, QUICK, exact)
    assert [rung.name for rung in found.rungs] == ["ELBO", "L_50", "exact"]
    assert "no AIS. Latents are moved along gradients" in ladder.text({"bits": found})


@pytest.mark.all_only
def test_latents_on_a_sphere_have_a_ladder_without_annealing(binary_images):
    encoder = tv.encoders.VonMisesFisher(tv.networks.mlp([2]), 3)
    decoder = tv.decoders.Bernoulli(tv.networks.mlp([2]), (2, 2, 1))
    vae = tv.VAE(tv.priors.VonMisesFisher(3), encoder, decoder)
    split = tv.data.Split(binary_images(3, (2, 2, 1)), "static", name="test")
    found = ladder.of_run(vae, split, QUICK)
    assert [rung.name for rung in found["test"].rungs] == ["ELBO", "L_50"]
    assert ladder.text(found).count("no AIS. Proposals in R^D miss a sphere") == 2
