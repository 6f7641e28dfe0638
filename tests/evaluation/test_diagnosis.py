"""The collapse doctor: five broken models have five names, a healthy one has none."""

import json
import math

import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae.distributions.base import inverse_positive
from tfp_vae.evaluation import diagnosis
from tfp_vae.studies.exact import EXACT

NOISE, N = 0.1, 200
# Orthogonal columns, so that the exact posterior has no covariances.
LOADINGS = np.array([[1, 1], [1, -1], [1, 1], [1, -1], [1, 1], [1, -1]]) / 2.0


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 2)) @ LOADINGS.T + NOISE * rng.normal(size=(N, 6))
    return tv.data.Split(x.astype(np.float32), "real", np.arange(N) % 2, name="train")


def best(data):
    """The scale of a decoder that does not read z."""
    return float(np.sqrt(np.mean(data.values() ** 2)))


def model(scale=NOISE, encodes=True, decodes=True, hidden=(), **options):
    """Returns the linear VAE of the data; without weights where it does not encode or decode."""
    made = tv.ConditionalVAE if "num_classes" in options else tv.VAE
    vae = made(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([]), 2),
        decoder=tv.decoders.Normal(tv.networks.mlp(hidden), (6,), scale),
        data_kind="real",
        **options,
    )
    kernel, bias = (np.zeros_like(w) for w in vae.encoder.projection.get_weights())
    bias[2:] = inverse_positive(1.0)
    if encodes:
        precision = 1 + np.sum(LOADINGS**2, axis=0) / NOISE**2
        kernel[:6, :2] = LOADINGS / NOISE**2 / precision
        bias[2:] = [inverse_positive(s) for s in precision**-0.5]
    vae.encoder.projection.set_weights([kernel, bias])
    kernel, bias = (np.zeros_like(w) for w in vae.decoder.projection.get_weights())
    if decodes:
        kernel[:2] = LOADINGS.T
    vae.decoder.projection.set_weights([kernel, bias])
    return vae


def test_a_healthy_model_has_no_finding_and_its_numbers_fit_together(data):
    found = tv.evaluation.diagnose(model(), data, num_samples=20, seed=1)
    assert found["findings"] == []
    assert json.loads(json.dumps(found)) == found
    assert found["active_units"] == 2
    assert found["elbo"] == pytest.approx(-found["rate"] - found["distortion"])
    assert found["rate"] == pytest.approx(sum(found["kl_per_dimension"]), rel=1e-5)
    parts = found["mutual_information"] + found["aggregate_kl"]
    assert parts == pytest.approx(found["rate"], abs=0.3)  # one draw of each z
    assert found["mutual_information"] < found["most_information"] == math.log(N)
    assert found["most_of_a_batch"] == math.log(128)
    assert found["gap"] == pytest.approx(0, abs=0.01)  # the posterior is exact
    assert found["scale_ratio"] == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(found["sensitivity"], np.linalg.norm(LOADINGS, axis=0), rtol=1e-5)
    assert "No fault" in tv.report.render_diagnosis(found)


def warmed_up(vae):
    """Returns the model in the eleventh step of a training whose KL is warmed up in ten."""
    vae.objective = tv.objectives.ELBO(tv.objectives.linear(10))
    vae.compile("adam")
    vae.optimizer.build(vae.trainable_variables)
    vae.optimizer.iterations.assign(11)
    return vae


BROKEN = {
    "scale_too_large": lambda data: model(scale=1.0),
    "heavy_kl": lambda data: model(best(data), False, False, objective=tv.objectives.ELBO(50.0)),
    "early_kl": lambda data: model(best(data), False, False, hidden=(4, 4, 4)),
    "dead_encoder": lambda data: model(math.sqrt(2) * best(data), False),
    "strong_decoder": lambda data: model(best(data), False, False, num_classes=2),
    "scale_too_small": lambda data: model(scale=NOISE / 2),
    "lagging_encoder": lambda data: warmed_up(model(best(data), False, False)),
}


@pytest.mark.parametrize("cause", BROKEN)
def test_a_broken_model_is_told_its_cause_and_its_remedy(cause, data):
    found = tv.evaluation.diagnose(BROKEN[cause](data), data, num_samples=2)
    assert found["findings"] == [cause]
    assert cause in diagnosis.FINDINGS
    if not cause.startswith("scale"):  # whose encoder is that of the healthy one
        assert found["active_units"] == 0
        assert found["mutual_information"] == pytest.approx(0, abs=1e-4)
    english, chinese = (tv.report.render_diagnosis(found, each) for each in ("en", "zh"))
    last = english.splitlines()[-1]
    assert last.count(". ") == 1 and last.endswith(".")
    assert chinese.splitlines()[-1].count("。") == 2


@pytest.mark.all_only
def test_the_gap_is_told_apart_into_family_and_encoder_by_its_closed_form(data):
    """Means that are off by c deviations cost c^2 / 2 nats each; diagonal normals are exact."""
    vae, off = model(), 0.5
    kernel, bias = vae.encoder.projection.get_weights()
    deviations = (1 + np.sum(LOADINGS**2, axis=0) / NOISE**2) ** -0.5
    vae.encoder.projection.set_weights([kernel, bias + np.append(off * deviations, [0, 0])])
    found = tv.evaluation.diagnose(vae, data, num_samples=2, gap_examples=4, seed=1)
    assert found["num_gap_examples"] == 4 and found["gap_missing"] is None
    assert found["amortisation_gap"] == pytest.approx(2 * off**2 / 2, abs=0.03)
    # What is left is the noise of log p(x) by 2,000 weights, of variance e^(2 off^2) - 1 each.
    noise = math.sqrt(math.expm1(2 * off**2) / 2000)
    assert found["approximation_gap"] == pytest.approx(0, abs=4 * noise)
    text = tv.report.render_diagnosis(found)
    assert "approximation gap of 4 examples" in text and "amortisation gap" in text


def test_latents_without_a_slope_are_diagnosed_without_the_parts_of_the_gap(base_seed):
    vae = EXACT["enumeration"](seed=base_seed).vae
    x = vae.generate(30, base_seed)["sample"]
    found = tv.evaluation.diagnose(vae, x, num_samples=2, gap_examples=4)
    assert found["num_gap_examples"] == 0 and found["amortisation_gap"] is None
    assert "The gap is not told apart. " in tv.report.render_diagnosis(found)
    assert "Received a discrete z" in found["gap_missing"]


def test_posteriors_far_apart_tell_all_of_the_index_whatever_the_blocks_are():
    x = np.zeros((50, 6), np.float32)
    x[:, 0] = np.arange(50)
    vae = model()
    kernel, bias = vae.encoder.projection.get_weights()
    kernel[:] = 0
    kernel[0, 0] = 10
    vae.encoder.projection.set_weights([kernel, bias])
    split = tv.data.Split(x, "real", name="train")
    for most, batch_size in ((50, 50), (7, 20)):
        found = tv.evaluation.diagnose(vae, split, 1, most=most, batch_size=batch_size)
        assert found["mutual_information"] == pytest.approx(math.log(50), abs=1e-4)
        assert found["num_drawn"] == most


def test_several_latents_are_refused():
    latents = [
        tv.models.LatentVariable(
            name, tv.priors.StandardNormal(1), tv.encoders.Gaussian(tv.networks.mlp([]), 1)
        )
        for name in ("z2", "z1")
    ]
    vae = tv.VAE(latents=latents, decoder=tv.decoders.Bernoulli(tv.networks.mlp([]), (3,)))
    with pytest.raises(ValueError, match=r"one latent. Received 2"):
        tv.evaluation.diagnose(vae, np.zeros((3, 3), np.float32))
