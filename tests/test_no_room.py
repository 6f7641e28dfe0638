"""A disk that is full: a clear error that names the file, what was there before, no half a file."""

import contextlib
import errno
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv

resource = pytest.importorskip("resource")  # limits of a process, which Windows has none of
ROOM = 1000  # bytes of a file
SHAPE = (4, 4, 1)


@contextlib.contextmanager
def no_room():
    """A context in which the system refuses to write more than `ROOM` bytes into a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def made():
    model = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([8]), 2),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([8]), SHAPE),
    )
    model.build((None, *SHAPE))
    model.compile("adam", run_eagerly=True)
    return model


def long_table(path):
    pd = pytest.importorskip("pandas")
    numbers = np.random.default_rng(0).normal(size=2000)
    tv.data.write_frame(pd.DataFrame({"a": numbers, "b": numbers.astype(str)}), path)


class Big:
    """A figure whose picture is too large."""

    def savefig(self, path, **_):
        path.write_bytes(bytes(2 * ROOM))


NUMBERS = np.random.default_rng(0).normal(size=2000)
# What writes a file: the name of the file, and how.
WRITERS = {
    "model": ("a.keras", lambda path: made().save(path)),
    "weights": ("a.weights.h5", lambda path: made().save_weights(path)),
    "csv": ("a.csv", long_table),
    "parquet": ("a.parquet", long_table),
    "columns": ("a.csv", lambda path: tv.report.write_columns(path, {"a": NUMBERS})),
    "arrays": ("a.npz", lambda path: folder(path).write_arrays(path.name, a=NUMBERS)),
    "figure": ("a.png", lambda path: folder(path).write_figure(path.name, Big())),
    "json": ("a.json", lambda path: folder(path).write_json(path.name, {"a": [*NUMBERS]})),
}


def folder(path):
    return tv.report.RunFolder(path.parent, overwrite=True)


@pytest.mark.parametrize("case", WRITERS)
def test_the_earlier_file_stays_and_the_error_names_it(case, tmp_path):
    name, write = WRITERS[case]
    path = tmp_path / name
    path.write_bytes(b"earlier")
    with pytest.raises(OSError, match=name) as caught, no_room():
        write(path)
    assert caught.value.errno == errno.EFBIG
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert path.read_bytes() == b"earlier"


def test_callbacks_of_keras_that_keep_weights_leave_the_earlier_ones(tmp_path):
    x = np.ones((8, *SHAPE), np.float32)
    path = tmp_path / "kept.weights.h5"
    path.write_bytes(b"earlier")
    keep = keras.callbacks.ModelCheckpoint(path, save_weights_only=True)
    with pytest.raises(OSError, match=r"kept\.weights\.h5"), no_room():
        made().fit(x, epochs=1, verbose=0, callbacks=[keep])
    assert path.read_bytes() == b"earlier"


@pytest.mark.all_only  # an export twice; a model alone is above
def test_an_export_leaves_the_earlier_one(tmp_path):
    data = tv.data.load(np.ones((20, *SHAPE), np.float32))
    model, place = made(), tmp_path / "export"
    tv.export.export(model, data, place, ["keras"])
    before = {each: each.stat().st_size for each in place.rglob("*")}
    with pytest.raises(OSError, match="File too large"), no_room():
        tv.export.export(model, data, place, ["keras"])
    assert {each: each.stat().st_size for each in tmp_path.rglob("*")} == before | {
        place: place.stat().st_size
    }


def test_a_program_says_what_has_no_room(capsys):
    from experiments import failures

    error = OSError(errno.ENOSPC, "No space left on device", str(pathlib.Path("runs/a.csv")))
    with pytest.raises(SystemExit):
        failures.fail(error)
    told = capsys.readouterr().err
    assert told == (
        "error: runs/a.csv cannot be used. Expected room for it; what was there before is as it "
        "was. Received: No space left on device.\n"
    )


def test_a_full_disk_is_no_reason_to_leave_a_signature_out():
    from tfp_vae.export.formats.base import reason_of

    assert reason_of(ValueError("no such\noperator")) == "no such operator"
    assert reason_of(FileNotFoundError(errno.ENOENT, "No such file")) == "[Errno 2] No such file"
    for error in (
        OSError(errno.ENOSPC, "No space left on device"),
        tf.errors.ResourceExhaustedError(None, None, "part-00000; No space left on device"),
    ):
        with pytest.raises(type(error), match="No space left"):
            reason_of(error)
