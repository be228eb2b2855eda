"""Landscapes under a sky of one colour."""

from collections.abc import Callable
from math import sin
from random import Random
from typing import Final

from services.standalone.sample.canvas import HEIGHT, WIDTH, Canvas, Point, Rgb


def _ridge(rng: Random, base: float, height: float) -> list[Point]:
    a, b, c = rng.uniform(60, 110), rng.uniform(140, 220), rng.uniform(0, 600)
    line = [
        (x, base - height * (0.5 + 0.3 * sin((x + c) / a) + 0.2 * sin((x - c) / b))) for x in range(0, WIDTH + 9, 8)
    ]
    return [*line, (WIDTH, HEIGHT), (0, HEIGHT)]


def sunset(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(colour.lighter(-0.15), colour.lighter(0.7))
    horizon = rng.uniform(280, 330)
    x = rng.uniform(180, 460)
    for step in range(5):
        canvas.disc((x, horizon - 20), 120 - 18 * step, colour.lighter(0.5 + 0.1 * step))
    canvas.draw.rectangle((0, horizon, WIDTH, HEIGHT), fill=colour.lighter(-0.5))
    for _ in range(26):
        y = rng.uniform(horizon + 6, HEIGHT)
        half = rng.uniform(10, 20 + (y - horizon) * 0.6)
        centre = x + rng.uniform(-20, 20)
        canvas.draw.line((centre - half, y, centre + half, y), fill=colour.lighter(0.55), width=4)
    return canvas


def mountains(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(colour.lighter(0.65), colour.lighter(0.92))
    for layer in range(3):
        base = 300 + 70 * layer
        shade = colour.lighter(0.25 - 0.3 * layer)
        x = -80.0
        while x < WIDTH:
            half, tall = rng.uniform(90, 160), rng.uniform(130, 230) - 45 * layer
            canvas.polygon(
                [(x - half, HEIGHT), (x - half, base), (x, base - tall), (x + half, base), (x + half, HEIGHT)], shade
            )
            if layer < 2:
                cap = [(x, base - tall), (x - half * 0.25, base - tall * 0.75), (x + half * 0.25, base - tall * 0.75)]
                canvas.polygon(cap, Rgb(246, 248, 252))
            x += half * rng.uniform(1.0, 1.5)
        canvas.draw.rectangle((0, base, WIDTH, HEIGHT), fill=shade)
    return canvas


def night(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(colour.lighter(-0.85), colour.lighter(-0.4))
    for _ in range(150):
        canvas.disc((rng.uniform(0, WIDTH), rng.uniform(0, 340)), rng.uniform(0.8, 2.6), Rgb(250, 248, 230))
    moon = (rng.uniform(100, 540), rng.uniform(70, 160))
    canvas.disc(moon, 48, Rgb(248, 243, 214))
    for _ in range(5):
        crater = (moon[0] + rng.uniform(-28, 28), moon[1] + rng.uniform(-28, 28))
        canvas.disc(crater, rng.uniform(4, 9), Rgb(225, 218, 186))
    canvas.polygon(_ridge(rng, 430, 90), colour.lighter(-0.88))
    return canvas


def dunes(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(Rgb(150, 200, 235), Rgb(225, 240, 248))
    canvas.disc((rng.uniform(80, 560), 90), 42, Rgb(255, 244, 200))
    for layer in range(4):
        canvas.polygon(_ridge(rng, 330 + 55 * layer, 110), colour.lighter(0.5 - 0.2 * layer))
    return canvas


def forest(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(colour.lighter(0.8), colour.lighter(0.55))
    for layer in range(4):
        base = 250 + 70 * layer
        shade = colour.lighter(0.3 - 0.25 * layer)
        for _ in range(16):
            x, tall = rng.uniform(0, WIDTH), rng.uniform(90, 170) + 10 * layer
            for tier in range(3):
                top, half = base - tall + tier * tall * 0.24, 22 + 14 * tier
                canvas.polygon([(x, top), (x - half, top + tall * 0.45), (x + half, top + tall * 0.45)], shade)
        canvas.draw.rectangle((0, base - 10, WIDTH, HEIGHT), fill=shade)
    return canvas


def skyline(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(colour.lighter(0.25), colour.lighter(0.85))
    for layer, shade in ((0, -0.15), (1, -0.55)):
        x = -20.0
        while x < WIDTH:
            wide, tall = rng.uniform(44, 86), rng.uniform(120, 330) - 70 * layer
            canvas.draw.rectangle((x, HEIGHT - tall, x + wide, HEIGHT), fill=colour.lighter(shade))
            if layer:
                for top in range(round(HEIGHT - tall) + 12, HEIGHT - 10, 22):
                    for left in range(round(x) + 8, round(x + wide) - 10, 16):
                        lit = rng.random() < 0.45
                        fill = Rgb(255, 228, 140) if lit else colour.lighter(-0.7)
                        canvas.draw.rectangle((left, top, left + 8, top + 11), fill=fill)
            x += wide + rng.uniform(0, 14)
    return canvas


def meadow(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(Rgb(140, 195, 240), Rgb(232, 244, 250))
    canvas.polygon(_ridge(rng, 330, 80), Rgb(120, 176, 96))
    canvas.polygon(_ridge(rng, 390, 50), Rgb(88, 152, 76))
    for _ in range(170):
        y = rng.uniform(370, HEIGHT)
        size = (y - 340) / 13
        at = (rng.uniform(0, WIDTH), y)
        canvas.draw.line((*at, at[0], at[1] + size * 2.4), fill=Rgb(60, 120, 56), width=2)
        canvas.disc(at, size, colour)
        canvas.disc(at, size * 0.4, Rgb(252, 236, 150))
    return canvas


def snowfall(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(colour.lighter(0.1), colour.lighter(0.75))
    canvas.polygon(_ridge(rng, 400, 90), Rgb(232, 238, 246))
    canvas.polygon(_ridge(rng, 450, 60), Rgb(250, 251, 254))
    for _ in range(240):
        canvas.disc((rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT)), rng.uniform(2, 6), Rgb(255, 255, 255))
    return canvas


KINDS: Final[dict[str, Callable[[Random, Rgb], Canvas]]] = {
    "sunset": sunset,
    "mountains": mountains,
    "night sky": night,
    "dunes": dunes,
    "forest": forest,
    "skyline": skyline,
    "meadow": meadow,
    "snowfall": snowfall,
}
