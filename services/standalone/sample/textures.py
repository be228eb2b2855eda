"""Surfaces seen close."""

from collections.abc import Callable
from random import Random
from typing import Final

import numpy as np

from services.standalone.sample.canvas import HEIGHT, WIDTH, Canvas, Rgb, blend, noise

_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)


def wood(rng: Random, colour: Rgb) -> Canvas:
    rings = noise(rng, 3, stretch=6) * rng.uniform(10, 18)
    grain = noise(rng, 40, stretch=20)
    return Canvas.of(
        blend(colour.lighter(0.45), colour.lighter(-0.25), 0.7 * np.abs(rings % 1 - 0.5) * 2 + 0.3 * grain)
    )


def marble(rng: Random, colour: Rgb) -> Canvas:
    veins = np.abs(np.sin((_X + _Y * rng.uniform(-1, 1)) / 90 + 7 * noise(rng, 4))) ** 0.35
    return Canvas.of(blend(colour.lighter(-0.2), colour.lighter(0.88), veins))


def bricks(rng: Random, colour: Rgb) -> Canvas:
    height, width = rng.uniform(38, 52), rng.uniform(100, 140)
    row = _Y // height
    x = _X + row % 2 * width / 2
    shades = np.random.default_rng(rng.getrandbits(32)).uniform(-0.25, 0.25, 4096)
    brick = (row * 31 + x // width).astype(int) % 4096
    share = 0.5 + shades[brick] + 0.2 * (noise(rng, 60) - 0.5)
    pixels = blend(colour.lighter(-0.35), colour.lighter(0.3), share)
    mortar = (_Y % height < 6) | (x % width < 6)
    pixels[mortar] = (205, 200, 192)
    return Canvas.of(pixels)


def clouds(rng: Random, colour: Rgb) -> Canvas:
    share = np.clip((noise(rng, 4, stretch=1.6) - 0.4) * 2.6, 0, 1)
    return Canvas.of(blend(colour.lighter(0.15), Rgb(250, 250, 252), share))


def fur(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.of(blend(colour.lighter(-0.4), colour.lighter(-0.1), noise(rng, 6)))
    lean = rng.uniform(-0.6, 0.6)
    for _ in range(2600):
        x, y, long = rng.uniform(-20, WIDTH), rng.uniform(-20, HEIGHT), rng.uniform(18, 44)
        tip = (x + long * (lean + rng.uniform(-0.25, 0.25)), y + long)
        canvas.draw.line((x, y, *tip), fill=colour.lighter(rng.uniform(-0.35, 0.5)), width=2)
    return canvas


def pebbles(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.of(blend(colour.lighter(-0.6), colour.lighter(-0.45), noise(rng, 10)))
    for _ in range(420):
        x, y, size = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(14, 34)
        shade = colour.lighter(rng.uniform(-0.2, 0.55))
        canvas.oval((x, y), (size, size * 0.72), shade.lighter(-0.35))
        canvas.oval((x - 2, y - 3), (size * 0.88, size * 0.6), shade)
    return canvas


def water(rng: Random, colour: Rgb) -> Canvas:
    ripple = np.sin(_Y / 9 + 9 * noise(rng, 5, stretch=3)) * 0.5 + 0.5
    return Canvas.of(blend(colour.lighter(-0.35), colour.lighter(0.55), ripple**2 * (0.4 + 0.6 * _Y / HEIGHT)))


def mosaic(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(Rgb(235, 232, 226), Rgb(225, 222, 214))
    cell = rng.choice([40, 48, 64])
    for top in range(0, HEIGHT, cell):
        for left in range(0, WIDTH, cell):
            box = (left + 3, top + 3, left + cell - 3, top + cell - 3)
            canvas.draw.rounded_rectangle(box, 6, fill=colour.lighter(rng.uniform(-0.5, 0.7)))
    return canvas


KINDS: Final[dict[str, Callable[[Random, Rgb], Canvas]]] = {
    "wood": wood,
    "marble": marble,
    "bricks": bricks,
    "clouds": clouds,
    "fur": fur,
    "pebbles": pebbles,
    "water": water,
    "mosaic": mosaic,
}
