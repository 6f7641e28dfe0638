"""Images made from known factors, on the spot: nothing is downloaded and nothing is random.

    data = tv.data.load("sprites")                        # 92,160 binary images of 32x32
    data = tv.data.load("sprites", image_size=(64, 64))   # the same of 64x64
    data.train.factors                                    # [N, 5], see FACTORS["sprites"]

After dSprites (Matthey et al., 2017) and 3D Shapes (Burgess & Kim, 2018): every combination of the
factors once. Shapes turn by half a turn and none looks the same after less, so that an image says
its angle; a square of dSprites looks the same after a quarter. Of 64x64 the 360 pictures of a place
all differ; of 32x32, 350 do: the smallest have few pixels.
"""

import itertools
import pathlib
from typing import Any

import numpy as np

from tfp_vae.data.kinds import Kind
from tfp_vae.data.named import NAMES
from tfp_vae.data.source import Named, Raw

SHAPES = ("ellipse", "rectangle", "heart")
SOLIDS = ("sphere", "box", "cylinder", "cone")
# What the columns of `Split.factors` are. "shape" is a number of `SHAPES` or `SOLIDS`, hues are
# shares of the circle of colours, angles are in radians, places are shares of their range.
FACTORS = {
    "sprites": ("shape", "scale", "angle", "x", "y"),
    "rooms": ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "angle"),
}
_SIDES = (32, 64)
_SCALES, _ANGLES, _PLACES = 6, 20, 16
_HUES, _ROOM_SCALES, _ROOM_ANGLES = 6, 4, 5
_FINE = 3  # points per pixel and axis that a pixel is the mean of


class Made(Named):
    """Images that are made here, with what they are made of."""

    words = "sprites or rooms"
    arguments = ("image_size",)

    def made(self, side: int) -> Raw:
        """Returns all images of `side` x `side` pixels with their factors."""
        raise NotImplementedError

    def read(
        self,
        source: Any,
        data_dir: "str | pathlib.Path | None",
        *,
        image_size: "tuple[int, int] | None" = None,
    ) -> Raw:
        """Returns all images with their factors; the labels are the shapes."""
        del data_dir
        return self.made(checked_side(source, image_size))


@NAMES.register("sprites", "92,160 binary shapes of known shape, scale, angle, x and y")
class Sprites(Made):
    """Three shapes in six sizes, 20 angles and 16 x 16 places."""

    def made(self, side: int) -> Raw:
        """Returns the shapes."""
        values, factors = sprites(side)
        labels = factors[:, 0].astype(np.int64)
        return Raw({"train": (values > 0, labels)}, class_names=SHAPES, factors={"train": factors})


@NAMES.register("rooms", "17,280 coloured solids in rooms of known hues, scale, shape and angle")
class Rooms(Made):
    """Four solids in four sizes, in front of a wall, in six hues of each, seen from five angles."""

    def made(self, side: int) -> Raw:
        """Returns the rooms."""
        values, factors = rooms(side)
        return Raw(
            {"train": (values, factors[:, 4].astype(np.int64))},
            kind=Kind.EIGHT_BIT,
            class_names=SOLIDS,
            factors={"train": factors},
        )


def checked_side(source: str, image_size: "tuple[int, int] | None") -> int:
    """Returns the side of the images; raises `ValueError` for another size than 32 or 64."""
    if image_size is None:
        return _SIDES[0]
    sizes = [(side, side) for side in _SIDES]
    if tuple(image_size) not in sizes:
        raise ValueError(
            f"{source} is not made in this size. Expected image_size (32, 32) or (64, 64). "
            f"Received {tuple(image_size)}."
        )
    return int(image_size[0])


def sprites(side: int) -> "tuple[np.ndarray, np.ndarray]":
    """Returns binary images uint8 [92160, side, side, 1], 0 or 255, and factors float32 [92160, 5].

    Args:
        side: 32 or 64.
    """
    unit = side // 32
    half = 8 * unit  # of the patch that a shape is drawn in; places are `unit` pixels apart
    scales = np.linspace(0.5, 1, _SCALES)
    angles = np.arange(_ANGLES) * np.pi / _ANGLES
    axis = (np.arange(2 * half) + 0.5 - half) / half
    y, x = np.meshgrid(axis, axis, indexing="ij")
    images = np.zeros((len(SHAPES), _SCALES, _ANGLES, _PLACES, _PLACES, side, side), np.uint8)
    for shape, (i, scale), (j, angle) in itertools.product(
        range(len(SHAPES)), enumerate(scales), enumerate(angles)
    ):
        across = (np.cos(angle) * x + np.sin(angle) * y) / scale
        down = (-np.sin(angle) * x + np.cos(angle) * y) / scale
        patch = np.where(_inside(SHAPES[shape], across, down), np.uint8(255), np.uint8(0))
        for column, row in itertools.product(range(_PLACES), range(_PLACES)):
            top, left = row * unit, column * unit
            there = images[shape, i, j, column, row]
            there[top : top + 2 * half, left : left + 2 * half] = patch
    places = np.linspace(0, 1, _PLACES)
    factors = _product(np.arange(len(SHAPES)), scales, angles, places, places)
    return images.reshape(-1, side, side, 1), factors


def _inside(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns which points a shape of radius 1 covers, y downwards."""
    if shape == "ellipse":
        return (x / 0.95) ** 2 + (y / 0.5) ** 2 <= 1
    if shape == "rectangle":
        return (np.abs(x) <= 0.85) & (np.abs(y) <= 0.42)
    x, y = 1.25 * x, 0.12 - 1.25 * y  # (x^2 + y^2 - 1)^3 = x^2 y^3
    return (x**2 + y**2 - 1) ** 3 <= x**2 * y**3


def rooms(side: int) -> "tuple[np.ndarray, np.ndarray]":
    """Returns images uint8 [17280, side, side, 3] and factors float32 [17280, 6].

    A floor, a wall whose corner moves with the angle, and a lit solid that turns with it.

    Args:
        side: 32 or 64.
    """
    hues = np.arange(_HUES) / _HUES
    scales = np.linspace(0.55, 1, _ROOM_SCALES)
    angles = np.linspace(-0.5, 0.5, _ROOM_ANGLES)
    colours = np.stack([_colour(hue) for hue in hues])  # [hue, 3]
    axis = (np.arange(side * _FINE) + 0.5) / (side * _FINE)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    shape = (_HUES, _HUES, _HUES, _ROOM_SCALES, len(SOLIDS), _ROOM_ANGLES, side, side, 3)
    images = np.empty(shape, np.uint8)

    def coarse(light):
        return light.reshape(side, _FINE, side, _FINE).mean(axis=(1, 3)).astype(np.float32)

    for (s, scale), k, (a, angle) in itertools.product(
        enumerate(scales), range(len(SOLIDS)), enumerate(angles)
    ):
        corner = 0.5 + 0.7 * angle
        foot = 0.5 + 0.12 * np.abs(x - corner)  # where the walls meet the floor
        light = _solid(SOLIDS[k], (x - 0.5) / (0.3 * scale), (y - 0.85) / (0.3 * scale), angle)
        is_wall = (y < foot) & (light == 0)
        parts = (
            np.where((y >= foot) & (light == 0), 0.95, 0.0),
            np.where(is_wall, np.where(x < corner, 0.85, 0.65), 0.0),
            light,
        )
        floor, wall, solid = (coarse(part)[..., np.newaxis] * 255 for part in parts)
        total = (
            (floor * colours[:, np.newaxis, np.newaxis])[:, np.newaxis, np.newaxis]
            + (wall * colours[:, np.newaxis, np.newaxis])[np.newaxis, :, np.newaxis]
            + (solid * colours[:, np.newaxis, np.newaxis])[np.newaxis, np.newaxis]
        )
        images[:, :, :, s, k, a] = np.round(total)
    factors = _product(hues, hues, hues, scales, np.arange(len(SOLIDS)), angles)
    return images.reshape(-1, side, side, 3), factors


def _solid(shape: str, x: np.ndarray, y: np.ndarray, angle: float) -> np.ndarray:
    """Returns the light of a solid that stands on y = 0 and is 2 high, 0 beside it."""
    if shape == "sphere":
        r2 = x**2 + (y + 1) ** 2
        height = np.sqrt(np.clip(1 - r2, 0, 1))
        light = 0.35 + 0.65 * np.clip(0.6 * height - 0.5 * x * np.cos(angle) - 0.5 * (y + 1), 0, 1)
        return np.where(r2 <= 1, light, 0)
    is_high = (y <= 0) & (y >= -2)
    if shape == "box":  # two faces, whose widths turn
        edge = 1.4 * angle
        return np.where(is_high & (np.abs(x) <= 0.9), np.where(x < edge, 1.0, 0.5), 0)
    # A cone is widest at its foot.
    width = np.full_like(y, 0.8) if shape == "cylinder" else np.clip(1 + y / 2, 1e-6, None)
    side = np.clip(x / width, -1, 1)
    return np.where(is_high & (np.abs(x) <= width), 0.6 - 0.4 * np.sin(side - angle), 0)


def _colour(hue: float) -> np.ndarray:
    """Returns red, green and blue in [0.1, 1] of a hue in [0, 1)."""
    turned = (hue + np.array([0, 2 / 3, 1 / 3])) % 1
    return 0.1 + 0.9 * np.clip(np.abs(6 * turned - 3) - 1, 0, 1)


def _product(*axes: np.ndarray) -> np.ndarray:
    """Returns every combination, the last axis fastest, float32 [N, F]."""
    grid = np.meshgrid(*axes, indexing="ij")
    return np.stack([each.ravel() for each in grid], axis=1).astype(np.float32)
