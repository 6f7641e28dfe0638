"""What a codec saves, beside the bound that it should reach and what every machine has."""

import bz2
import dataclasses
import functools
import importlib.util
import io
import lzma
import math
import pathlib
import zlib
from collections.abc import Callable

import numpy as np

from tfp_vae import extras, report
from tfp_vae.codec.coding import Codec, Progress, encode
from tfp_vae.data import Split
from tfp_vae.models import VAE

_SHEET = 4096  # pixels of a side of a picture of many images, which WebP and PNG take
_ALONE = 1000  # images that are files of their own, where their heads cost most

_STREAMS: "dict[str, Callable[[bytes], bytes]]" = {
    "gzip": lambda data: zlib.compress(data, 9),
    "bz2": lambda data: bz2.compress(data, 9),
    "lzma": lambda data: lzma.compress(data, preset=6),
}


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured; bits are those of one value of an image: a pixel of one channel.

    Attributes:
        images: how many.
        bytes: of the file, everything counted.
        bits_per_dim: the same.
        elbo_bits_per_dim: -ELBO of the same images.
        encode_images_per_second: without the check that follows.
        decode_images_per_second: of that check.
        encode_network_share: of its time.
        encode_coder_share: of its time, tables of probabilities and stack.
        decode_network_share: of its time.
        decode_coder_share: of its time.
        codecs: bits by others: gzip, bz2 and lzma of all images as one file, bits packed where
            values are binary; PNG and WebP, and JPEG XL where imagecodecs is installed, of sheets
            of many, and of single images.
    """

    images: int
    bytes: int
    bits_per_dim: float
    elbo_bits_per_dim: float
    encode_images_per_second: float
    decode_images_per_second: float
    encode_network_share: float
    encode_coder_share: float
    decode_network_share: float
    decode_coder_share: float
    codecs: "dict[str, float]"

    def text(self) -> str:
        """Returns a table for people."""
        rows = [("this model", self.bits_per_dim), ("-ELBO", self.elbo_bits_per_dim)]
        rows += self.codecs.items()
        width = max(len(name) for name, _ in rows)
        lines = [f"{'bits per value':<{width}}", *(f"{n:<{width}}  {b:.4f}" for n, b in rows)]
        for what in ("encode", "decode"):
            speed = getattr(self, f"{what}_images_per_second")
            shares = (100 * getattr(self, f"{what}_{x}_share") for x in ("network", "coder"))
            lines.append(f"{what}: {speed:,.0f} images/s, network {next(shares):.0f} %, ")
            lines[-1] += f"coder {next(shares):.0f} %"
        return "\n".join(lines)


def measure(
    model: VAE,
    split: Split,
    path: "str | pathlib.Path",
    num_samples: int = 16,
    progress: "Progress | None" = None,
) -> Measured:
    """Encodes the images of a split into a file, and compares.

    Args:
        model: see `encode`.
        split: images; those of other codecs are all in the memory at a time.
        path: of the file.
        num_samples: of the ELBO.
        progress: see `encode`.

    Raises:
        ValueError: see `encode`; if the split is of a kind that the model is not of.
        ImportError: without `constriction`, or without Pillow.
    """
    extras.need("images", "PNG and WebP")
    model.check_split(split)
    codec = Codec(model)
    done = encode(codec, split, path, progress)
    elbo = model.bounds(split, num_samples, proposal="encoder").elbo
    encoding, decoding = done.encoding, done.decoding
    return Measured(
        done.images,
        done.bytes,
        done.bits_per_dim,
        float(-elbo.mean(dtype=np.float64) / (done.dims * math.log(2))),
        done.images / encoding.total,
        done.images / decoding.total,
        encoding.networks / encoding.total,
        encoding.coder / encoding.total,
        decoding.networks / decoding.total,
        decoding.coder / decoding.total,
        others(split),
    )


def write(run: report.RunFolder, found: Measured, source: dict) -> str:
    """Writes codec.json, codec.txt and codec.png into a run folder and returns the text.

    Args:
        run: the folder.
        found: what was measured.
        source: what the file says of where data and model come from.
    """
    from tfp_vae import plots  # loaded when used

    text = found.text()
    values = {**source, **dataclasses.asdict(found), "versions": report.versions()}
    run.write_json("codec.json", values)
    run.write_text("codec.txt", f"{text}\n")
    picture = plots.code_lengths(found.bits_per_dim, found.elbo_bits_per_dim, found.codecs)
    run.write_figure("codec.png", picture)
    return text


def others(split: Split) -> "dict[str, float]":
    """Returns bits per value of other codecs, by name; see `Measured.codecs`.

    Args:
        split: of binary values or grey levels, of any shape; PNG and WebP are those of images.
    """
    values = np.rint(split.values() * (1 if split.kind.is_binary else 255)).astype(np.uint8)
    raw = (np.packbits(values, axis=None) if split.kind.is_binary else values).tobytes()
    found = {name: 8 * len(pack(raw)) / values.size for name, pack in _STREAMS.items()}
    shape = split.shape
    if len(shape) != 3 or shape[-1] not in (1, 3, 4) or max(shape[:2]) > _SHEET:
        return found
    some = values[:_ALONE]
    for name, (library, length) in _PICTURES.items():
        if not importlib.util.find_spec(library):
            continue
        sheets = sum(length(each, split.kind.is_binary) for each in _sheets(values))
        found[f"{name}, sheets"] = 8 * sheets / values.size
        alone = sum(length(each, split.kind.is_binary) for each in some)
        found[f"{name}, single"] = 8 * alone / some.size
    return found


def _sheets(values):
    """Yields pictures of many images side by side; what is left of the last one is black."""
    height, width = values.shape[1:3]
    columns = max(1, min(_SHEET // width, math.isqrt(len(values))))
    rows = max(1, min(_SHEET // height, math.ceil(len(values) / columns)))
    for start in range(0, len(values), rows * columns):
        here = values[start : start + rows * columns]
        used = math.ceil(len(here) / columns)
        sheet = np.zeros((used * columns, *values.shape[1:]), np.uint8)
        sheet[: len(here)] = here
        sheet = sheet.reshape(used, columns, *values.shape[1:]).swapaxes(1, 2)
        yield sheet.reshape(used * height, columns * width, -1)


def _grey(image, is_binary):
    grey = image[..., 0] if image.shape[-1] == 1 else image
    return grey * 255 if is_binary else grey


def _pillow(image, is_binary, **options):
    from PIL import Image  # loaded when used

    file, picture = io.BytesIO(), Image.fromarray(_grey(image, is_binary))
    # Of two values PNG has a form of its own.
    (picture.convert("1") if is_binary and options["format"] == "PNG" else picture).save(
        file, **options
    )
    return len(file.getvalue())


def _jpeg_xl(image, is_binary):
    import imagecodecs  # loaded when used

    return len(imagecodecs.jpegxl_encode(_grey(image, is_binary), lossless=True, effort=7))


# Of pictures: the library, and bytes of one [H, W, C], and whether it has two values.
_PICTURES: "dict[str, tuple[str, Callable[[np.ndarray, bool], int]]]" = {
    "png": ("PIL", functools.partial(_pillow, format="PNG", optimize=True)),
    "webp": (
        "PIL",
        functools.partial(_pillow, format="WEBP", lossless=True, quality=100, method=4, exact=True),
    ),
    "jpeg xl": ("imagecodecs", _jpeg_xl),
}
