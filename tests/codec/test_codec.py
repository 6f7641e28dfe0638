"""A codec: what goes in comes out at the price of -ELBO, and no wrong file becomes a picture."""

import contextlib
import dataclasses
import importlib.util
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib

import keras
import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae import reading
from tfp_vae.codec import format as form
from tfp_vae.codec.agreed import digest
from tfp_vae.codec.stack import Stack
from tfp_vae.data import Split
from tfp_vae.distributions.pixels import PixelDecoder
from tfp_vae.distributions.priors import ConditionalNormal
from tfp_vae.reading import Arrays, Rows

D = 3


def mlp():
    return tv.networks.mlp([8])


def latents():
    return [
        tv.LatentVariable("z2", tv.priors.StandardNormal(2), tv.encoders.Gaussian(mlp(), 2)),
        tv.LatentVariable("z1", ConditionalNormal(mlp(), D), tv.encoders.Gaussian(mlp(), D)),
    ]


def one(prior, encoder):
    return {"prior": prior, "encoder": encoder}


# Each sort of latent and of values once: what is coded differs in nothing else.
MODELS = {
    "bernoulli": lambda shape: tv.VAE(
        **one(tv.priors.StandardNormal(D), tv.encoders.Gaussian(mlp(), D)),
        decoder=tv.decoders.Bernoulli(mlp(), shape),
    ),
    "logistic, mixture prior": lambda shape: tv.VAE(
        **one(tv.priors.Mixture(D, 4), tv.encoders.Gaussian(mlp(), D)),
        decoder=tv.decoders.DiscretizedLogistic(mlp(), shape),
    ),
    "mixture of logistics": lambda shape: tv.VAE(
        **one(tv.priors.StandardNormal(D), tv.encoders.Gaussian(mlp(), D)),
        decoder=tv.decoders.Decoder(mlp(), shape, tv.heads.LogisticMixture()),
    ),
    "categorical, mixture posterior": lambda shape: tv.VAE(
        **one(tv.priors.StandardNormal(D), tv.encoders.Mixture(mlp(), D, 2)),
        decoder=tv.decoders.Categorical(mlp(), shape),
    ),
    "vamp prior, convolutions": lambda shape: tv.VAE(
        prior=tv.priors.Vamp(D, 4),
        encoder=tv.encoders.Gaussian(tv.networks.conv_encoder([2], 8), D),
        decoder=tv.decoders.Bernoulli(tv.networks.conv_decoder(shape, [2], 8), shape),
    ),
    "two latents, a shared pass": lambda shape: tv.VAE(
        latents=latents(),
        decoder=tv.decoders.Bernoulli(mlp(), shape),
        bottom_up=mlp(),
        decoder_sees_above=True,
    ),
}


def images_of(codec, count, rng):
    """Returns images of random values, bool or uint8."""
    if codec.agreed.num_values == 2:
        return rng.random((count, *codec.agreed.shape)) < 0.3
    return rng.integers(0, 256, (count, *codec.agreed.shape)).astype(np.uint8)


@pytest.fixture(scope="module")
def plain():
    """Returns a model of 4x4 binary images, its codec, images and their file as bytes."""
    keras.utils.set_random_seed(0)
    model = MODELS["bernoulli"]((4, 4, 1))
    codec = tv.codec.Codec(model)
    return model, codec, np.random.default_rng(0).random((150, 4, 4, 1)) < 0.3


@pytest.fixture
def packed(plain, tmp_path):
    """Returns the bytes of a file of images, and a function that decodes bytes."""
    _, codec, images = plain
    path = tmp_path / "images.tfpvae"
    tv.codec.encode(codec, images, path)

    def decode(content):
        path.write_bytes(content)
        return tv.codec.decode(codec, path)

    return path.read_bytes(), decode


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.always(reason="what a codec is for")
def test_images_come_back_bit_for_bit(name, base_seed, tmp_path):
    keras.utils.set_random_seed(base_seed)
    codec, path = tv.codec.Codec(MODELS[name]((4, 4, 1))), tmp_path / "file"
    images = images_of(codec, 1000, np.random.default_rng(base_seed))
    images[-40:-20], images[-20:] = images.min(), images.max()  # what no model expects
    for count in (0, 1, 2, 1000):
        report = tv.codec.encode(codec, images[:count], path)
        back = tv.codec.decode(codec, path)
        assert back.dtype == images.dtype and report.bytes == path.stat().st_size
        np.testing.assert_array_equal(back, images[:count])


def test_the_rate_is_that_of_the_elbo_with_all_bits_counted(base_seed, tmp_path):
    keras.utils.set_random_seed(base_seed)
    model = MODELS["bernoulli"]((24, 24, 1))
    images = np.random.default_rng(base_seed).random((1000, 24, 24, 1)) < 0.3
    split = Split(images.astype(np.float32), "static")
    report = tv.codec.encode(model, split, tmp_path / "file")
    elbo = model.bounds(split, 8, proposal="encoder").elbo.mean()
    assert report.bits_per_dim == pytest.approx(-elbo / (24 * 24 * np.log(2)), rel=0.01)


def _sharp(weights, noise):
    """Returns a model of x = 1/2 + W z + noise whose posteriors are exact, and narrow."""
    pixels, dims = weights.shape
    scale = 1 / np.sqrt(1 + np.sum(weights**2, axis=0) / noise**2)  # the columns are orthogonal
    model = tv.VAE(
        tv.priors.StandardNormal(dims),
        tv.encoders.Gaussian(mlp_of_nothing(), dims),
        tv.decoders.DiscretizedLogistic(mlp_of_nothing(), (pixels,)),
    )
    model(np.zeros((1, pixels), np.float32))
    back = weights * (scale / noise) ** 2
    raw = lambda x: np.log(np.expm1(x))  # noqa: E731
    kernel = np.concatenate([back, np.zeros_like(back)], axis=1)
    bias = np.concatenate([-0.5 * back.sum(axis=0), raw(scale)])
    model.encoder.projection.set_weights([kernel, bias])
    kernel = np.stack([weights.T, np.zeros((dims, pixels))], axis=-1).reshape(dims, -1)
    model.decoder.projection.set_weights(
        [kernel, np.tile([0.0, 2 + raw(noise * np.sqrt(3) / np.pi)], pixels)]
    )
    return model


def mlp_of_nothing():
    return keras.Sequential([keras.layers.Flatten()])


@pytest.mark.all_only
def test_narrow_posteriors_are_never_drawn_from_far_away(tmp_path):
    rng = np.random.default_rng(0)
    weights, noise = 0.3 * np.linalg.qr(rng.standard_normal((100, 12)))[0], 2 / 255
    model = _sharp(weights, noise)
    z = rng.standard_normal((1000, 12))
    x = 0.5 + z @ weights.T + noise * rng.standard_normal((1000, 100))
    images = np.rint(255 * x.clip(0, 1)).astype(np.uint8)
    report = tv.codec.encode(model, images, tmp_path / "file")
    values = images.astype(np.float32) / np.float32(255)
    elbo = model.bounds(values, 8, proposal="encoder").elbo.mean()
    assert report.bits_per_dim == pytest.approx(-elbo / (100 * np.log(2)), rel=0.01)


def test_what_is_popped_is_pushed_back_to_the_same_stack(plain, base_seed):
    _, codec, images = plain
    rng = np.random.default_rng(base_seed)
    seed = rng.integers(1, 2**32, 2000).astype(np.uint32)
    stack = Stack(seed)
    cells = codec.header(tv.codec.images.opened(images, 2, (4, 4, 1))).cells
    codec._push(stack, images[:50].astype(np.int32), cells, True)
    np.testing.assert_array_equal(codec._pop(stack, 50, cells), images[:50])
    np.testing.assert_array_equal(stack.words(), seed)


def test_a_file_of_a_saved_model_is_that_of_the_model_in_memory(plain, packed, tmp_path):
    model, _, images = plain
    model.save(tmp_path / "model.keras")
    loaded = tv.load(tmp_path / "model.keras")
    assert digest(loaded) == digest(model)
    tv.codec.encode(loaded, images, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == packed[0]


# Files that are wrong.


def test_every_cut_and_every_flipped_byte_is_an_error(packed, base_seed):
    content, decode = packed
    places = {*range(0, 40), *range(0, len(content), 23), len(content) - 1}
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        for wrong in (content[:place], bytes(flipped)):
            with pytest.raises(ValueError, match=r"^[^\n]*Expected [^\n]* Received [^\n]*$"):
                decode(wrong)
    with pytest.raises(ValueError, match="the end of the file"):
        decode(content + b"\0")


def test_a_file_of_a_newer_version_says_so(packed):
    content, decode = packed
    newer = content[:8] + struct.pack("<H", form.VERSION + 1) + content[10:]
    with pytest.raises(ValueError, match="newer version"):
        decode(newer)


def test_a_file_of_the_format_before_is_read(plain, tmp_path, monkeypatch):
    _, codec, images = plain
    header = codec.header

    def before(found):
        now = header(found)
        return dataclasses.replace(now, cells=tuple(x._replace(around=0) for x in now.cells))

    with monkeypatch.context() as then:
        then.setattr(codec, "header", before)
        then.setattr(form, "VERSION", 1)
        tv.codec.encode(codec, images, tmp_path / "file")
    assert struct.unpack("<H", (tmp_path / "file").read_bytes()[8:10]) == (1,)
    np.testing.assert_array_equal(tv.codec.decode(codec, tmp_path / "file"), images)


def test_a_file_of_another_model_is_refused_before_work(plain, packed, tmp_path):
    keras.utils.set_random_seed(1)
    other = MODELS["bernoulli"]((4, 4, 1))
    (tmp_path / "file").write_bytes(packed[0])
    with pytest.raises(ValueError, match="encoded with another model"):
        tv.codec.decode(other, tmp_path / "file", tmp_path / "back.npy")
    assert not (tmp_path / "back.npy").exists()


def test_a_machine_that_computes_other_numbers_writes_no_picture(
    plain, packed, tmp_path, monkeypatch
):
    _, codec, _ = plain
    (tmp_path / "file").write_bytes(packed[0])
    tables = codec.agreed.tables
    monkeypatch.setattr(codec.agreed, "tables", lambda z: tables(tuple(x + 0.01 for x in z)))
    with pytest.raises(ValueError, match="this machine computes other numbers"):
        tv.codec.decode(codec, tmp_path / "file", tmp_path / "back.npy")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "images.tfpvae"}


def test_what_does_not_come_back_gets_no_name(plain, tmp_path, monkeypatch):
    _, codec, images = plain
    pop = codec._pop
    monkeypatch.setattr(codec, "_pop", lambda *arguments: 1 - pop(*arguments))
    with pytest.raises(ValueError, match="other numbers"):
        tv.codec.encode(codec, images, tmp_path / "file")
    monkeypatch.setattr("tfp_vae.codec.coding.crc_of", lambda *_: 0)  # a CRC that sees nothing
    with pytest.raises(ValueError, match="did not come back"):
        tv.codec.encode(codec, images, tmp_path / "file")
    assert not [*tmp_path.iterdir()]


def test_a_full_disk_leaves_nothing(plain, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tfp_vae.codec.coding.write_block", full)
    with pytest.raises(OSError, match="No space"):
        tv.codec.encode(plain[1], plain[2], tmp_path / "file")
    assert not [*tmp_path.iterdir()]


def _with_header(content, **changes):
    (length,) = struct.unpack_from("<I", content, 10)
    values = form.json_of(zlib.decompress(content[18 : 18 + length]), "file")
    packed = zlib.compress(form.json.dumps({**values, **changes}).encode())
    return (
        content[:10]
        + struct.pack("<2I", len(packed), zlib.crc32(packed))
        + packed
        + (content[18 + length :])
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"images": 2**40},
        {"images": -1},
        {"shape": [2**30, 4, 1]},
        {"block": 2**31},
        {"stored": "object"},
        {"cells": []},
        {"cells": [{"exponents": [4, 4, 4], "radius": 2**40, "around": 9}]},
        {"cells": [{"exponents": [4, 4, 4], "radius": 90, "around": 0}]},
        {"batch": 1},
    ],
)
def test_sizes_that_a_file_makes_up_are_refused(changes, packed):
    content, decode = packed
    with pytest.raises(ValueError, match=r"is damaged|does not fit the model"):
        decode(_with_header(content, **changes))


ODD_NAMES = ("../out", "/etc/x", "a/../../b", "", "a\0b", "C:x", 7, "..", None, "\udcff")
ODD_NAMES += ("fine.png/b",)


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_names_of_files_stay_inside_of_the_folder(name):
    assert tv.codec.images.unusable(["fine", name]) == [name]
    assert not tv.codec.images.unusable(["day 1/å.b_2", "day 1/å"])


# What computes in float32 beside float64, and what is made with its prior.
@pytest.mark.all_only
@pytest.mark.parametrize("posterior", ["bn", "ladder", "residual"])
def test_posteriors_with_parts_of_their_own_code_and_come_back(posterior, tmp_path):
    keras.utils.set_random_seed(0)
    encoder = tv.encoders.ENCODERS[posterior](mlp(), D)
    decoder = tv.decoders.Bernoulli(mlp(), (4, 4, 1))
    model = tv.VAE(**one(tv.priors.StandardNormal(D), encoder), decoder=decoder)
    codec = tv.codec.Codec(model)
    images = images_of(codec, 5, np.random.default_rng(0))
    tv.codec.encode(codec, images, tmp_path / "file")
    tv.codec.decode(codec, tmp_path / "file", tmp_path / "out.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), images)


# Images and models that do not fit.


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((2, 4, 5, 1), np.uint8), "another shape"),
        (np.array([0, 7, 255, 0] * 4, np.uint8).reshape(1, 4, 4, 1), "value that the model"),
        (np.full((1, 4, 4, 1), 0.5, np.float32), "value that the model"),
        (np.full((1, 4, 4, 1), np.nan, np.float32), "value that the model"),
        (np.full((1, 4, 4, 1), -0.0, np.float32), "value that the model.*Received -0.0"),
        (np.zeros((0, 4, 5, 1), np.uint8), "another shape"),
        (np.zeros((1, 4, 4, 1), np.int64), "uint8, bool or float32"),
        (np.uint8(3), "Expected an array"),
    ],
)
def test_images_that_do_not_fit_are_refused(images, words, plain, tmp_path):
    with pytest.raises(ValueError, match=words):
        tv.codec.encode(plain[1], np.asarray(images), tmp_path / "file")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda vae: vae(decoder=tv.decoders.Normal), "probabilities of all values"),
        (lambda vae: vae(encoder=tv.encoders.FullGaussian), "posterior is no normal"),
        (lambda _: tv.networks.mlp([2]), "made of a VAE"),
        (
            lambda vae: vae(
                decoder=lambda net, shape: PixelDecoder(net, shape, tv.heads.Bernoulli())
            ),
            "given z alone.*Received PixelDecoder",
        ),
    ],
)
def test_a_model_that_cannot_code_says_why(make, words, make_vae):
    with pytest.raises(ValueError, match=words):
        tv.codec.Codec(make(make_vae))


def test_the_library_that_is_missing_is_named(make_vae, monkeypatch):
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(ImportError, match=r'pip install "tfp_vae\[codec\]".*constriction'):
        tv.codec.Codec(make_vae())


# Folders and files of images.


@pytest.mark.all_only
def test_values_that_are_no_whole_steps_of_the_model_s_come_back(tmp_path):
    decoder = tv.decoders.Decoder(mlp(), (4, 4, 1), tv.heads.Categorical(17))
    model = tv.VAE(**one(tv.priors.StandardNormal(D), tv.encoders.Gaussian(mlp(), D)),
                   decoder=decoder)  # fmt: skip
    codec, rng = tv.codec.Codec(model), np.random.default_rng(0)
    level = rng.integers(0, 17, (6, 4, 4, 1))
    grey = (level * 255 // 16).astype(np.uint8)
    for images in (level > 8, level.astype(np.uint8), (level / 16).astype(np.float32)):
        tv.codec.encode(codec, images, tmp_path / "file")
        np.testing.assert_array_equal(tv.codec.decode(codec, tmp_path / "file"), images)
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "in").mkdir()
    image.fromarray(grey[0, ..., 0]).save(tmp_path / "in" / "a.png")
    tv.codec.encode(codec, tmp_path / "in", tmp_path / "file")
    tv.codec.decode(codec, tmp_path / "file", tmp_path / "out")
    back = np.asarray(image.open(tmp_path / "out" / "a.png"))
    np.testing.assert_array_equal(back, grey[0, ..., 0])
    image.fromarray(np.full((4, 4), 1, np.uint8)).save(tmp_path / "in" / "a.png")
    with pytest.raises(ValueError, match=r"0 to 255 in 17 steps, as \[ 0 15 31\]"):
        tv.codec.encode(codec, tmp_path / "in", tmp_path / "file")


@pytest.mark.parametrize("names", [["a:b"], ["a\nb"], [b"\xff"], ["x.png/y", "x"]], ids=str)
def test_names_that_could_not_be_written_again_are_refused_before_work(
    names, plain, tmp_path, monkeypatch
):
    image = pytest.importorskip("PIL.Image")
    _, codec, images = plain
    monkeypatch.setattr(codec, "encoded", None)
    for number, name in enumerate(names):
        where = os.fsencode(tmp_path / "in") + b"/" + os.fsencode(name)
        os.makedirs(os.path.dirname(where), exist_ok=True)
        with open(where + (b".png", b".webp")[number], "wb") as file:
            image.fromarray(images[0, ..., 0].astype(np.uint8) * 255).save(file, "PNG")
    with pytest.raises(ValueError, match=r"name not every system can have.*Expected.*Received"):
        tv.codec.encode(codec, tmp_path / "in", tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_places_that_cannot_be_written_are_refused_before_a_model_is_read(plain, tmp_path):
    np.save(tmp_path / "in.npy", plain[2])
    content = (tmp_path / "in.npy").read_bytes()
    for place, words in ((tmp_path, "Received a folder"), (tmp_path / "in.npy", "would be lost"),
                         (tmp_path / "no" / "file", "a folder that is there")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            tv.codec.encode(None, tmp_path / "in.npy", place)
    with pytest.raises(ValueError, match="would be lost"):
        tv.codec.decode(None, tmp_path / "in.npy", tmp_path / "in.npy")
    assert (tmp_path / "in.npy").read_bytes() == content


def test_what_a_killed_process_left_stands_in_nobody_s_way(plain, tmp_path):
    _, codec, images = plain
    left = tmp_path / f".{os.getpid()}-out"
    left.mkdir()
    (left / "odd.png").touch()
    tv.codec.encode(codec, images[:2].astype(np.uint8), tmp_path / "file")
    tv.codec.decode(codec, tmp_path / "file", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "00000000.png", "00000001.png"]  # fmt: skip
    assert not left.exists()


def test_names_that_are_one_on_a_file_system_lose_no_image(tmp_path):
    put = tv.codec.images._into_folder(tmp_path, ["A", "a"])
    (tmp_path / "a.png").touch()  # what a system that knows no capitals has after the first one
    with pytest.raises(ValueError, match=r"name of another image.*Expected.*Received"):
        put(np.zeros((2, 4, 4, 1), np.uint8))


CHILD = """
import sys
import numpy as np, tensorflow as tf
threads = int(sys.argv[1])
tf.config.threading.set_intra_op_parallelism_threads(threads)
tf.config.threading.set_inter_op_parallelism_threads(threads)
import tfp_vae as tv
model = tv.load("model.keras")
tv.codec.decode(model, "file", f"back{threads}.npy")
tv.codec.encode(model, np.load("images.npy"), f"file{threads}")
"""


@pytest.mark.all_only
@pytest.mark.dear(reason="two new processes, each with another number of threads")
def test_a_new_process_with_another_number_of_threads_reads_and_writes_the_same(tmp_path):
    keras.utils.set_random_seed(0)
    model = MODELS["vamp prior, convolutions"]((8, 8, 1))
    model.save(tmp_path / "model.keras")
    images = np.random.default_rng(0).random((300, 8, 8, 1)) < 0.3
    np.save(tmp_path / "images.npy", images)
    tv.codec.encode(model, images, tmp_path / "file")
    for threads in ("1", "3"):
        subprocess.run([sys.executable, "-c", CHILD, threads], cwd=tmp_path, check=True,
                       env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
        np.testing.assert_array_equal(np.load(tmp_path / f"back{threads}.npy"), images)
        assert (tmp_path / f"file{threads}").read_bytes() == (tmp_path / "file").read_bytes()


def test_a_folder_of_images_comes_back_with_its_names(make_vae, tmp_path):
    image = pytest.importorskip("PIL.Image")
    codec = tv.codec.Codec(make_vae(decoder=tv.decoders.DiscretizedLogistic))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 4)).astype(np.uint8)
    names = ["b", "sub/ä", "z"]
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name, each in zip(names, pixels, strict=True):
        image.fromarray(each).save(tmp_path / "in" / f"{name}.png")
    tv.codec.encode(codec, tmp_path / "in", tmp_path / "file")
    tv.codec.decode(codec, tmp_path / "file", tmp_path / "out")
    found = {p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.png")}
    assert {path.with_suffix("").as_posix() for path in found} == set(names)
    for name, each in zip(names, pixels, strict=True):
        np.testing.assert_array_equal(
            np.asarray(image.open(tmp_path / "out" / f"{name}.png")), each
        )
    with pytest.raises(ValueError, match="there already"):
        tv.codec.decode(codec, tmp_path / "file", tmp_path / "out")
    image.fromarray(pixels[0]).resize((5, 4)).save(tmp_path / "in" / "odd.png")
    with pytest.raises(ValueError, match="different shapes"):
        tv.codec.encode(codec, tmp_path / "in", tmp_path / "file")


SAVED = {
    "in.npy": np.save,
    "in.npz": np.savez,
    "packed.npz": np.savez_compressed,
}


@pytest.mark.parametrize("name", SAVED)
def test_memory_is_that_of_a_block_whatever_the_number_of_images(
    name, plain, tmp_path, monkeypatch
):
    _, codec, images = plain
    monkeypatch.setattr(codec, "block", 40)
    SAVED[name](tmp_path / name, images)
    read = []
    kind = tv.codec.images._Array

    def recorded(self, start, stop):
        assert isinstance(self._values, np.memmap | Rows)  # which are no arrays in memory
        read.append(stop - start)
        return np.asarray(self._values[start:stop])

    monkeypatch.setattr(kind, "read", recorded)
    tv.codec.encode(codec, tmp_path / name, tmp_path / "file")
    tv.codec.decode(codec, tmp_path / "file", tmp_path / "back.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "back.npy"), images)
    # At first some images say how fine the latents are; then it is blocks, twice.
    assert read[1:] == [40, 40, 40, 30] * 2


@pytest.fixture
def rows_of():
    """Returns a function that opens the array of an archive to be read in parts."""
    with contextlib.ExitStack() as files:

        def rows(path):
            file = files.enter_context(open(path, "rb"))
            found = Arrays(file, path.name).rows("arr_0")
            if isinstance(found, Rows):
                files.callback(found.close)
            return found

        yield rows


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "packed"])
def test_parts_of_an_array_in_an_archive_take_the_memory_of_a_part(
    save, rows_of, tmp_path, monkeypatch
):
    monkeypatch.setattr(reading, "_AT_ONCE", 2**14)
    values = np.tile(np.arange(251, dtype=np.uint8), 2**15)[: 2**22].reshape(256, 2**14)
    save(tmp_path / "in.npz", values)
    tracemalloc.start()
    try:
        rows = rows_of(tmp_path / "in.npz")
        assert (rows.shape, rows.dtype, len(rows)) == (values.shape, values.dtype, 256)
        # In order, over a gap, back again, nothing, the end.
        for start, stop in ((0, 4), (4, 8), (100, 104), (2, 3), (9, 9), (250, 300)):
            np.testing.assert_array_equal(rows[start:stop], values[start:stop])
        assert tracemalloc.get_traced_memory()[1] < values.nbytes // 4
    finally:
        tracemalloc.stop()


def test_an_array_in_fortran_s_order_is_read_whole_where_it_is_small(
    rows_of, tmp_path, monkeypatch
):
    values = np.asfortranarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    np.savez(tmp_path / "in.npz", values)
    np.testing.assert_array_equal(rows_of(tmp_path / "in.npz"), values)
    monkeypatch.setattr(reading, "_ALWAYS_UNPACKED", 100)
    with pytest.raises(ValueError, match=r"Fortran's order.*ascontiguousarray") as error:
        rows_of(tmp_path / "in.npz")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["cut", "flipped", "of objects"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "packed"])
def test_a_damaged_archive_is_one_line_before_work_and_leaves_nothing(
    save, damage, plain, tmp_path, monkeypatch
):
    _, codec, images = plain
    path = tmp_path / "in.npz"
    save(path, images.astype(object) if damage == "of objects" else images)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "flipped":
        content[len(content) // 2] ^= 16
    path.write_bytes(content)
    monkeypatch.setattr(codec, "written", lambda *_: pytest.fail("work has begun"))
    with pytest.raises(ValueError, match=r"in\.npz.*could not be read.*Received") as error:
        tv.codec.encode(codec, path, tmp_path / "file")
    assert "\n" not in str(error.value) and [*tmp_path.iterdir()] == [path]


# Comparison with others.


@pytest.mark.all_only
def test_codecs_that_everybody_has_are_measured_beside(plain, tmp_path):
    model, _, images = plain
    split = Split(images.astype(np.float32), "static")
    found = tv.codec.measure(model, split, tmp_path / "file", num_samples=4)
    assert found.bits_per_dim == 8 * found.bytes / images.size and found.images == len(images)
    raw = np.packbits(images).tobytes()
    assert found.codecs["gzip"] == 8 * len(zlib.compress(raw, 9)) / images.size
    assert found.codecs["png, sheets"] < found.codecs["png, single"]
    assert set(found.codecs) >= {"bz2", "lzma", "webp, sheets", "webp, single"}
    has_jxl = importlib.util.find_spec("imagecodecs") is not None
    assert ({"jpeg xl, sheets", "jpeg xl, single"} <= set(found.codecs)) == has_jxl
    assert "this model" in found.text() and "images/s" in found.text()
