"""The program of the codec: packs, unpacks, measures, and what it refuses."""

import json

import numpy as np
import pytest


@pytest.fixture
def run(make_vae, tmp_path):
    """Makes the folder of a run with a model of the digits."""
    (tmp_path / "run").mkdir()
    make_vae((8, 8, 1), data_kind="dynamic").save(tmp_path / "run" / "model.keras")
    return tmp_path / "run"


@pytest.mark.always(reason="a program that people run, from its flags to its files")
def test_images_are_packed_unpacked_and_measured(run, succeeds, refused, tmp_path):
    images = np.random.default_rng(0).integers(0, 2, (30, 8, 8, 1)).astype(np.uint8)
    np.save(tmp_path / "in.npy", images)
    packs = ("--action=encode", "--run_dir=run", "--input=in.npy", "--output=packed")
    out = succeeds("codec", *packs)
    assert "30 images in " in out and "decoded and compared" in out
    unpacks = ("codec", "--action=decode", "--run_dir=run", "--input=packed")
    succeeds(*unpacks, "--output=back.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "back.npy"), images)
    (tmp_path / "packed").write_bytes((tmp_path / "packed").read_bytes()[:-5])
    assert "it was cut short" in refused(*unpacks, "--output=out")
    assert not (tmp_path / "out").exists()
    out = succeeds("codec", "--run_dir=run", "--dataset=digits", "--num_images=50")
    found = json.loads((run / "codec.json").read_text())
    assert found["images"] == 50 and found["bits_per_dim"] > found["elbo_bits_per_dim"] > 0
    assert found["bytes"] == (run / "codec.tfpvae").stat().st_size
    assert (run / "codec.png").is_file() and (run / "codec.txt").read_text() in out


def test_flags_of_a_codec_that_do_not_fit_are_one_line(run, refused):
    assert "--input is missing" in refused("codec", "--action=encode", "--run_dir=run")
    assert "--input has no effect" in refused("codec", "--run_dir=run", "--input=x")
    lost = refused("codec", "--action=decode", "--run_dir=run", "--input=x", "--output=y")
    assert "--input does not exist" in lost
    unused = ("codec", "--action=encode", "--run_dir=run", "--num_images=3")
    assert "--num_images has no effect" in refused(*unused)
