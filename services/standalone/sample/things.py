"""Everyday things in front of a wall."""

from collections.abc import Callable
from math import cos, pi, sin
from random import Random
from typing import Final

from services.standalone.sample.canvas import HEIGHT, WIDTH, Canvas, Rgb, regular

_WHITE: Final = Rgb(250, 250, 248)
_DARK: Final = Rgb(48, 50, 58)
_LEAF: Final = Rgb(70, 140, 76)


def _room(rng: Random) -> tuple[Canvas, float, float]:
    """A wall and a floor; where the thing stands."""
    wall = rng.choice([Rgb(238, 232, 220), Rgb(222, 232, 236), Rgb(236, 226, 232), Rgb(228, 236, 224)])
    canvas = Canvas.gradient(wall, wall.lighter(-0.05))
    canvas.draw.rectangle((0, 370, WIDTH, HEIGHT), fill=wall.lighter(-0.18))
    return canvas, WIDTH / 2 + rng.uniform(-90, 90), 400 + rng.uniform(-10, 14)


def mug(rng: Random, colour: Rgb) -> Canvas:
    canvas, x, y = _room(rng)
    canvas.shadow((x, y), (130, 16))
    canvas.draw.ellipse((x + 50, y - 150, x + 150, y - 50), outline=colour.lighter(-0.2), width=22)
    canvas.draw.rounded_rectangle((x - 95, y - 190, x + 95, y), 26, fill=colour)
    canvas.draw.rectangle((x - 70, y - 180, x - 48, y - 24), fill=colour.lighter(0.35))
    canvas.oval((x, y - 190), (95, 22), colour.lighter(-0.3))
    canvas.oval((x, y - 188), (80, 15), Rgb(70, 44, 30))
    return canvas


def house(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(Rgb(160, 208, 244), Rgb(226, 240, 250))
    canvas.draw.rectangle((0, 380, WIDTH, HEIGHT), fill=Rgb(112, 170, 90))
    x, half, tall = WIDTH / 2 + rng.uniform(-80, 80), rng.uniform(120, 160), rng.uniform(150, 190)
    canvas.draw.rectangle((x - half, 400 - tall, x + half, 400), fill=colour.lighter(0.55))
    canvas.draw.rectangle((x + half * 0.4, 400 - tall - 110, x + half * 0.6, 400 - tall), fill=colour.lighter(-0.4))
    canvas.polygon([(x - half - 26, 400 - tall), (x, 400 - tall - 120), (x + half + 26, 400 - tall)], colour)
    canvas.draw.rectangle((x - 24, 400 - 90, x + 24, 400), fill=colour.lighter(-0.45))
    for side in (-0.62, 0.62):
        left = x + side * half - 28
        canvas.draw.rectangle((left, 400 - tall + 34, left + 56, 400 - tall + 88), fill=Rgb(200, 228, 245))
        canvas.draw.line((left + 28, 400 - tall + 34, left + 28, 400 - tall + 88), fill=_WHITE, width=5)
    return canvas


def car(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(Rgb(206, 222, 234), Rgb(238, 240, 240))
    canvas.draw.rectangle((0, 350, WIDTH, HEIGHT), fill=Rgb(96, 98, 104))
    for left in range(-30, WIDTH, 130):
        canvas.draw.rectangle((left, 430, left + 70, 438), fill=_WHITE)
    x, y = WIDTH / 2 + rng.uniform(-60, 60), 340 + rng.uniform(-10, 10)
    canvas.shadow((x, y + 44), (220, 16))
    canvas.polygon([(x - 120, y - 60), (x - 70, y - 130), (x + 70, y - 130), (x + 125, y - 60)], colour.lighter(-0.15))
    canvas.polygon([(x - 96, y - 62), (x - 60, y - 116), (x - 6, y - 116), (x - 6, y - 62)], Rgb(196, 226, 240))
    canvas.polygon([(x + 6, y - 62), (x + 6, y - 116), (x + 60, y - 116), (x + 100, y - 62)], Rgb(196, 226, 240))
    canvas.draw.rounded_rectangle((x - 200, y - 64, x + 200, y + 20), 28, fill=colour)
    canvas.disc((x + 186, y - 30), 12, Rgb(255, 240, 180))
    for wheel in (-115, 115):
        canvas.disc((x + wheel, y + 16), 44, _DARK)
        canvas.disc((x + wheel, y + 16), 22, Rgb(206, 208, 212))
    return canvas


def boat(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(Rgb(158, 208, 240), Rgb(236, 244, 248))
    canvas.draw.rectangle((0, 330, WIDTH, HEIGHT), fill=Rgb(52, 122, 172))
    x = WIDTH / 2 + rng.uniform(-90, 90)
    canvas.draw.rectangle((x - 4, 90, x + 4, 330), fill=Rgb(110, 78, 50))
    canvas.polygon([(x + 12, 100), (x + 12, 300), (x + 150, 300)], colour)
    canvas.polygon([(x - 12, 130), (x - 12, 300), (x - 110, 300)], colour.lighter(0.5))
    canvas.polygon([(x - 160, 316), (x + 170, 316), (x + 110, 380), (x - 110, 380)], Rgb(140, 92, 58))
    for _ in range(30):
        left, y = rng.uniform(0, WIDTH), rng.uniform(370, HEIGHT)
        canvas.draw.line((left, y, left + rng.uniform(24, 60), y), fill=Rgb(120, 176, 212), width=4)
    return canvas


def balloon(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(Rgb(120, 184, 236), Rgb(226, 242, 252))
    for _ in range(4):
        cx, cy = rng.uniform(0, WIDTH), rng.uniform(60, 420)
        for lump in range(4):
            canvas.oval((cx + 34 * lump, cy + rng.uniform(-10, 10)), (46, 26), _WHITE)
    x, y, radius = WIDTH / 2 + rng.uniform(-100, 100), 180 + rng.uniform(-20, 20), 130.0
    for stripe in range(7, 0, -1):
        shade = colour if stripe % 2 else colour.lighter(0.65)
        canvas.oval((x, y), (radius * stripe / 7, radius * 1.08), shade)
    for side in (-1, 1):
        canvas.draw.line((x + side * 70, y + 112, x + side * 26, y + 216), fill=_DARK, width=3)
    canvas.draw.rounded_rectangle((x - 32, y + 210, x + 32, y + 256), 8, fill=Rgb(150, 104, 62))
    return canvas


def flower(rng: Random, colour: Rgb) -> Canvas:
    canvas, x, _ = _room(rng)
    y, petals = 190 + rng.uniform(-16, 16), rng.choice([6, 8, 10])
    canvas.draw.line((x, y, x + 6, 410), fill=_LEAF, width=14)
    canvas.oval((x + 52, 330), (52, 18), _LEAF.lighter(0.15))
    canvas.oval((x - 46, 360), (48, 16), _LEAF)
    for i in range(petals):
        turn = 2 * pi * i / petals
        canvas.disc((x + 84 * cos(turn), y + 84 * sin(turn)), 340 / petals + 8, colour.lighter(0.12 * (i % 2)))
    canvas.disc((x, y), 50, Rgb(242, 196, 60))
    canvas.disc((x, y), 30, Rgb(180, 120, 40))
    return canvas


def fish(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(Rgb(96, 186, 214), Rgb(22, 82, 138))
    x, y = WIDTH / 2 + rng.uniform(-60, 60), HEIGHT / 2 + rng.uniform(-50, 50)
    canvas.polygon([(x + 120, y), (x + 220, y - 80), (x + 196, y), (x + 220, y + 80)], colour.lighter(-0.2))
    canvas.polygon([(x - 30, y - 70), (x + 50, y - 140), (x + 80, y - 60)], colour.lighter(-0.15))
    canvas.oval((x, y), (158, 88), colour)
    for band in (-20, 40, 96):
        canvas.draw.arc((x + band - 40, y - 76, x + band + 10, y + 76), 290, 70, fill=colour.lighter(0.55), width=12)
    canvas.disc((x - 96, y - 22), 20, _WHITE)
    canvas.disc((x - 100, y - 22), 10, _DARK)
    for _ in range(9):
        at = (x - 190 + rng.uniform(-40, 40), rng.uniform(20, y))
        canvas.draw.ellipse((at[0], at[1], at[0] + 16, at[1] + 16), outline=Rgb(212, 240, 250), width=3)
    return canvas


def umbrella(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(Rgb(142, 156, 172), Rgb(206, 214, 222))
    for _ in range(90):
        left, top = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT)
        canvas.draw.line((left, top, left - 8, top + 30), fill=Rgb(196, 212, 228), width=3)
    x, y = WIDTH / 2 + rng.uniform(-70, 70), 250 + rng.uniform(-20, 20)
    canvas.draw.line((x, y - 150, x, y + 150), fill=_DARK, width=9)
    canvas.draw.arc((x - 44, y + 124, x + 4, y + 176), 0, 180, fill=_DARK, width=9)
    for part in range(6):
        box = (x - 190, y - 160, x + 190, y + 160)
        shade = colour if part % 2 else colour.lighter(0.3)
        canvas.draw.pieslice(box, 180 + 30 * part, 210 + 30 * part, fill=shade)
    for scallop in range(6):
        left = x - 190 + scallop * 380 / 6
        canvas.draw.ellipse((left, y - 14, left + 380 / 6, y + 16), fill=Rgb(176, 187, 200))
    return canvas


def cactus(rng: Random, colour: Rgb) -> Canvas:
    canvas, x, y = _room(rng)
    canvas.shadow((x, y), (110, 14))
    green, tall = _LEAF.lighter(rng.uniform(-0.1, 0.2)), rng.uniform(150, 210)
    canvas.draw.rounded_rectangle((x - 40, y - 90 - tall, x + 40, y - 60), 40, fill=green)
    for side, lift in ((-1, 40), (1, 80)):
        elbow = y - 100 - lift
        left, right = sorted((x + side * 30, x + side * 104))
        canvas.draw.rounded_rectangle((left, elbow - 22, right, elbow + 22), 22, fill=green)
        left, right = sorted((x + side * 62, x + side * 106))
        canvas.draw.rounded_rectangle((left, elbow - 90, right, elbow + 22), 22, fill=green)
    for ridge in (-20, 0, 20):
        canvas.draw.line((x + ridge, y - 70 - tall, x + ridge, y - 90), fill=green.lighter(-0.2), width=4)
    canvas.polygon([(x - 84, y - 96), (x + 84, y - 96), (x + 60, y), (x - 60, y)], colour)
    canvas.draw.rectangle((x - 94, y - 112, x + 94, y - 84), fill=colour.lighter(0.2))
    return canvas


def lamp(rng: Random, colour: Rgb) -> Canvas:
    canvas, x, y = _room(rng)
    for glow in range(8):
        canvas.disc((x, y - 230), 200 - 18 * glow, Rgb(252, 240 - 4 * (7 - glow), 196 - 8 * (7 - glow)).lighter(0.3))
    canvas.draw.rectangle((0, 400, WIDTH, HEIGHT), fill=Rgb(178, 170, 158))
    canvas.draw.rectangle((x - 7, y - 190, x + 7, y), fill=_DARK)
    canvas.oval((x, y), (74, 16), _DARK)
    canvas.polygon([(x - 60, y - 320), (x + 60, y - 320), (x + 120, y - 180), (x - 120, y - 180)], colour)
    canvas.polygon([(x - 40, y - 316), (x - 8, y - 316), (x - 30, y - 184), (x - 88, y - 184)], colour.lighter(0.35))
    return canvas


def butterfly(rng: Random, colour: Rgb) -> Canvas:
    canvas = Canvas.gradient(Rgb(214, 236, 206), Rgb(168, 210, 160))
    x, y = WIDTH / 2 + rng.uniform(-60, 60), HEIGHT / 2 + rng.uniform(-30, 30)
    for side in (-1, 1):
        canvas.oval((x + side * 98, y - 66), (98, 84), colour.lighter(-0.35))
        canvas.oval((x + side * 98, y - 66), (82, 68), colour)
        canvas.oval((x + side * 74, y + 78), (70, 64), colour.lighter(-0.35))
        canvas.oval((x + side * 74, y + 78), (56, 50), colour.lighter(0.25))
        canvas.disc((x + side * 118, y - 76), 24, colour.lighter(0.7))
        canvas.draw.line((x, y - 110, x + side * 44, y - 178), fill=_DARK, width=5)
    canvas.oval((x, y), (15, 122), _DARK)
    return canvas


def cake(rng: Random, colour: Rgb) -> Canvas:
    canvas, x, y = _room(rng)
    canvas.oval((x, y), (190, 26), _WHITE)
    for tier in range(rng.choice([2, 3])):
        half, top = 150 - 42 * tier, y - 80 * (tier + 1)
        canvas.draw.rounded_rectangle((x - half, top, x + half, top + 84), 14, fill=colour.lighter(0.12 * tier))
        for drip in range(-half + 10, half - 20, 34):
            canvas.draw.rounded_rectangle((x + drip, top, x + drip + 24, top + 26 + drip % 3 * 8), 12, fill=_WHITE)
    for candle in (-30, 0, 30):
        canvas.draw.rectangle((x + candle - 4, top - 44, x + candle + 4, top), fill=colour.lighter(-0.3))
        canvas.polygon(regular((x + candle, top - 56), 12, 3), Rgb(255, 190, 60))
    return canvas


KINDS: Final[dict[str, Callable[[Random, Rgb], Canvas]]] = {
    "mug": mug,
    "house": house,
    "car": car,
    "boat": boat,
    "balloon": balloon,
    "flower": flower,
    "fish": fish,
    "umbrella": umbrella,
    "cactus": cactus,
    "lamp": lamp,
    "butterfly": butterfly,
    "cake": cake,
}
