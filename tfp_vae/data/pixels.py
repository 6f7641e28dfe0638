"""What an image file becomes: upright, in the size and the colours that are asked for.

Nothing of a file is dropped silently: what cannot be kept is refused by name, and what is changed
on the way is told to whoever asks (`Look.notes`).
"""

import dataclasses
from typing import Any

import numpy as np

from tfp_vae.arguments import check_choice, is_count
from tfp_vae.data.pictures import opened

COLOR_MODES = ("grayscale", "rgb", "rgba")  # as in Keras
FRAMES = ("first", "all")
_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_ORIENTATION = 0x0112  # the tag of EXIF
_PHOTOMETRIC = 0x0106  # the tag of TIFF
_TURNED = (5, 6, 7, 8)  # its values of images that lie on their side
# What Pillow opens an image in: the mode that holds all of it.
_WHOLE = {"1": "L", "L": "L", "RGB": "RGB", "RGBA": "RGBA", "YCbCr": "RGB", "P": "RGB"}
_CLEAR = {"LA": "RGBA", "La": "RGBA", "PA": "RGBA", "RGBa": "RGBA"}
_CONVERTED = {
    "LA": "grey with transparency, read as RGBA",
    "La": "grey with transparency, read as RGBA",
    "PA": "a palette with transparency, read as RGBA",
    "P": "a palette with transparency, read as RGBA",
    "L": "a transparent grey level, read as RGBA",
    "1": "a transparent grey level, read as RGBA",
    "RGB": "a transparent colour, read as RGBA",
    "CMYK": "CMYK, read as RGB without a colour profile",
}


@dataclasses.dataclass(frozen=True)
class Look:
    """What is known of an image from its head.

    Attributes:
        shape: (H, W, C) of what is read.
        dtype: uint8, or float32 for grey values of 16 bits, k/65535.
        frames: how many examples it is.
        notes: what is changed on the way, in words.
    """

    shape: "tuple[int, ...]"
    dtype: np.dtype
    frames: int = 1
    notes: "tuple[str, ...]" = ()


@dataclasses.dataclass(frozen=True)
class Reading:
    """How image files are read.

    Attributes:
        image_size: (H, W), or a number for both, that every image is resized to, bilinear; None for
            the size of the files, which then have to be alike.
        color_mode: "grayscale", "rgb" or "rgba", which every image is converted to; None for what
            the files have, which then has to be alike.
        frames: of files with several pictures (GIF, TIFF, WebP): "first", or "all" for an example
            of each; None refuses them.
    """

    image_size: Any = None
    color_mode: "str | None" = None
    frames: "str | None" = None

    def __post_init__(self) -> None:
        size = self.image_size
        if size is not None:
            pair: tuple = tuple(size) if isinstance(size, tuple | list) else (size,)
            pair = pair * 2 if len(pair) == 1 else pair
            if len(pair) != 2 or not all(is_count(each, most=2**15) for each in pair):
                raise ValueError(
                    "Impossible image_size. Expected (height, width), integers from 1 to 32768. "
                    f"Received {size!r}."
                )
            object.__setattr__(self, "image_size", tuple(map(int, pair)))
        if self.color_mode is not None:
            check_choice("color_mode", self.color_mode, COLOR_MODES)
        if self.frames is not None:
            check_choice("frames", self.frames, FRAMES)

    def look(self, file: "str | bytes", name: str) -> Look:
        """Returns what an image, a path or the bytes, will be, from its head alone.

        Raises:
            ValueError: if it is not an image that can be read, with `name` in the message.
        """
        with opened(file, name) as image:
            mode, notes = self._mode(image)
            size = image.height, image.width
            # The head of a PNG has it or not; asking Pillow would read the pixels.
            tags = image.getexif() if "exif" in image.info or image.format != "PNG" else {}
            if tags.get(_ORIENTATION) in _TURNED:
                size = size[::-1]
                if image.format == "TIFF":
                    raise ValueError(
                        "a TIFF that lies on its side, which Pillow reads wrong; save it upright"
                    )
            deep = mode.startswith("I")
            return Look(
                (*(self.image_size or size), 1 if deep else len(mode)),
                np.dtype(np.float32 if deep else np.uint8),
                self._frames(image),
                notes,
            )

    def decoded(self, file: "str | bytes", name: str, frame: int = 0) -> np.ndarray:
        """Returns an image, a path or the bytes, as [H, W, C]: grey, RGB or RGBA.

        Args:
            file: what it is read from.
            name: for errors.
            frame: which of its pictures.

        Raises:
            ValueError: if it is not a whole image that can be read, with `name` in the message.
        """
        with opened(file, name) as image:
            from PIL import Image, ImageOps  # loaded when used

            if frame:
                image.seek(frame)
            raw = _raw(image)  # which is forgotten once the pixels are there
            image.load()
            mode, _ = self._mode(image)
            is_turned = image.getexif().get(_ORIENTATION, 1) != 1
            upright = ImageOps.exif_transpose(image) if is_turned else image
            deep = mode.startswith("I")
            if deep:
                upright = Image.fromarray(np.asarray(upright).astype(np.float32))
            elif upright.mode != mode:
                upright = upright.convert(mode)
            if self.image_size is not None and upright.size != self.image_size[::-1]:
                upright = upright.resize(self.image_size[::-1], Image.Resampling.BILINEAR)
            pixels = np.asarray(upright)
            if deep:
                most = 2**12 - 1 if "I;12" in raw else 2**16 - 1
                pixels = np.clip(pixels / np.float32(most), 0, 1)
                # TIFF may count from white, which Pillow minds where there are 8 bits alone.
                if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0:
                    pixels = 1 - pixels
            return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]

    def _mode(self, image: Any) -> "tuple[str, tuple[str, ...]]":
        """Returns which mode an image is read in, a letter per channel or "I;16", and notes."""
        mode = image.mode
        is_deep = mode.startswith("I;16") or (mode == "I" and image.format in ("PNG", "PPM"))
        if is_deep and self.color_mode not in (None, "grayscale"):
            raise ValueError(
                f"16 bits of grey (mode {mode}), which are read as grey only; "
                "color_mode='grayscale' or None"
            )
        if is_deep:
            return "I;16", ()
        raw = _raw(image)
        # What a PPM says beside its mode is its largest number.
        large = image.format == "PPM" and any(part.isdigit() and int(part) > 255 for part in raw)
        if large or any(";16" in part and part != "BGR;16" for part in raw):  # that one: 5, 6, 5
            raise ValueError(
                "16 bits per channel in colour, of which 8 would be read; convert the files to 8 "
                "bits, or load arrays"
            )
        clear = mode in _CLEAR or "transparency" in image.info
        whole = "RGBA" if clear else {**_WHOLE, "CMYK": "RGB"}.get(mode)
        if whole is None:
            raise ValueError(
                f"values of another kind (mode {mode}); convert the files, or load arrays"
            )
        wanted = _MODES.get(self.color_mode, whole)
        if wanted != whole and whole == "RGBA":
            return wanted, ("transparency, which is left out",)
        changed = mode in _CONVERTED and (clear or mode == "CMYK")
        return wanted, (_CONVERTED[mode],) if changed and wanted == whole else ()

    def _frames(self, image: Any) -> int:
        count = int(getattr(image, "n_frames", 1))
        if count > 1 and self.frames is None:
            raise ValueError(
                f"{count} pictures in one file; frames='first' reads the first one, frames='all' "
                "an example of each"
            )
        return count if self.frames == "all" else 1


def _raw(image: Any) -> "list[str]":
    """Returns how the parts of an image are stored, in Pillow's words, such as "RGB;16L"."""
    tiles = getattr(image, "tile", []) or []
    return [str(part) for tile in tiles for part in np.ravel(np.array(tile[3:], object))]
