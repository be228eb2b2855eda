"""A picture's colours are those that its profile says, sRGB from decoding on."""

import io
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import (
    ADOBE_RGB,
    DISPLAY_P3,
    PROPHOTO,
    cmyk_profile,
    encoded,
    grey_profile,
    png_chunk,
    rgb_profile,
    scene,
)
from PIL import Image, ImageCms

from omma.images import DEFAULT_LIMITS, PictureFile, thumbnail_webp
from omma.images.profiles import MAX_PROFILE_BYTES, profile_of

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SPACES = {"Display P3": DISPLAY_P3, "Adobe RGB": ADOBE_RGB, "ProPhoto": PROPHOTO}
RED = (220, 30, 30)


def decoded(content: bytes, least_side: int = 0) -> Image.Image:
    return PictureFile(content, DEFAULT_LIMITS).decode(least_side).pixels


def as_numbers_of(profile: bytes, picture: Image.Image, mode: str = "RGB") -> Image.Image:
    """The same colours, in the numbers of the profile."""
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    made = ImageCms.profileToProfile(picture, ImageCms.createProfile("sRGB"), target, outputMode=mode)
    assert made is not None
    return made


def furthest(left: Image.Image, right: Image.Image) -> int:
    assert left.mode == right.mode == "RGB"
    return int(np.abs(np.asarray(left, np.int16) - np.asarray(right, np.int16)).max())


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("name", SPACES)
def test_a_red_disc_is_red_in_every_space_and_format(name: str, format: str) -> None:
    profile = rgb_profile(*SPACES[name])
    stored = as_numbers_of(profile, Image.new("RGB", (64, 64), RED))
    assert furthest(stored, Image.new("RGB", (64, 64), RED)) > 25, "its numbers are other ones"
    shown = decoded(encoded(stored, format, icc_profile=profile))
    assert furthest(shown, Image.new("RGB", (64, 64), RED)) <= 6
    with Image.open(io.BytesIO(thumbnail_webp(shown))) as thumbnail:
        assert "icc_profile" not in thumbnail.info
        assert furthest(thumbnail.convert("RGB"), Image.new("RGB", (64, 64), RED)) <= 6


@pytest.mark.parametrize("least_side", [0, 64])
def test_a_reduced_picture_has_the_colours_of_the_whole(least_side: int) -> None:
    picture, profile = scene(640, 480), rgb_profile(*ADOBE_RGB)
    shown = decoded(encoded(as_numbers_of(profile, picture), "PNG", icc_profile=profile), least_side)
    expected = picture.reduce(picture.width // shown.width) if least_side else picture
    assert shown.size == expected.size
    assert float(np.abs(np.asarray(shown, np.int16) - np.asarray(expected, np.int16)).mean()) < 2.5


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_srgb_changes_no_bit(format: str) -> None:
    picture = scene()
    assert profile_of(SRGB) is None
    assert furthest(decoded(encoded(picture, format, icc_profile=SRGB)), decoded(encoded(picture, format))) == 0


def test_a_grey_picture_is_shown_by_its_curve() -> None:
    stored = Image.new("L", (8, 8), 128)
    dark = decoded(encoded(stored, "PNG", icc_profile=grey_profile(3.0)))
    light = decoded(encoded(stored, "PNG", icc_profile=grey_profile(1.4)))
    assert dark.getpixel((4, 4))[0] < 110 < 160 < light.getpixel((4, 4))[0]
    with_alpha = Image.merge("LA", (stored, Image.new("L", (8, 8), 255)))
    assert furthest(decoded(encoded(with_alpha, "PNG", icc_profile=grey_profile(3.0))), dark) == 0
    deep = Image.fromarray(np.full((8, 8), 128 * 257, np.uint16))
    assert furthest(decoded(encoded(deep, "PNG", icc_profile=grey_profile(3.0))), dark) <= 1


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_inks_look_as_their_press_prints_them(format: str) -> None:
    cyan = Image.new("CMYK", (32, 32), (255, 0, 0, 0))
    plain, printed = (
        decoded(encoded(cyan, format, **options)).getpixel((16, 16))
        for options in ({}, {"icc_profile": cmyk_profile()})
    )
    assert np.abs(np.array(plain) - (0, 255, 255)).max() < 8
    assert np.abs(np.array(printed) - (51, 255, 255)).max() < 30


def test_alpha_is_laid_on_white_in_the_profile_s_own_colours() -> None:
    profile = rgb_profile(*PROPHOTO)
    stored = as_numbers_of(profile, Image.new("RGB", (8, 8), RED)).convert("RGBA")
    stored.paste((0, 0, 0, 0), (0, 0, 4, 8))
    shown = decoded(encoded(stored, "PNG", icc_profile=profile))
    assert np.asarray(shown)[:, :4].min() >= 254
    assert np.abs(np.asarray(shown)[:, 4:].astype(int) - RED).max() <= 6


@pytest.mark.parametrize(
    "profile",
    [
        b"no profile",
        SRGB[:200],
        rgb_profile(*DISPLAY_P3)[:300],
        grey_profile(2.2),  # of other colours than the picture has
        cmyk_profile(),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
        rgb_profile(*PROPHOTO) + bytes(MAX_PROFILE_BYTES),
    ],
    ids=["rubbish", "half", "cut", "grey", "inks", "Lab", "too long"],
)
def test_a_profile_that_cannot_be_followed_is_ignored(profile: bytes) -> None:
    picture = scene(64, 48)
    for format in ("PNG", "TIFF", "WEBP"):
        options = {"lossless": True} if format == "WEBP" else {}
        content = encoded(picture, format, icc_profile=profile, **options)
        assert furthest(decoded(content), decoded(encoded(picture, format, **options))) == 0


def test_a_profile_in_a_png_that_does_not_unpack_is_ignored() -> None:
    content = encoded(scene(8, 8), "PNG")
    for body in (b"name\0\0rubbish", b"name\0\1", b"\0", b"", b"x" * 99):
        broken = content[:33] + png_chunk(b"iCCP", body) + content[33:]
        assert furthest(decoded(broken), decoded(content)) == 0


@given(st.binary(min_size=1, max_size=6), st.floats(0, 1), st.sampled_from(sorted(SPACES)))
def test_no_damage_to_a_profile_is_an_error(bytes_: bytes, where: float, name: str) -> None:
    whole = rgb_profile(*SPACES[name])
    at = int(where * (len(whole) - 1))
    found = profile_of(whole[:at] + bytes_ + whole[at + len(bytes_) :])
    if found is not None:
        found.to_srgb(Image.new(found.mode, (3, 3)))


def test_two_threads_may_share_a_profile() -> None:
    profile = rgb_profile(*ADOBE_RGB)
    contents = [encoded(scene(200, 150, seed), "PNG", icc_profile=profile) for seed in range(4)]
    alone = [decoded(content) for content in contents]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(decoded, itertools.chain.from_iterable([contents] * 8)))
    assert all(furthest(made, alone[at % 4]) == 0 for at, made in enumerate(together))
