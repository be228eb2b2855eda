"""What lacks only its end is taken, what lacks more is damaged, and every reader of a picture judges alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import encoded, scene
from PIL import Image

from omma.errors import InvalidPicture
from omma.images import DEFAULT_LIMITS, PictureFile, verify

OPTIONS: dict[str, dict[str, object]] = {
    "baseline": {},
    "4:4:4": {"subsampling": 0},
    "progressive": {"progressive": True},
}


def decoded(content: bytes, least_side: int = 0) -> Image.Image:
    return PictureFile(content, DEFAULT_LIMITS).decode(least_side).pixels


def is_taken(content: bytes) -> bool:
    try:
        verify(content)
    except InvalidPicture:
        return False
    return True


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("lost", [1, 2, 7, 60])
def test_a_jpeg_without_its_last_bytes_is_the_whole_picture_but_for_its_foot(kind: str, mode: str, lost: int) -> None:
    whole = encoded(scene(640, 480).convert(mode), "JPEG", **OPTIONS[kind])
    if (kind, mode) == ("progressive", "CMYK") and lost > 2:
        pytest.skip("its last scan, of an empty ink, has no more bytes")
    cut = whole[:-lost]
    assert verify(cut).height == 480
    for least_side in (0, 100, 200):
        made, expected = (np.asarray(decoded(content, least_side)) for content in (cut, whole))
        assert made.shape == expected.shape
        above = len(made) - len(made) // 16
        assert (made[:above] == expected[:above]).mean() > 0.99


def test_a_png_without_its_last_bytes_is_the_whole_picture_but_for_its_foot() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (640, 320, 3), np.uint8)
    whole = encoded(Image.fromarray(noise), "PNG")
    for lost in (1, 12, 16, 40, len(whole) // 50):
        made = np.asarray(decoded(whole[:-lost]))
        assert (made[:600] == noise[:600]).all()
        verify(whole[:-lost])


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["baseline", "4:4:4"])
def test_a_jpeg_that_lacks_a_tenth_is_damaged(kind: str, share: float) -> None:
    whole = encoded(scene(640, 480), "JPEG", **OPTIONS[kind])
    with pytest.raises(InvalidPicture, match="cut off or damaged"):
        verify(whole[: int(len(whole) * share)])


def test_a_progressive_jpeg_is_taken_from_its_last_scan_on() -> None:
    whole = encoded(scene(640, 480), "JPEG", progressive=True)
    last_scan = whole.rindex(b"\xff\xda")
    assert not is_taken(whole[: last_scan - 40])
    assert is_taken(whole[: last_scan + 40])


def test_a_png_of_noise_that_lacks_a_tenth_is_damaged() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (640, 320, 3), np.uint8)
    whole = encoded(Image.fromarray(noise), "PNG")
    for cut in (whole[: len(whole) * 9 // 10], whole[:60]):
        assert not is_taken(cut)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(OPTIONS)), st.sampled_from(["RGB", "L"]), st.integers(8, 200), st.data())
def test_an_upload_that_is_taken_can_be_embedded(kind: str, mode: str, side: int, data: st.DataObject) -> None:
    whole = encoded(scene(side * 2, side).convert(mode), "JPEG", **OPTIONS[kind])
    cut = whole[: data.draw(st.integers(len(whole) // 2, len(whole)))]
    if is_taken(cut):
        assert decoded(cut, 16).mode == decoded(cut).mode == "RGB"
    else:
        for least_side in (0, 16):
            with pytest.raises(InvalidPicture):
                decoded(cut, least_side)
