"""One list of formats: their names, their files' suffixes, and the first frame of any animation."""

import io

import numpy as np
import pytest
from pictures import animation, encoded, scene
from PIL import Image

from omma.errors import UnsupportedMedia
from omma.images import DEFAULT_LIMITS, PICTURE_SUFFIXES, PictureFile, media_type, verify
from omma.images.formats import FORMATS

CAMERAS = {".jpg", ".jpeg", ".jfif", ".pjpeg", ".pjp", ".mpo", ".heic", ".heif", ".hif", ".tif", ".tiff"}
SCREENS = {".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".avif"}


def test_common_suffixes_are_those_of_pictures() -> None:
    assert CAMERAS | SCREENS <= PICTURE_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in PICTURE_SUFFIXES)
    assert not PICTURE_SUFFIXES & {".svg", ".pdf", ".txt", ".mp4", ".psd", ".raw", ".ico"}


def test_who_sends_something_else_is_told_every_format() -> None:
    with pytest.raises(UnsupportedMedia) as error:
        verify(b"%PDF-1.7")
    assert all(format.name in error.value.detail for format in FORMATS.values())


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
@pytest.mark.parametrize("frames", [2, 65, 300])
def test_of_an_animation_of_any_length_the_first_frame_is_taken(format: str, frames: int) -> None:
    content = animation(frames, format)
    verify(content)
    made = np.asarray(PictureFile(content, DEFAULT_LIMITS).decode().pixels, np.int16)
    assert np.abs(made - (0, 0, 99)).max() < 8


def test_an_animated_gif_of_a_hundred_thousand_frames_is_read_at_once() -> None:
    one = encoded(Image.new("P", (1, 1)), "GIF")
    frame = one[one.index(b",") : -1]
    content = one[:-1] + frame * 100_000 + one[-1:]
    file = PictureFile(content, DEFAULT_LIMITS)
    file.decode()
    assert file.width == 1


def test_a_picture_of_two_cameras_is_a_jpeg_whatever_its_index_says() -> None:
    left, right = scene(96, 64, 1), scene(96, 64, 2)
    content = bytearray(encoded(left, "MPO", quality=95, save_all=True, append_images=[right]))
    at = content.index(b"MPF\0")
    for width in (0, 8, 40):
        content[at + 8 : at + 8 + width] = b"\xff" * width
        assert media_type(bytes(content)) == "image/jpeg"
        made = PictureFile(bytes(content), DEFAULT_LIMITS).decode().pixels
        assert np.abs(np.asarray(made, np.int16) - np.asarray(left, np.int16)).mean() < 6


def test_pillow_has_no_limit_beside_ours() -> None:
    side = 14_000
    content = io.BytesIO()
    Image.new("1", (side, side)).save(content, "PNG")
    assert verify(content.getvalue(), DEFAULT_LIMITS.model_copy(update={"max_pixels": side**2})).width == side
