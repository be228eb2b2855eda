"""What happens to a photograph on its way through the web: each edit by name, the same for the same photograph."""

import io
from collections.abc import Callable, Mapping
from typing import Final

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

Edit = Callable[[Image.Image], Image.Image]

_WHITE: Final = (255, 255, 255)


def _coded(format: str, quality: int) -> Edit:
    def edit(picture: Image.Image) -> Image.Image:
        content = io.BytesIO()
        picture.save(content, format, quality=quality)
        return Image.open(io.BytesIO(content.getvalue())).convert("RGB")

    return edit


def _scaled(across: float, down: float) -> Edit:
    return lambda picture: picture.resize((round(picture.width * across), round(picture.height * down)))


def _cut(left: float, top: float, right: float, bottom: float) -> Edit:
    """Shares of the sides that are cut off."""

    def edit(picture: Image.Image) -> Image.Image:
        width, height = picture.size
        box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
        return picture.crop(tuple(round(corner) for corner in box))  # type: ignore[arg-type]  # four of them

    return edit


def _framed(across: float, down: float, colour: tuple[int, int, int]) -> Edit:
    return lambda picture: ImageOps.expand(
        picture, (round(across * picture.width), round(down * picture.height)), colour
    )


def _logo(picture: Image.Image) -> Image.Image:
    marked, (width, height) = picture.copy(), picture.size
    pen = ImageDraw.Draw(marked)
    pen.rectangle((0.72 * width, 0.86 * height, 0.97 * width, 0.97 * height), fill=_WHITE)
    font = ImageFont.load_default(max(8, height // 14))
    pen.text((0.74 * width, 0.87 * height), "shop", fill=(200, 0, 0), font=font)
    return marked


def _watermark(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    layer = Image.new("L", picture.size, 0)
    pen, font = ImageDraw.Draw(layer), ImageFont.load_default(max(8, height // 9))
    for row in range(3):
        pen.text((width * (0.1 + 0.2 * row), height * (0.15 + 0.28 * row)), "SAMPLE", fill=90, font=font)
    return Image.composite(Image.new("RGB", picture.size, _WHITE), picture, layer)


def _turned(degrees: float) -> Edit:
    return lambda picture: picture.rotate(degrees, resample=Image.Resampling.BICUBIC)


def _transposed(how: Image.Transpose) -> Edit:
    return lambda picture: picture.transpose(how)


EDITS: Final[Mapping[str, Edit]] = {
    "JPEG q50": _coded("JPEG", 50),
    "JPEG q10": _coded("JPEG", 10),
    "WebP q30": _coded("WEBP", 30),
    "half size": _scaled(0.5, 0.5),
    "64 pixels": lambda picture: ImageOps.contain(picture, (64, 64)),
    "twice the size": _scaled(2, 2),
    "10 % wider": _scaled(1.1, 1),
    "grey": lambda picture: picture.convert("L").convert("RGB"),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.25),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.75),
    "more contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(1.3),
    "more colour": lambda picture: ImageEnhance.Color(picture).enhance(1.5),
    "blur": lambda picture: picture.filter(ImageFilter.GaussianBlur(1.5)),
    "sharpened": lambda picture: picture.filter(ImageFilter.SHARPEN),
    "white border": _framed(0.1, 0.1, _WHITE),
    "black bars": _framed(0, 1 / 6, (0, 0, 0)),
    "logo": _logo,
    "watermark": _watermark,
    "5 % crop": _cut(0.02, 0.03, 0.03, 0.02),
    "turned by 2°": _turned(2),
    "turned by 90°": _transposed(Image.Transpose.ROTATE_90),
    "turned by 180°": _transposed(Image.Transpose.ROTATE_180),
    "10 % crop": _cut(0.06, 0.04, 0.04, 0.06),
    "mirrored": _transposed(Image.Transpose.FLIP_LEFT_RIGHT),
}
HARD: Final = ("10 % crop", "mirrored")
"""Told apart in the targets: recall without them and with them."""
