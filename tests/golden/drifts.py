"""Ways in which preprocessing drifts: each as what is done to the serving code, or to what the manifest says."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from omma.images import Picture, PixelBox
from omma.images import picture as picture_module
from services.egs import preprocess
from services.egs.manifest import Preprocessing
from services.egs.preprocess import Uint8Rows

_PAD = 8
_WHOLE = (0.0, 0.0, 1.0, 1.0)
Part = tuple[float, float, float, float]
Edges = Callable[[float, int], tuple[float, float]]
"""Sides in source and target pixels to the first and last edge, in source pixels, that are resized."""


@dataclass(frozen=True, slots=True)
class Drift:
    """say: the manifest's preprocessing as someone wrongly took it. do: a change to the code."""

    name: str
    say: Callable[[Preprocessing], Preprocessing] = lambda how: how
    do: Callable[[pytest.MonkeyPatch], None] = lambda patch: None


def _resized_between(edges: Edges) -> Callable[[pytest.MonkeyPatch], None]:
    """Picture.resized with other edges, the pixels at the rim repeated where they lie outside."""

    def resized(
        self: Picture, box: PixelBox, size: tuple[int, int], filter: Image.Resampling, part: Part = _WHOLE
    ) -> Image.Image:
        pixels = np.pad(np.asarray(self.pixels.crop(box)), ((_PAD, _PAD), (_PAD, _PAD), (0, 0)), "edge")
        x, y, wide, high = _inner(box, part)
        left, right = edges(wide, size[0])
        top, bottom = edges(high, size[1])
        within = (x + left + _PAD, y + top + _PAD, x + right + _PAD, y + bottom + _PAD)
        return Image.fromarray(pixels).resize(size, filter, box=within)

    return lambda patch: patch.setattr(Picture, "resized", resized)


def _inner(box: PixelBox, part: Part) -> tuple[float, float, float, float]:
    """left, top, width, height of the part, in pixels of the box."""
    wide, high = box[2] - box[0], box[3] - box[1]
    return part[0] * wide, part[1] * high, (part[2] - part[0]) * wide, (part[3] - part[1]) * high


def _align_corners(source: float, target: int) -> tuple[float, float]:
    """Pixel 0 on pixel 0 and the last on the last, instead of edge on edge."""
    step = (source - 1) / (target - 1)
    return 0.5 - step / 2, source - 0.5 + step / 2


def _top_left(source: float, target: int) -> tuple[float, float]:
    """Pixel i at i * scale, instead of (i + 1/2) * scale - 1/2."""
    shift = (source / target - 1) / 2
    return -shift, source - shift


def _resized_bluntly(patch: pytest.MonkeyPatch) -> None:
    """Bilinear of the four nearest pixels whatever the scale, as OpenCV and torch do unless told."""

    def resized(
        self: Picture, box: PixelBox, size: tuple[int, int], filter: Image.Resampling, part: Part = _WHOLE
    ) -> Image.Image:
        x, y, wide, high = _inner(box, part)
        steps = (wide / size[0], 0, x, 0, high / size[1], y)
        return self.pixels.crop(box).transform(size, Image.Transform.AFFINE, steps, Image.Resampling.BILINEAR)

    patch.setattr(Picture, "resized", resized)


def _bgr_tensor(patch: pytest.MonkeyPatch) -> None:
    right = preprocess.rows

    def rows(picture: Picture, boxes: list[PixelBox], how: Preprocessing) -> Uint8Rows:
        return right(picture, boxes, how)[..., ::-1]

    patch.setattr(preprocess, "rows", rows)


def _other_how(how: Preprocessing) -> Preprocessing:
    return how.model_copy(update={"how": "squash" if how.how == "centre_crop" else "centre_crop"})


def _as(**said: object) -> Callable[[Preprocessing], Preprocessing]:
    return lambda how: how.model_copy(update=said)


def _times(scale: float) -> Callable[[Preprocessing], Preprocessing]:
    return lambda how: how.model_copy(update={"std": tuple(scale * one for one in how.std)})


def drifts(how: Preprocessing) -> list[Drift]:
    """Every drift that this preprocessing can suffer."""
    return [
        Drift("align-corners", do=_resized_between(_align_corners)),
        Drift("top-left-pixels", do=_resized_between(_top_left)),
        Drift("crop-off-by-one", do=_resized_between(lambda source, target: (1, source + 1))),
        Drift("no-antialias", do=_resized_bluntly),
        *(
            Drift(f"resample-{filter}", say=_as(resample=filter))
            for filter in ("nearest", "bilinear", "bicubic", "lanczos")
            if filter != how.resample
        ),
        Drift("other-fit", say=_other_how),
        Drift("channels-swapped", do=_bgr_tensor),
        Drift("exif-ignored", do=lambda patch: patch.setattr(picture_module, "_orientation", lambda image: 1)),
        Drift("mean-0", say=_as(mean=(0.0, 0.0, 0.0))),
        Drift("std-of-another-model", say=_times(0.9)),
        Drift("scaled-to-1", say=_times(255.0)),
    ]
