"""Quality: what spoils a picture lowers it, and nothing else does."""

from dataclasses import replace

import pytest
from PIL import Image, ImageEnhance, ImageFilter

from omma.catalog.picture import Picture, PictureState
from omma.identity import ImageId, Sha256, Tenant, Version
from omma.images import quality_of
from omma.quality import Quality, size_quality
from services.gateway.curation.duplicates import best_of
from tests.pictures import scene

SCENE = scene(640, 480, seed=1)


def test_the_more_blurred_the_less_sharp() -> None:
    sharp = [quality_of(SCENE.filter(ImageFilter.GaussianBlur(radius))).sharpness for radius in (0, 2, 4, 8)]
    assert sharp[0] > 0.8 and sharp == sorted(sharp, reverse=True) and sharp[-1] < 0.5


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.FLIP_LEFT_RIGHT])
def test_a_turn_changes_nothing(turn: Image.Transpose) -> None:
    turned = quality_of(SCENE.transpose(turn))
    assert turned.sharpness == pytest.approx(quality_of(SCENE).sharpness, abs=0.01)
    assert turned.exposure == pytest.approx(quality_of(SCENE).exposure, abs=0.01)


def test_a_motion_along_one_axis_is_a_blur() -> None:
    moved = SCENE.filter(ImageFilter.BoxBlur((8, 0)))
    assert quality_of(moved).sharpness < 0.5 * quality_of(SCENE).sharpness


def test_what_is_too_dark_or_too_light_or_flat_is_badly_exposed() -> None:
    assert quality_of(SCENE).exposure > 0.9
    assert quality_of(ImageEnhance.Brightness(SCENE).enhance(0.2)).exposure < 0.5
    assert quality_of(SCENE.point(lambda value: 200 + value // 5)).exposure < 0.5
    assert quality_of(ImageEnhance.Contrast(SCENE).enhance(0.2)).exposure < 0.5


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (640, 480)])
def test_a_picture_of_one_grey_has_nothing_to_be_seen(size: tuple[int, int]) -> None:
    assert quality_of(Image.new("RGB", size, (90, 90, 90))) == Quality(0.0, 0.0)


def test_the_score_is_the_mean_of_three() -> None:
    assert Quality(1.0, 1.0).score(2000, 2000) == 1.0 == Quality(1.0, 1.0).score(8000, 8000)
    assert size_quality(1000, 1000) == 0.5
    assert Quality(0.0, 1.0).score(2000, 2000) == 0.0
    assert Quality(0.5, 0.5).score(1000, 1000) == pytest.approx(0.5)


def _copy(id: int, width: int, height: int, quality: Quality | None, size: int = 100) -> Picture:
    return Picture(
        ImageId(id),
        Tenant("ann"),
        str(id),
        Version(1),
        Sha256(f"{id:064}"),
        "omma:x",
        size,
        PictureState.INDEXED,
        0,
        width=width,
        height=height,
        quality=quality,
    )


def test_the_best_of_copies_is_the_one_to_keep() -> None:
    small, large = _copy(1, 640, 480, Quality(0.9, 1.0)), _copy(2, 1280, 960, Quality(0.9, 1.0))
    enlarged = _copy(3, 1600, 1200, Quality(0.3, 1.0))
    assert best_of([small, large, enlarged]) == 2
    assert best_of([small, large, replace(enlarged, quality=None)]) == 3, "by size alone where one was never seen"
    assert best_of([small, replace(small, id=ImageId(7))]) == 1
    assert best_of([small, replace(small, id=ImageId(7), bytes=200)]) == 7
