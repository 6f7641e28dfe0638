"""Every prior, posterior and network of a VAE: each signature in each format, or refused by reason.

A signature of a pair is made of what its prior and its posterior compute, one behind the other:
each member is in every format once, and every pair is asked for the answers that formats hold.
"""

import re

import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae import export, methods, report
from tfp_vae.distributions import encoders, priors
from tfp_vae.export.formats import base
from tfp_vae.export.package import record_examples
from tfp_vae.export.proof import runtimes
from tfp_vae.export.signatures.answers import answers_of, subject_of

SAMPLES = 2
# Where a density lives that others do not reach: the one posterior that goes with a prior.
SUPPORT = {"uniform": "box", "von_mises_fisher": "von_mises_fisher"}
ENCODED = ("encode", "decode", "reconstruct")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return tv.data.load(rng.integers(0, 2, (40, 4, 4, 1)).astype(np.float32))


@pytest.fixture(scope="module")
def real():
    return tv.data.load(np.random.default_rng(0).normal(size=(40, 4, 4, 1)).astype(np.float32))


def _model(data, **options):
    options = {"latent_dim": 3, "hidden": (4,), "components": 2, "filters": (2, 2)} | options
    model = methods.VAERecipe(**options).build(data)
    model(data.test.values(slice(2)))
    return model


def _of_prior(name):
    return {"prior": name, "posterior": SUPPORT.get(name, "diagonal")}


def _of_posterior(name):
    prior = next((p for p, q in SUPPORT.items() if q == name), "standard")
    return {"prior": prior, "posterior": name}


CASES = {
    **{f"prior-{name}": _of_prior(name) for name in priors.PRIORS},
    **{f"posterior-{name}": _of_posterior(name) for name in encoders.ENCODERS},
    **{f"network-{name}": {"network": name} for name in ("gated", "resnet")},
    "model-correlated": {"model": "correlated", "covariance_rank": 2},
    "model-hierarchical": {"model": "hierarchical"},
}
USUAL: "set[tuple[str, str]]" = set()  # each takes more than two seconds


def _cells():
    for case in CASES:
        for name in base.FORMATS:
            usual = (case, name) in USUAL
            yield pytest.param(case, name, marks=() if usual else pytest.mark.release_only)


@pytest.mark.parametrize(("case", "name"), [*_cells()])
def test_every_signature_of_a_member_is_in_every_format_or_refused_with_its_reason(
    case, name, data, real, tmp_path
):
    data = real if case == "model-correlated" else data
    model = _model(data, **CASES[case])
    wanted = {each.name for each in answers_of(subject_of(model, SAMPLES))[0]}
    assert {*ENCODED, "sample"} <= wanted
    kind = base.FORMATS[name]
    if kind.made_for and not wanted & {*kind.made_for}:
        with pytest.raises(ValueError, match=rf"(?is){name}.*Expected.*Received"):
            export.export(model, data, tmp_path / "out", [name], num_samples=SAMPLES)
        return
    try:
        folder = export.export(model, data, tmp_path / "out", [name], num_samples=SAMPLES)
    except ValueError as error:  # not one signature: every reason is in the message
        assert re.search(r"Nothing of this model.*Expected.*Received", str(error)), error
        assert not (tmp_path / "out").exists()
        return
    manifest = report.read_json(folder / "export.json")
    held = {signature for each in manifest["artefacts"] for signature in each["signatures"]}
    refused = manifest["refused"] | manifest["refused_by_format"].get(name, {})
    assert held and not held & refused.keys()
    if name not in ("keras", "web"):  # which hold the whole model, and the decoder alone
        assert held | refused.keys() >= wanted
    for reason in refused.values():
        assert "Expected" in reason and len(reason.split()) > 3, reason
    if kind.load is not None:
        cells = []
        runtimes.run_format(folder, [name], kind.form, kind.load, cells.append, 0.0)
        assert {cell["signature"] for cell in cells} == held
        assert all(cell.get("tolerance_share", 2.0) < 1 for cell in cells), cells


def _pairs(network):
    for prior in priors.PRIORS:
        for posterior in encoders.ENCODERS:
            if network != "mlp" and prior != "flow":
                continue  # what is behind a network does not ask which one it is
            usual = (prior, posterior, network) == ("vamp", "diagonal", "mlp")
            yield pytest.param(
                network, prior, posterior, marks=() if usual else pytest.mark.release_only
            )


@pytest.mark.parametrize(
    ("network", "prior", "posterior"), [*_pairs("mlp"), *_pairs("gated"), *_pairs("resnet")]
)
def test_every_pair_answers_what_formats_hold_or_is_refused_before_work(
    network, prior, posterior, data
):
    try:
        model = _model(data, network=network, prior=prior, posterior=posterior)
    except ValueError as error:
        assert re.search(r"Expected.*Received", " ".join(str(error).split())), error
        assert "\n" not in str(error)
        # What fits must not be refused: a normal posterior goes with every density on R^D.
        assert prior in SUPPORT or posterior not in ("diagonal", "full", "low_rank", "mixture")
        return
    subject = subject_of(model, SAMPLES)
    signatures, refused = answers_of(subject)
    examples, unanswered = record_examples(subject, signatures, data.test, 0)
    answered = {each.name for each in signatures} - unanswered.keys()
    assert {*ENCODED, "sample", "elbo", "log_evidence"} == answered, refused | unanswered
    assert all(np.isfinite(value).all() for value in examples.values())
