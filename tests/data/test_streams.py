"""Streams: what is read from files when asked for is what memory would hold, to the last bit."""

import numpy as np
import pytest
from data_cases import refused, splits_of
from stream_cases import noise, save_image_records, save_images

from tfp_vae import data
from tfp_vae.data import Kind, Split, streams
from tfp_vae.data.streams import ImageFiles, Stream

N = 60
KINDS = [None, Kind.DYNAMIC, Kind.THRESHOLD]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Returns folders with the same images, in files of their own and in TFRecords."""
    path, images = tmp_path_factory.mktemp("folders"), noise(N)
    save_images(path / "images", images)
    for part in range(2):
        file = path / "records" / f"some.tfrecord-0000{part}-of-00002"
        save_image_records(file, images[30 * part : 30 * part + 30])
    return path / "images", path / "records"


@pytest.fixture(params=KINDS, ids=str)
def three(request, folders):
    """Returns the same images of a kind in memory, from image files and from TFRecords."""
    images, records = folders
    return (
        data.load(images, kind=request.param),
        data.load(images, kind=request.param, in_memory=False),
        data.load(records, kind=request.param, in_memory=False),
    )


def assert_same(batches, others):
    for one, other in zip(batches, others, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_small_folder_is_read_into_memory_and_a_large_one_is_not(folders, monkeypatch):
    for folder in folders:
        assert isinstance(data.load(folder).train.stored, np.ndarray)
        assert isinstance(data.load(folder, in_memory=False).train.stored, Stream)
    monkeypatch.setattr("tfp_vae.data.folders.MOST_BYTES", N * 75 - 1)
    for folder in folders:
        assert isinstance(data.load(folder).train.stored, Stream)
        assert isinstance(data.load(folder, in_memory=True).train.stored, np.ndarray)


def test_in_memory_is_for_folders_and_tables_of_mixed_columns_alone(tmp_path):
    with refused("in_memory", "digits"):
        data.load("digits", in_memory=False)
    (tmp_path / "a.csv").write_text("a,b\n1,0\n2,1\n3,0\n4,1\n")
    with refused("in_memory", "columns"):
        data.load(tmp_path / "a.csv", in_memory=False)


def test_examples_digests_and_kinds_are_those_in_memory(three):
    memory, *others = three
    for other in others:
        assert other.kind is memory.kind and other.digests == memory.digests
        for one, same in zip(splits_of(memory), splits_of(other), strict=True):
            assert len(same) == len(one) and same.stored.nbytes == one.stored.nbytes
            for index in (slice(None), slice(2, 5), [3, 1, 1, -1], np.arange(len(one)) % 2 == 0):
                np.testing.assert_array_equal(same.values(index), one.frozen().values(index))
                np.testing.assert_array_equal(same.intensities(index), one.intensities(index))


@pytest.mark.parametrize(
    ("kind", "share"),
    [(Kind.DYNAMIC, 0.0), (Kind.DYNAMIC, 0.2), (Kind.THRESHOLD, 0.2), (Kind.EIGHT_BIT, 0.2)],
    ids=str,
)
def test_batches_order_binarisation_and_moves_are_those_in_memory(folders, kind, share):
    memory, stream = (
        data.load(folders[0], kind=kind, in_memory=each).train.augmented(share)
        for each in (True, False)
    )
    assert_same(memory.epoch(7, 1, 2), stream.epoch(7, 1, 2))


def test_batches_in_order_are_those_in_memory(three):
    memory, *others = three
    for other in others:
        assert_same(memory.train.dataset(20), other.train.dataset(20))


def test_frozen_images_can_be_read_in_any_part_and_order(counting_stream):
    # An odd number of pixels: where an example begins, the generator is in the middle of a word.
    grey = noise(40, (3, 3, 3))
    whole = Split(grey, Kind.DYNAMIC).frozen()
    stream = Split(counting_stream(grey), Kind.DYNAMIC).frozen()
    np.testing.assert_array_equal(stream.values(), whole.values())
    for index in ([39, 0, 17, 18, 19, 19], [5], [], slice(7, 31, 3)):
        np.testing.assert_array_equal(stream.values(index), whole.values(index))


def test_selections_take_labels_along_and_keep_what_was_drawn(counting_stream):
    grey, labels = noise(20), np.arange(20) % 3
    pair = [Split(x, Kind.DYNAMIC, labels).frozen() for x in (grey, counting_stream(grey))]
    chosen = [split.select([7, 2, 11], "some").take(2) for split in pair]
    np.testing.assert_array_equal(chosen[0].values(), chosen[1].values())
    np.testing.assert_array_equal(chosen[1].labels, [1, 2])
    assert isinstance(chosen[1].stored, Stream)
    np.testing.assert_array_equal(chosen[0].unfrozen().values(), chosen[1].unfrozen().values())
    assert isinstance(chosen[1].relabelled([0, 1]).stored, Stream)


def test_images_of_zeros_and_ones_are_static_as_in_memory(tmp_path):
    save_images(tmp_path, noise(20) // 128)
    memory, stream = (data.load(tmp_path, in_memory=each) for each in (True, False))
    assert stream.kind is memory.kind is Kind.STATIC
    assert stream.digests == memory.digests
    assert isinstance(stream.train.stored, Stream)


def test_grey_images_are_refused_as_static_ones_as_in_memory(tmp_path):
    save_images(tmp_path, noise(20))
    for in_memory in (True, False):
        with refused("only 0 and 1", "static"):
            data.load(tmp_path, kind="static", in_memory=in_memory)


@pytest.mark.parametrize(("name", "level"), [("blur", 2), ("noise", 2), ("rotation", 3)])
def test_corrupted_images_are_those_in_memory(three, name, level):
    memory, stream, _ = (data.corrupted(each.test, name, level) for each in three)
    np.testing.assert_array_equal(memory.values(), stream.values())


def test_flipped_images_are_those_in_memory_and_stay_unread(three):
    memory, stream, _ = (data.ood(each.test, "rotation_90") for each in three)
    assert isinstance(stream.stored, Stream)
    np.testing.assert_array_equal(memory.values(), stream.values())


def test_nothing_reads_more_at_once_than_a_batch(monkeypatch, counting_stream):
    monkeypatch.setattr(streams, "_BLOCK_BYTES", 5 * 75)
    stream = counting_stream(noise(40))
    split = Split(stream, Kind.DYNAMIC)
    for _ in (split.digest, split.frozen().digest):
        assert stream.most == 5
    for batches in (split.epoch(7, 0, 0), split.dataset(7), split.augmented(0.1).epoch(7, 0, 0)):
        assert [len(batch) for batch in batches] == [7] * 5 + [5]
        assert stream.most == 7


def test_the_head_of_a_file_says_its_shape_and_damage_behind_it_is_found_when_it_is_read(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(streams, "_BLOCK_BYTES", 75)  # the first image says the kind
    files = save_images(tmp_path, noise(30))
    files[5].write_bytes(files[5].read_bytes()[:-30])
    loaded = data.load(tmp_path, in_memory=False)
    with refused(files[5], "whole 8-bit image"):
        loaded.digests  # noqa: B018
    with refused(files[5], "whole 8-bit image"):
        data.load(tmp_path, in_memory=True)


def test_files_that_are_changed_after_the_look_are_refused_by_name(tmp_path):
    files = save_images(tmp_path, noise(3))
    stream = ImageFiles(tmp_path, [file.relative_to(tmp_path) for file in files])
    save_images(tmp_path, noise(2, (5, 6, 3)))
    with refused(files[1], "(5, 5, 3)", "(5, 6, 3)"):
        stream[1]
    files[2].unlink()
    with refused(files[2]):
        stream[2:]


@pytest.mark.parametrize("index", [3, -4, [0, 3], [[0, 1]], [True, False]], ids=str)
def test_an_impossible_index_is_refused(index, counting_stream):
    with pytest.raises(IndexError, match="Impossible index"):
        counting_stream(noise(3))[index]


@pytest.mark.parametrize(
    "change",
    [lambda x: x > 99, lambda x: np.float32(1) - x / np.float32(255)],
    ids=["truths", "floats"],
)
def test_a_stream_whose_values_change_their_type_is_kept_as_an_array_is(change, counting_stream):
    stream = counting_stream(noise(3))
    streamed = Split(stream, Kind.UNIT_INTERVAL).mapped(change, "changed")
    held = Split(stream[:], Kind.UNIT_INTERVAL).mapped(change, "changed")
    assert isinstance(streamed.stored, Stream)
    np.testing.assert_array_equal(streamed.values(), held.values())
