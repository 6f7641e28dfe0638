"""Image files that may come from anybody: opened by a list of formats, within bounds.

Pillow finds the format of a file by itself, whatever its name is, and for some it starts another
program (Ghostscript for PostScript). Every image that this package reads is opened here.
"""

import contextlib
import io
import os
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tfp_vae import extras
from tfp_vae.reading import check_regular

if TYPE_CHECKING:
    from PIL import Image

# Formats that Pillow, or a library in its own process, decodes: none of them starts a program.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
# Values of an image that are always read, and, beyond those, the most that a byte of its file
# stands for: what is packed better than that is an area of one colour, or a bomb.
_ALWAYS, _MOST_EXPANSION = 2**24, 2**12
_MOST_PIXELS = 2**27  # of any image: half a gigabyte of colours


@contextlib.contextmanager
def opened(file: "str | bytes", name: str) -> "Iterator[Image.Image]":
    """Yields an image, from a path or from its bytes, whose head alone was read.

    Args:
        file: the path, or the content.
        name: of the image, for errors.

    Raises:
        ValueError: if it is not an image in one of `FORMATS`, or promises more pixels than its
            file can be believed to hold; and for whatever goes wrong in the context.
    """
    extras.need("images", "Image files")
    from PIL import Image  # loaded when used

    try:
        size = len(file) if isinstance(file, bytes) else check_regular(file)
        source = io.BytesIO(file) if isinstance(file, bytes) else os.fspath(file)
        with warnings.catch_warnings():
            # Ours is the smaller limit, and an error.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(source, formats=FORMATS)
        with image:
            _check_size(image, size)
            yield image
    except Exception as error:  # decoders raise what their bytes lead to: OSError, struct.error ...
        # Where the bytes lie in memory is of no use to anyone.
        reason = re.sub(r" <_io\.BytesIO object at \w+>", "", " ".join(str(error).split()))
        raise ValueError(
            f"{name} could not be read. Expected a whole 8-bit image file, or one of 16 bits "
            f"of grey ({', '.join(FORMATS)}). "
            f"Received: {reason or type(error).__name__}"
        ) from error


def _check_size(image: "Image.Image", size: int) -> None:
    pixels = image.width * image.height
    values = pixels * len(image.getbands())
    if pixels > _MOST_PIXELS or values > max(_ALWAYS, _MOST_EXPANSION * size):
        raise ValueError(
            f"{image.width:,} x {image.height:,} pixels in {size:,} bytes, which is more than is "
            "believed"
        )
