"""Patterns that fill the picture."""

from collections.abc import Callable
from math import pi
from random import Random
from typing import Final

import numpy as np
import numpy.typing as npt

from services.standalone.sample.canvas import HEIGHT, WIDTH, Canvas, Rgb, blend

_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)


def _two(rng: Random, colour: Rgb, share: npt.NDArray[np.floating]) -> Canvas:
    pale = colour.lighter(rng.uniform(0.7, 0.92))
    return Canvas.of(blend(pale, colour, share))


def stripes(rng: Random, colour: Rgb) -> Canvas:
    angle, width = rng.uniform(0, pi), rng.uniform(28, 70)
    along = _X * np.cos(angle) + _Y * np.sin(angle)
    return _two(rng, colour, (along // width % 2).astype(float))


def checks(rng: Random, colour: Rgb) -> Canvas:
    cell = rng.uniform(36, 84)
    return _two(rng, colour, ((_X // cell + _Y // cell) % 2).astype(float))


def dots(rng: Random, colour: Rgb) -> Canvas:
    cell = rng.uniform(54, 110)
    row = _Y // cell
    x = (_X + row % 2 * cell / 2) % cell - cell / 2
    y = _Y % cell - cell / 2
    return _two(rng, colour, (np.hypot(x, y) < cell * rng.uniform(0.24, 0.36)).astype(float))


def zigzag(rng: Random, colour: Rgb) -> Canvas:
    width, period = rng.uniform(36, 64), rng.uniform(90, 170)
    lift = np.abs(_X % period - period / 2)
    return _two(rng, colour, ((_Y + lift) // width % 2).astype(float))


def waves(rng: Random, colour: Rgb) -> Canvas:
    width, period = rng.uniform(34, 60), rng.uniform(140, 260)
    return _two(rng, colour, 0.5 + 0.5 * np.sin((_Y + 34 * np.sin(2 * pi * _X / period)) * pi / width))


def rings(rng: Random, colour: Rgb) -> Canvas:
    radius = np.hypot(_X - WIDTH * rng.uniform(0.35, 0.65), _Y - HEIGHT * rng.uniform(0.35, 0.65))
    return _two(rng, colour, (radius // rng.uniform(26, 52) % 2).astype(float))


def plaid(rng: Random, colour: Rgb) -> Canvas:
    cell = rng.uniform(90, 150)
    share = np.zeros((HEIGHT, WIDTH))
    for low, high, weight in ((0.0, 0.4, 0.45), (0.55, 0.62, 0.3), (0.8, 0.86, 0.3)):
        for along in (_X, _Y):
            at = along / cell % 1
            share += weight * ((at >= low) & (at < high))
    return _two(rng, colour, np.minimum(share, 1))


def spiral(rng: Random, colour: Rgb) -> Canvas:
    x, y = _X - WIDTH / 2, _Y - HEIGHT / 2
    arms = rng.randint(2, 5)
    turn = arms * np.arctan2(y, x) + np.hypot(x, y) / rng.uniform(22, 40)
    return _two(rng, colour, 0.5 + 0.5 * np.tanh(4 * np.sin(turn)))


KINDS: Final[dict[str, Callable[[Random, Rgb], Canvas]]] = {
    "stripes": stripes,
    "checks": checks,
    "dots": dots,
    "zigzags": zigzag,
    "waves": waves,
    "rings": rings,
    "plaid": plaid,
    "spirals": spiral,
}
