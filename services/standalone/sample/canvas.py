"""What the pictures are drawn on: colours by name, gradients, and a canvas that is drawn large and scaled down."""

from dataclasses import dataclass
from math import cos, pi, sin
from random import Random
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

WIDTH: Final = 640
HEIGHT: Final = 480
"""Of the drawing; pictures are scaled to half of it, which smooths every edge."""


class Rgb(NamedTuple):
    red: int
    green: int
    blue: int

    def lighter(self, share: float) -> "Rgb":
        """Towards white by a share of 0 … 1; negative: towards black."""
        target = 255 if share >= 0 else 0
        return Rgb(*(round(one + (target - one) * abs(share)) for one in self))


COLOURS: Final = {
    "red": Rgb(206, 45, 53),
    "orange": Rgb(236, 126, 34),
    "yellow": Rgb(243, 197, 51),
    "green": Rgb(64, 148, 76),
    "teal": Rgb(25, 148, 146),
    "blue": Rgb(45, 98, 190),
    "purple": Rgb(120, 66, 162),
    "pink": Rgb(229, 106, 157),
    "brown": Rgb(133, 86, 53),
    "grey": Rgb(112, 118, 128),
}

Point = tuple[float, float]


@dataclass(slots=True)
class Canvas:
    """image: RGB, WIDTH x HEIGHT. draw: on that image."""

    image: Image.Image
    draw: ImageDraw.ImageDraw

    @classmethod
    def gradient(cls, top: Rgb, bottom: Rgb) -> "Canvas":
        """A canvas that fades from top to bottom."""
        share = np.linspace(0, 1, HEIGHT)[:, None, None]
        rows = np.array(top) * (1 - share) + np.array(bottom) * share
        return cls.of(np.broadcast_to(rows, (HEIGHT, WIDTH, 3)))

    @classmethod
    def of(cls, pixels: npt.NDArray[np.floating]) -> "Canvas":
        """pixels: float[HEIGHT, WIDTH, 3], 0 … 255, clipped."""
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        return cls(image, ImageDraw.Draw(image))

    def disc(self, centre: Point, radius: float, colour: Rgb) -> None:
        x, y = centre
        self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def oval(self, centre: Point, half: Point, colour: Rgb) -> None:
        (x, y), (w, h) = centre, half
        self.draw.ellipse((x - w, y - h, x + w, y + h), fill=colour)

    def polygon(self, points: list[Point], colour: Rgb) -> None:
        self.draw.polygon(points, fill=colour)

    def shadow(self, centre: Point, half: Point) -> None:
        """A soft oval that darkens the ground under a thing."""
        mask = Image.new("L", self.image.size, 0)
        (x, y), (w, h) = centre, half
        ImageDraw.Draw(mask).ellipse((x - w, y - h, x + w, y + h), fill=90)
        dark = Image.new("RGB", self.image.size, (30, 30, 40))
        self.image.paste(dark, mask=mask.filter(ImageFilter.BoxBlur(10)))

    def finished(self) -> Image.Image:
        return self.image.reduce(2)


def regular(centre: Point, radius: float, corners: int, turn: float = 0.0) -> list[Point]:
    """Corners of a regular polygon, the first one up, turned clockwise by `turn` radians."""
    x, y = centre
    angles = [turn - pi / 2 + 2 * pi * i / corners for i in range(corners)]
    return [(x + radius * cos(a), y + radius * sin(a)) for a in angles]


def star(centre: Point, radius: float, points: int = 5, inner: float = 0.42, turn: float = 0.0) -> list[Point]:
    outer = regular(centre, radius, points, turn)
    inside = regular(centre, radius * inner, points, turn + pi / points)
    return [point for pair in zip(outer, inside, strict=True) for point in pair]


def noise(rng: Random, cells: int, stretch: float = 1.0) -> npt.NDArray[np.float64]:
    """Smooth noise float64[HEIGHT, WIDTH] in 0 … 1: four octaves from `cells` across; stretch > 1: longer in x."""
    total = np.zeros((HEIGHT, WIDTH))
    generator = np.random.default_rng(rng.getrandbits(32))
    for octave in range(4):
        across = max(2, round(cells * 2**octave / stretch))
        down = max(2, round(cells * 2**octave * HEIGHT / WIDTH))
        grid = Image.fromarray(generator.random((down, across)).astype(np.float32))
        total += np.asarray(grid.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.float64) / 2**octave
    low, high = total.min(), total.max()
    scaled: npt.NDArray[np.float64] = (total - low) / (high - low)
    return scaled


def blend(first: Rgb, second: Rgb, share: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """float[HEIGHT, WIDTH, 3] that is `first` where share is 0 and `second` where it is 1."""
    pixels: npt.NDArray[np.floating] = np.array(first) * (1 - share[..., None]) + np.array(second) * share[..., None]
    return pixels
