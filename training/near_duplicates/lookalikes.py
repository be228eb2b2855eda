"""Pictures that look alike and are not the same, drawn: whatever is folded among them is folded wrongly."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

_WORDS: Final = [
    "amber",
    "basin",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "harbor",
    "island",
    "jasper",
    "kettle",
    "lagoon",
    "meadow",
    "nectar",
    "orchid",
    "pebble",
    "quartz",
    "ribbon",
    "saddle",
    "timber",
    "umber",
    "valley",
    "willow",
    "yarrow",
    "zephyr",
]
_PAINTS: Final = ((200, 40, 40), (40, 90, 200), (40, 150, 70), (235, 190, 40), (90, 50, 130), (30, 30, 30))

Family = Callable[[np.random.Generator], Iterator[Image.Image]]


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _words(random: np.random.Generator, count: int) -> str:
    return " ".join(random.choice(_WORDS, count))


def _invoices(random: np.random.Generator) -> Iterator[Image.Image]:
    for _ in range(24):
        page = Image.new("RGB", (640, 900), "white")
        pen = ImageDraw.Draw(page)
        pen.rectangle((30, 30, 250, 80), fill=(20, 80, 60))
        pen.text((45, 40), "NORTH & CO", fill="white", font=_font(26))
        pen.text((400, 50), f"Invoice {random.integers(1000, 9999)}", fill="black", font=_font(18))
        for row in range(int(random.integers(4, 11))):
            pen.text((40, 240 + 26 * row), _words(random, 3), fill="black", font=_font(14))
            pen.text((520, 240 + 26 * row), f"{random.integers(3, 999)}.00", fill="black", font=_font(14))
        pen.text((420, 800), f"Sum {random.integers(100, 9999)}.00", fill="black", font=_font(18))
        yield page


def _pages(random: np.random.Generator) -> Iterator[Image.Image]:
    for _ in range(24):
        page = Image.new("RGB", (620, 880), "white")
        pen = ImageDraw.Draw(page)
        for row in range(34):
            pen.text((60, 60 + 22 * row), _words(random, int(random.integers(6, 10))), fill="black", font=_font(15))
        yield page


def _slides(random: np.random.Generator) -> Iterator[Image.Image]:
    for _ in range(24):
        slide = Image.new("RGB", (960, 540), (245, 245, 250))
        pen = ImageDraw.Draw(slide)
        pen.rectangle((0, 0, 960, 90), fill=(30, 40, 110))
        pen.text((40, 25), _words(random, 2).title(), fill="white", font=_font(36))
        for row in range(int(random.integers(2, 6))):
            pen.text((80, 140 + 60 * row), f"- {_words(random, 4)}", fill=(20, 20, 20), font=_font(26))
        yield slide


def _icons(random: np.random.Generator) -> Iterator[Image.Image]:
    """White on the grey that stands for what is transparent."""
    for sides in (3, 4, 5, 6, 8):
        for hollow in (False, True):
            for turn in (0, 180 / sides):
                icon = Image.new("RGB", (256, 256), (128, 128, 128))
                pen = ImageDraw.Draw(icon)
                fill = None if hollow else "white"
                pen.regular_polygon((128, 128, 100), sides, rotation=turn, fill=fill, outline="white", width=16)
                yield icon
    for turn in (0, 90, 180, 270):
        icon = Image.new("RGB", (256, 256), (128, 128, 128))
        ImageDraw.Draw(icon).polygon(
            [(60, 100), (140, 100), (140, 60), (210, 128), (140, 196), (140, 156), (60, 156)], "white"
        )
        yield icon.rotate(turn)


def _mugs(random: np.random.Generator) -> Iterator[Image.Image]:
    """One mug in six colours, before one wall."""
    for paint in _PAINTS:
        photo = Image.new("RGB", (480, 480), (228, 226, 222))
        pen = ImageDraw.Draw(photo)
        pen.rectangle((0, 360, 480, 480), fill=(180, 160, 140))
        pen.ellipse((290, 190, 410, 320), outline=paint, width=26)
        pen.rounded_rectangle((130, 130, 330, 380), 30, fill=paint)
        pen.ellipse((130, 110, 330, 160), fill=tuple(channel // 2 for channel in paint))
        yield photo.filter(ImageFilter.GaussianBlur(1.2))


def _shirts(random: np.random.Generator) -> Iterator[Image.Image]:
    for paint in _PAINTS:
        photo = Image.new("RGB", (400, 500), "white")
        pen = ImageDraw.Draw(photo)
        pen.polygon(
            [
                (130, 60),
                (270, 60),
                (390, 150),
                (345, 210),
                (300, 180),
                (300, 450),
                (100, 450),
                (100, 180),
                (55, 210),
                (10, 150),
            ],
            fill=paint,
        )
        pen.ellipse((165, 40, 235, 90), fill="white")
        yield photo.filter(ImageFilter.GaussianBlur(1))


def _sunglasses(random: np.random.Generator) -> Iterator[Image.Image]:
    """Products of one make: the same pose on white, in other shapes."""
    for _ in range(30):
        photo = Image.new("RGB", (600, 400), "white")
        pen = ImageDraw.Draw(photo)
        wide, high, gap = (int(random.integers(*bounds)) for bounds in ((85, 125), (60, 105), (14, 36)))
        tint = tuple(int(one) for one in random.integers(20, 90, 3))
        corner, rim = int(random.integers(10, 60)), int(random.integers(3, 12))
        for side in (-1, 1):
            middle = 300 + side * (gap + wide)
            box = (middle - wide, 200 - high, middle + wide, 200 + high)
            pen.rounded_rectangle(box, corner, fill=tint, outline=(10, 10, 10), width=rim)
        pen.line((300 - gap, 170, 300 + gap, 170), fill=(10, 10, 10), width=rim)
        yield photo.filter(ImageFilter.GaussianBlur(1))


def _walls(random: np.random.Generator) -> Iterator[Image.Image]:
    """Plain, of one light, with a grain and a gradient of their own."""
    y, x = np.mgrid[0:300, 0:400] / 400
    for _ in range(24):
        slope, level = random.uniform(-12, 12, 2), random.uniform(150, 220)
        light = level + slope[0] * x + slope[1] * y + random.normal(0, 2, x.shape)
        yield Image.fromarray(np.repeat(light.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2))


def _plain(random: np.random.Generator) -> Iterator[Image.Image]:
    """One colour each."""
    for paint in (*_PAINTS, (0, 0, 0), (255, 255, 255), (128, 128, 128), (160, 160, 160)):
        yield Image.new("RGB", (320, 240), paint)


def _charts(random: np.random.Generator) -> Iterator[Image.Image]:
    for _ in range(24):
        chart = Image.new("RGB", (640, 400), "white")
        pen = ImageDraw.Draw(chart)
        pen.line((60, 20, 60, 350, 620, 350), fill="black", width=2)
        heights = random.uniform(30, 310, 9)
        for bar, height in enumerate(heights):
            pen.rectangle((80 + 60 * bar, 350 - height, 115 + 60 * bar, 349), fill=(50, 90, 180))
        yield chart


def _flags(random: np.random.Generator) -> Iterator[Image.Image]:
    """Of three stripes: several share two of them, and the first may look like a border."""
    blue, white, red, green = (0, 38, 100), (255, 255, 255), (206, 17, 38), (0, 122, 61)
    black, yellow, orange = (0, 0, 0), (255, 206, 0), (255, 130, 0)
    upright = (
        (blue, white, red),
        (green, white, red),
        (black, yellow, red),
        (blue, yellow, red),
        (green, white, orange),
    )
    lying = ((white, blue, red), (black, red, yellow), (red, white, green), (blue, black, white))
    for stripes in (*upright, *lying):
        flag = Image.new("RGB", (480, 320))
        pen = ImageDraw.Draw(flag)
        for place, paint in enumerate(stripes):
            box = (160 * place, 0, 160 * place + 159, 319) if stripes in upright else (0, 107 * place, 479, 320)
            pen.rectangle(box, fill=paint)
        yield flag


FAMILIES: Final[Mapping[str, Family]] = {
    "invoices of one form": _invoices,
    "pages of text": _pages,
    "slides of one template": _slides,
    "icons": _icons,
    "one mug in six colours": _mugs,
    "one shirt in six colours": _shirts,
    "sunglasses": _sunglasses,
    "plain walls": _walls,
    "plain colours": _plain,
    "charts": _charts,
    "flags of three stripes": _flags,
}


def family(name: str) -> list[Image.Image]:
    """The pictures of a family, the same each time."""
    return list(FAMILIES[name](np.random.default_rng(12)))
