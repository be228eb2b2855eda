"""What happens to pictures on their way: edits by kind, each of which should still find its original."""

import io
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

Edit: TypeAlias = Callable[[Image.Image, np.random.Generator], Image.Image]
"""Of an RGB picture, by chance where the kind is by chance."""


def crop(least: float, most: float) -> Edit:
    """A part of so much of the area, anywhere, somewhat wider or taller than the whole."""

    def made(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        area, shape = rng.uniform(least, most), np.exp(rng.uniform(-1, 1) * np.log(4 / 3) / 2)
        wide, tall = min(1.0, np.sqrt(area) * shape), min(1.0, np.sqrt(area) / shape)
        left, top = rng.uniform(0, 1 - wide) * picture.width, rng.uniform(0, 1 - tall) * picture.height
        return picture.crop((int(left), int(top), int(left + wide * picture.width), int(top + tall * picture.height)))

    return made


def _jpeg(quality: int) -> Edit:
    def made(picture: Image.Image, _: np.random.Generator) -> Image.Image:
        packed = io.BytesIO()
        picture.save(packed, "JPEG", quality=quality)
        return Image.open(packed).convert("RGB")

    return made


def _thumbnail(side: int) -> Edit:
    def made(picture: Image.Image, _: np.random.Generator) -> Image.Image:
        small = picture.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        return small

    return made


def _half(picture: Image.Image, _: np.random.Generator) -> Image.Image:
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)


def _grey(picture: Image.Image, _: np.random.Generator) -> Image.Image:
    return picture.convert("L").convert("RGB")


def _mirrored(picture: Image.Image, _: np.random.Generator) -> Image.Image:
    return ImageOps.mirror(picture)


def _turned(degrees: int) -> Edit:
    return lambda picture, _: picture.rotate(degrees, Image.Resampling.BICUBIC, expand=True)


def _bordered(picture: Image.Image, _: np.random.Generator) -> Image.Image:
    return ImageOps.expand(picture, border=max(picture.size) // 12, fill="white")


def _stretched(picture: Image.Image, _: np.random.Generator) -> Image.Image:
    return picture.resize((picture.width * 4 // 3, picture.height))


def _noisy(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(picture, np.float32)
    return Image.fromarray(np.clip(pixels + rng.normal(0, 15, pixels.shape), 0, 255).astype(np.uint8))


def _marked(picture: Image.Image, _: np.random.Generator) -> Image.Image:
    """A band with a line of text across the middle, as shops put on their pictures."""
    made = picture.copy()
    draw = ImageDraw.Draw(made)
    middle, tall = picture.height // 2, max(8, picture.height // 14)
    draw.rectangle((0, middle - tall, picture.width, middle + tall), fill=(255, 255, 255))
    draw.text((picture.width // 8, middle - tall // 2), "SAMPLE  SAMPLE  SAMPLE", fill=(90, 90, 90))
    return made


EDITS: Final[Mapping[str, Edit]] = {
    "JPEG q50": _jpeg(50),
    "JPEG q10": _jpeg(10),
    "half size": _half,
    "64-pixel thumbnail": _thumbnail(64),
    "grey": _grey,
    "mirrored": _mirrored,
    "turned by 90°": _turned(90),
    "turned by 5°": _turned(5),
    "white border": _bordered,
    "stretched by a third": _stretched,
    "noise": _noisy,
    "blurred": lambda picture, _: picture.filter(ImageFilter.GaussianBlur(2)),
    "lighter": lambda picture, _: ImageEnhance.Brightness(picture).enhance(1.4),
    "darker": lambda picture, _: ImageEnhance.Brightness(picture).enhance(0.6),
    "more contrast": lambda picture, _: ImageEnhance.Contrast(picture).enhance(1.5),
    "pale": lambda picture, _: ImageEnhance.Color(picture).enhance(0.4),
    "band with text": _marked,
    "crop of 85-95 %": crop(0.85, 0.95),
    "crop of 30-60 %": crop(0.3, 0.6),
}
"""By kind; each is seeded by its picture, so that it is the same every time."""
