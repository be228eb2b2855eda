"""The pHash is imagehash's, as one unsigned number."""

import imagehash
from pictures import encoded, scene
from PIL import Image, ImageEnhance, ImageFilter

from omma.images import PictureFile, PictureLimits, phash


def test_it_is_imagehash_bit_for_bit() -> None:
    for seed in range(20):
        picture = scene(300, 240, seed)
        assert f"{phash(picture):016x}" == str(imagehash.phash(picture))


def test_a_reduced_large_picture_hashes_as_the_full_one() -> None:
    for seed in range(4):
        picture = scene(2400, 1800, seed)
        reduced = PictureFile(encoded(picture), PictureLimits()).decode(512)
        assert reduced.pixels.width < 2400
        assert (phash(reduced.pixels) ^ int(str(imagehash.phash(picture)), 16)).bit_count() <= 2


def test_edits_stay_near_and_other_pictures_far() -> None:
    picture = scene(400, 300)
    for edit in (
        picture.filter(ImageFilter.GaussianBlur(2)),
        ImageEnhance.Contrast(picture).enhance(1.3),
        picture.resize((200, 150)),
    ):
        assert (phash(edit) ^ phash(picture)).bit_count() <= 6
    assert (phash(scene(400, 300, 5)) ^ phash(picture)).bit_count() > 6
    assert (phash(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) ^ phash(picture)).bit_count() > 6
