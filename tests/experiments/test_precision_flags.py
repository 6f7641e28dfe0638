"""A training has the precision that was measured, says so, and goes on in it."""

import pytest

from tfp_vae.training import precision

TINY = ("--hidden=4", "--latent_dim=2", "--epochs=1", "--batch_size=512")
AUTO = ("--precision=auto", "--num_importance_samples=2", "--checkpoint_every=2", *TINY)


@pytest.fixture
def took(monkeypatch):
    """What a step takes in float32 and in bfloat16, milliseconds."""
    found = [2.0, 1.0]
    monkeypatch.setenv(precision.VARIABLE, "")
    monkeypatch.setattr(precision, "_measured", lambda *_: list(found))
    return found


@pytest.mark.release_only
def test_a_training_has_what_is_fastest_and_goes_on_in_it(succeeds, took, tmp_path):
    out = succeeds("train_vae", "--run_dir=run", *AUTO)
    assert "precision: mixed_bfloat16 outside XLA: a step of dense layers 64-4-4 and 2-4-64" in out
    assert "float32 under XLA 2 ms, mixed_bfloat16 outside XLA 1 ms" in out
    assert "not compiled by XLA" in out
    lines = (tmp_path / "run" / "flags.txt").read_text().splitlines()
    assert {"--precision=mixed_bfloat16", "--nojit"} <= {*lines}
    took[:] = 1.0, 2.0  # it would be the other one now
    out = succeeds("train_vae", "--run_dir=run", *AUTO)
    assert "precision: mixed_bfloat16 outside XLA: as this training began" in out
    assert "the training was finished before" in out


@pytest.mark.release_only
def test_convolutions_are_not_measured(succeeds, took, tmp_path):
    flags = ("--network=conv", "--filters=4", "--hidden=4", "--num_importance_samples=2")
    out = succeeds("train_vae", "--run_dir=run", "--precision=auto", *TINY[1:], *flags)
    assert "precision: float32: dense layers alone are measured" in out
    assert "--precision=float32" in (tmp_path / "run" / "flags.txt").read_text().splitlines()


def test_no_precision_is_chosen_for_several_devices(refused):
    line = refused("train_vae", "--run_dir=run", "--strategy=mirrored", "--precision=auto")
    assert "Expected --precision=float32 or mixed_bfloat16" in line
