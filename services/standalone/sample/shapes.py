"""Plain shapes on a pale ground."""

from collections.abc import Callable
from math import cos, pi, sin
from random import Random
from typing import Final

from services.standalone.sample.canvas import HEIGHT, WIDTH, Canvas, Point, Rgb, regular, star


def _ground(rng: Random, colour: Rgb) -> Canvas:
    tint = colour.lighter(rng.uniform(0.82, 0.93))
    return Canvas.gradient(tint.lighter(0.4), tint.lighter(-0.06))


def _place(rng: Random) -> tuple[Point, float]:
    return (WIDTH / 2 + rng.uniform(-70, 70), HEIGHT / 2 + rng.uniform(-30, 30)), rng.uniform(110, 175)


def _cast(canvas: Canvas, centre: Point, radius: float) -> None:
    canvas.shadow((centre[0] + 8, centre[1] + radius * 0.95), (radius * 0.9, radius * 0.14))


def circle(rng: Random, colour: Rgb) -> Canvas:
    canvas = _ground(rng, colour)
    centre, radius = _place(rng)
    _cast(canvas, centre, radius)
    for step in range(24):
        share = step / 24
        at = (centre[0] - radius * 0.35 * share, centre[1] - radius * 0.35 * share)
        canvas.disc(at, radius * (1 - share), colour.lighter(share * 0.6 - 0.15))
    return canvas


def square(rng: Random, colour: Rgb) -> Canvas:
    canvas = _ground(rng, colour)
    centre, radius = _place(rng)
    _cast(canvas, centre, radius)
    turn = rng.uniform(-0.3, 0.3) + pi / 4
    canvas.polygon(regular(centre, radius * 1.15, 4, turn), colour)
    canvas.polygon(regular(centre, radius * 0.8, 4, turn), colour.lighter(0.25))
    return canvas


def triangle(rng: Random, colour: Rgb) -> Canvas:
    canvas = _ground(rng, colour)
    centre, radius = _place(rng)
    _cast(canvas, centre, radius * 0.8)
    points = regular(centre, radius * 1.15, 3, rng.uniform(-0.25, 0.25))
    canvas.polygon(points, colour)
    canvas.polygon([points[0], points[1], centre], colour.lighter(0.2))
    canvas.polygon([points[0], points[2], centre], colour.lighter(-0.15))
    return canvas


def five_pointed_star(rng: Random, colour: Rgb) -> Canvas:
    canvas = _ground(rng, colour)
    centre, radius = _place(rng)
    _cast(canvas, centre, radius)
    turn = rng.uniform(-0.3, 0.3)
    canvas.polygon(star(centre, radius * 1.15, turn=turn), colour)
    canvas.polygon(star(centre, radius * 0.7, turn=turn), colour.lighter(0.3))
    return canvas


def hexagon(rng: Random, colour: Rgb) -> Canvas:
    canvas = _ground(rng, colour)
    centre, radius = _place(rng)
    _cast(canvas, centre, radius)
    corners = regular(centre, radius * 1.1, 6)
    for i, corner in enumerate(corners):
        canvas.polygon([centre, corner, corners[(i + 1) % 6]], colour.lighter(0.3 * cos(i * pi / 3)))
    return canvas


def ring(rng: Random, colour: Rgb) -> Canvas:
    canvas = _ground(rng, colour)
    centre, radius = _place(rng)
    _cast(canvas, centre, radius)
    box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
    canvas.draw.ellipse(box, outline=colour, width=round(radius * 0.38))
    canvas.draw.ellipse(box, outline=colour.lighter(0.35), width=round(radius * 0.1))
    return canvas


def heart(rng: Random, colour: Rgb) -> Canvas:
    canvas = _ground(rng, colour)
    (x, y), radius = _place(rng)
    _cast(canvas, (x, y), radius)
    for scale, shade in ((1.0, 0.0), (0.7, 0.2)):
        size = radius / 15 * scale
        turns = [2 * pi * i / 120 for i in range(120)]
        canvas.polygon(
            [
                (
                    x + size * 16 * sin(t) ** 3,
                    y - size * (13 * cos(t) - 5 * cos(2 * t) - 2 * cos(3 * t) - cos(4 * t)),
                )
                for t in turns
            ],
            colour.lighter(shade),
        )
    return canvas


def crescent(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(colour.lighter(-0.75), colour.lighter(-0.55))
    (x, y), radius = _place(rng)
    canvas.disc((x, y), radius, colour.lighter(0.45))
    canvas.disc((x + radius * 0.45, y - radius * 0.2), radius * 0.88, colour.lighter(-0.66))
    return canvas


KINDS: Final[dict[str, Callable[[Random, Rgb], Canvas]]] = {
    "ball": circle,
    "square": square,
    "triangle": triangle,
    "star": five_pointed_star,
    "hexagon": hexagon,
    "ring": ring,
    "heart": heart,
    "crescent": crescent,
}
