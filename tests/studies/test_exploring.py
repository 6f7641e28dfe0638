"""Files of embeddings: they trace back to files, and hold one block in memory."""

import csv
import sys
import weakref

import numpy as np
import pytest
from PIL import Image

import tfp_vae as tv
from tfp_vae import extras, report
from tfp_vae.data import Split
from tfp_vae.evaluation import disentanglement, latent_space
from tfp_vae.models import walks
from tfp_vae.studies import exploring


@pytest.fixture
def run(tmp_path):
    found = report.RunFolder(tmp_path / "run")
    found.create()
    return found


def _rows(run):
    with (run / "embeddings.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_embeddings_of_a_folder_of_images_trace_back_to_their_files_and_classes(
    run, make_vae, tmp_path
):
    rng, folder = np.random.default_rng(0), tmp_path / "images"
    for name in ("cat", "horse"):
        (folder / name).mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(0, 256, (4, 4), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    data = tv.data.load(folder, kind="threshold")
    vae = make_vae()
    parts = [data.train, data.validation, data.test]
    exploring.write_embeddings(vae, parts, run, data.name, batch_size=3)
    found = _rows(run)
    assert sorted(row["file"] for row in found) == sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*.png")
    )
    with np.load(run / "embeddings.npz") as arrays:
        for place, row in enumerate(found):
            image = np.asarray(Image.open(folder / row["file"]), np.float32) / 255
            loc = vae.encode((image >= 0.5).astype(np.float32)[np.newaxis, ..., np.newaxis])[0]
            np.testing.assert_allclose(arrays["loc"][place], loc, atol=1e-5)
            np.testing.assert_allclose([float(row["z0"]), float(row["z1"])], loc, atol=1e-5)
            assert row["class"] == row["file"].split("/")[0] == arrays["class"][place]
            assert (row["split"], row["file"]) == (arrays["split"][place], arrays["file"][place])
            split = getattr(data, row["split"])
            assert split.files[int(row["row"])] == row["file"]


def test_the_name_of_a_file_is_no_part_of_what_was_measured_on():
    x = np.random.default_rng(0).integers(0, 2, (3, 2, 2, 1)).astype(np.float32)
    one = Split(x, "static", beside={"files": ["a.png", "b.png", "c.png"]})
    assert one.digest == Split(x, "static").digest
    assert one.select([2, 0], "some").frozen().files.tolist() == ["c.png", "a.png"]
    with pytest.raises(ValueError, match=r"files that are no text.*Expected str.*Received 1"):
        Split(x, "static", beside={"files": ["a.png", 1, "c.png"]})
    with pytest.raises(ValueError, match=r"files do not fit.*Expected shape \(3,\).*\(2,\)"):
        Split(x, "static", beside={"files": ["a.png", "b.png"]})


def test_codes_in_a_file_are_those_of_one_pass_and_images_are_read_a_batch_at_a_time(
    run, make_vae, counting_stream
):
    x = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 1), dtype=np.uint8)
    stream, vae = counting_stream(x), make_vae()
    split = Split(stream, "threshold", name="test", labels=np.arange(50) % 3 - 1)
    stream.most = 0
    exploring.write_embeddings(vae, [split], run, batch_size=7)
    assert 0 < stream.most <= 7
    loc, scale = walks.moments(vae, Split(x, "threshold"))
    with np.load(run / "embeddings.npz") as arrays:
        np.testing.assert_allclose(arrays["loc"], loc, atol=1e-6)
        np.testing.assert_allclose(arrays["scale"], scale, atol=1e-6)
        assert arrays["label"].tolist() == split.labels.tolist()
        assert arrays["row"].tolist() == [*range(50)]


def test_no_more_than_a_block_and_the_next_one_are_in_memory(tmp_path):
    alive, most = weakref.WeakSet(), []

    class Values(np.ndarray):
        """An array that can be watched."""

        __hash__ = object.__hash__

    def blocks():
        for number in range(20):
            value = np.full((5, 2), number, np.float32).view(Values)
            alive.add(value)
            most.append(len(alive))
            yield {"first": value[:, 0]}, {"values": value}

    report.write_blocks(tmp_path / "a.csv", tmp_path / "a.npz", 100, blocks())
    assert max(most) <= 2
    with np.load(tmp_path / "a.npz") as arrays:
        np.testing.assert_array_equal(arrays["values"][:, 1], np.repeat(np.arange(20), 5))
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 101


def test_text_of_blocks_comes_back_as_it_was_and_is_no_formula(tmp_path):
    names = np.array(["=1+1", "a\rb", "c\nd", "e"])
    block = {"=z": names, "n": np.arange(4)}, {"n": np.arange(4)}
    report.write_blocks(tmp_path / "a.csv", tmp_path / "a.npz", 4, [block])
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == ["'=z", "n"]
    assert [row[0] for row in rows] == ["'=1+1", "a\rb", "c\nd", "e"]


def test_blocks_that_break_off_leave_the_files_as_they_were(tmp_path):
    def blocks():
        yield {"a": np.ones(2)}, {"a": np.ones(2)}

    (tmp_path / "a.csv").write_text("before")
    with pytest.raises(ValueError, match=r"Expected 3 rows. Received 2"):
        report.write_blocks(tmp_path / "a.csv", tmp_path / "a.npz", 3, blocks())
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "before"


def test_without_umap_there_is_a_map_and_the_command_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    assert [*latent_space.plane(np.random.default_rng(0).normal(size=(9, 3)))] == ["pca"]
    said = extras.hint("maps", "The map by UMAP is")
    assert said == 'The map by UMAP is left out without umap: pip install "tfp_vae[maps]".'
    assert extras.hint("report", "Pictures are") == ""


def test_udr_is_that_of_the_codes_of_explored_runs(run, tmp_path):
    rng, rows = np.random.default_rng(0), {"split": np.full(50, "test"), "row": np.arange(50)}
    folders, codes = [run.path], []
    for seed in range(1, 5):
        folders.append(tmp_path / f"other-{seed}")
        folders[-1].mkdir()
    for folder in folders:
        codes.append(rng.normal(size=(50, 2)))
        np.savez(folder / "embeddings.npz", loc=codes[-1], scale=np.full((50, 2), 0.1), **rows)
    found = exploring.udr_beside(run, folders[1:])
    assert [*found] == ["run", *(f"other-{seed}" for seed in range(1, 5))]
    np.testing.assert_allclose([*found.values()], disentanglement.udr(codes))
    rows["row"] = rows["row"] + 1
    np.savez(folders[3] / "embeddings.npz", loc=codes[3], scale=codes[3], **rows)
    with pytest.raises(ValueError, match=r"same examples.*other-3; explore it with"):
        exploring.udr_beside(run, folders[1:])
    (folders[2] / "embeddings.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"other-2.*run that was explored"):
        exploring.udr_beside(run, folders[1:])


def test_what_cannot_be_scored_is_told_before_a_file_is_written(run, make_vae, tmp_path):
    x = np.random.default_rng(0).integers(0, 2, (40, 4, 4, 1)).astype(np.float32)
    split = Split(x, "static", name="test", beside={"factors": np.ones((40, 1))})
    data = tv.data.Data("made", split, split, split)
    with pytest.raises(ValueError, match=r"Factor 0 does not vary.*two values"):
        exploring.explore(make_vae(), data, split, run)
    with pytest.raises(FileNotFoundError, match="run that was explored"):
        exploring.explore(make_vae(), data, split, run, beside=[tmp_path / "nowhere"])
    assert not list(run.path.glob("embeddings.*"))
