"""From bytes to the tower's input."""

from typing import Any

import numpy as np
import pytest
from pictures import encoded, oriented, scene
from PIL import Image

from omma.errors import Corrupt, InvalidPicture, InvalidQuery
from omma.images import PictureLimits, phash
from services.egs.client import ImageItem
from services.egs.manifest import Preprocessing
from services.egs.preprocess import prepare, tensor
from services.egs.tower import first_fault, unit_rows

HALF = Preprocessing(size=32, mean=(128.0, 128.0, 128.0), std=(128.0, 128.0, 128.0))
LIMITS = PictureLimits()


def test_one_decode_gives_everything() -> None:
    picture = scene(320, 200)
    item = ImageItem(encoded(picture, "PNG"), boxes=np.array([[0, 0, 320, 200], [300, 150, 900, 900]], np.int32))
    made = prepare(item, LIMITS, HALF)
    assert made.rows.shape == (2, 32, 32, 3)
    assert made.rows.dtype == np.uint8
    assert made.boxes.tolist() == [[0, 0, 320, 200], [300, 150, 320, 200]]
    assert (made.width, made.height, made.phash, made.thumbnail) == (320, 200, phash(picture), b"")
    corner = picture.crop((300, 150, 320, 200)).resize((32, 32), Image.Resampling.BILINEAR)
    assert np.array_equal(made.rows[1], np.asarray(corner))


def test_no_box_is_the_whole_picture_and_fractions_are_pixels() -> None:
    content = oriented(scene(320, 200), 6, "PNG")
    whole = prepare(ImageItem(content), LIMITS, HALF)
    assert whole.boxes.tolist() == [[0, 0, 320, 200]]
    fractions = prepare(ImageItem(content, fractions=((0.25, 0.5, 0.75, 1.0),)), LIMITS, HALF)
    pixels = prepare(ImageItem(content, boxes=np.array([[80, 100, 240, 200]], np.int32)), LIMITS, HALF)
    assert fractions.boxes.tolist() == [[80, 100, 240, 200]]
    assert np.array_equal(fractions.rows, pixels.rows)
    assert fractions.phash == whole.phash


def test_a_thumbnail_only_when_asked() -> None:
    made = prepare(ImageItem(encoded(scene()), thumbnail=True), LIMITS, HALF)
    assert made.thumbnail[8:12] == b"WEBP"


@pytest.mark.parametrize(
    "item",
    [
        ImageItem(encoded(scene()), boxes=np.array([[320, 0, 400, 10]], np.int32)),
        ImageItem(encoded(scene()), boxes=np.array([[9, 9, 9, 20]], np.int32)),
        ImageItem(encoded(scene()), boxes=np.array([[9, 9, 5, 20]], np.int32)),
        ImageItem(encoded(scene()), fractions=((0.0, 0.0, float("nan"), 1.0),)),
        ImageItem(encoded(scene()), boxes=np.array([[0, 0, 5, 5]], np.int32), fractions=((0.0, 0.0, 1.0, 1.0),)),
        ImageItem(encoded(scene()), boxes=np.tile(np.array([0, 0, 9, 9], np.int32), (65, 1))),
    ],
)
def test_bad_boxes_are_the_items_fault(item: ImageItem) -> None:
    with pytest.raises(InvalidQuery) as error:
        prepare(item, LIMITS, HALF)
    assert error.value.field == "bbox"


def test_the_tensor_is_planes_centred_and_scaled() -> None:
    made = np.zeros((2, 4, 4, 3), np.uint8)
    made[0, 1, 2] = (0, 128, 255)
    planes = tensor(made, HALF)
    assert planes.shape == (2, 3, 4, 4)
    assert planes.dtype == np.float32
    assert planes.flags.c_contiguous
    assert planes[0, :, 1, 2].tolist() == [-1.0, 0.0, 127 / 128]


def test_channels_and_the_middle_square_follow_the_manifest() -> None:
    picture = Image.new("RGB", (60, 20), (255, 0, 0))
    picture.paste((0, 0, 255), (20, 0, 40, 20))
    how = HALF.model_copy(update={"how": "centre_crop", "channels": "BGR"})
    made = prepare(ImageItem(encoded(picture, "PNG")), LIMITS, how)
    assert (made.rows[0][:, 2:-2] == (255, 0, 0)).all(), "the blue middle, blue first"


@pytest.mark.parametrize("size", [(320, 200), (200, 320), (333, 201), (75, 60), (31, 400), (32, 32)])
@pytest.mark.parametrize("resample", ["bicubic", "bilinear"])
def test_the_middle_is_cut_as_torchvision_cuts_it(size: tuple[int, int], resample: Any) -> None:
    """Resize(32) and CenterCrop(32), written out: all of it is scaled, then whole pixels of the longer side are cut."""
    picture = scene(*size)
    resized = picture.resize(tuple(32 * side // min(size) for side in size), Image.Resampling[resample.upper()])
    left, top = (round((side - 32) / 2.0) for side in resized.size)
    expected = np.asarray(resized.crop((left, top, left + 32, top + 32)), np.int16)
    how = HALF.model_copy(update={"how": "centre_crop", "resample": resample})
    made = prepare(ImageItem(encoded(picture, "PNG")), LIMITS, how)
    assert np.abs(made.rows[0].astype(np.int16) - expected).max() <= 1
    box = np.array([[10, 20, 10 + size[0], 20 + size[1]]], np.int32)
    within = Image.new("RGB", (size[0] + 40, size[1] + 40), (255, 0, 255))
    within.paste(picture, (10, 20))
    cropped = prepare(ImageItem(encoded(within, "PNG"), boxes=box), LIMITS, how)
    assert np.array_equal(cropped.rows, made.rows)


def test_a_thread_of_a_picture_is_cut_without_scaling_all_of_it() -> None:
    picture = Image.new("RGB", (40_000, 2), (9, 99, 200))
    made = prepare(ImageItem(encoded(picture, "PNG")), LIMITS, HALF.model_copy(update={"how": "centre_crop"}))
    assert made.rows.shape == (1, 32, 32, 3)
    assert (made.rows[0] == (9, 99, 200)).all()


def test_vectors_have_length_one_or_are_a_fault() -> None:
    raw = np.array([[3, 4], [np.nan, 1], [0, 0], [np.inf, 0], [1e-3, 0]], np.float32)
    unit, nan, zero, infinite, small = unit_rows(raw, "image")
    assert not isinstance(unit, Exception)
    assert not isinstance(small, Exception)
    assert unit.dtype == np.float32
    assert np.allclose(unit, [0.6, 0.8])
    assert np.allclose(small, [1, 0])
    assert isinstance(nan, Corrupt)
    assert isinstance(infinite, Corrupt)
    assert isinstance(zero, InvalidPicture)
    assert first_fault([unit, zero, nan]) is zero
    assert np.array_equal(first_fault([unit, small]), np.stack([unit, small]))
