"""Whatever the bytes: a picture in RGB, or one of three errors that say why, and nothing of Python in their words."""

import re
import resource
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import encoded, png_chunk, scene
from PIL import Image

from omma.errors import InvalidPicture, TooLarge, UnsupportedMedia
from omma.images import DEFAULT_LIMITS, PictureFile, PictureLimits, verify

LIMITS = PictureLimits(max_pixels=4_000_000)
MODES = {
    "JPEG": ["L", "RGB", "CMYK", "YCbCr"],
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "WEBP": ["RGB", "RGBA"],
    "GIF": ["L", "P"],
    "BMP": ["1", "L", "P", "RGB"],
    "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "YCbCr", "I;16", "I", "F"],
    "HEIF": ["L", "RGB", "RGBA"],
    "AVIF": ["L", "RGB", "RGBA"],
}
OF_PYTHON = re.compile(r" object at |<[_a-z]+\.|Traceback|0x[0-9a-f]{6}|^[^a-z]*$")


def in_mode(mode: str) -> Image.Image:
    picture = scene(64, 48)
    if mode == "I;16":
        return Image.fromarray(np.asarray(picture.convert("L"), np.uint16) * 257)
    return picture.convert("L").convert(mode) if mode in {"I", "F"} else picture.convert(mode)


SOUND = {
    (format, mode): encoded(Image.new("LAB", (64, 48), (90, 3, 5)) if mode == "LAB" else in_mode(mode), format)
    for format, modes in MODES.items()
    for mode in modes
}
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "cut", "twice", "word", "end"]),
        st.one_of(st.floats(0, 0.1), st.floats(0, 1)),
        st.binary(min_size=1, max_size=24),
    ),
    min_size=1,
    max_size=5,
)
WORDS = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\1\0\0"]


def edited(content: bytes, edits: list[tuple[str, float, bytes]]) -> bytes:
    made = bytearray(content)
    for what, where, given_ in edits:
        at = int(where * max(0, len(made) - 1))
        match what:
            case "set":
                made[at : at + len(given_)] = given_
            case "cut":
                del made[at : at + len(given_)]
            case "twice":
                made[at:at] = made[at : at + len(given_)]
            case "word":
                made[at : at + 4] = WORDS[given_[0] % len(WORDS)]
            case "end":
                del made[at:]
    return bytes(made)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(SOUND)), EDITS)
def test_any_damage_to_any_format_is_a_picture_or_says_why_not(
    kind: tuple[str, str], edits: list[tuple[str, float, bytes]]
) -> None:
    content = edited(SOUND[kind], edits)
    started = time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        made = PictureFile(content, LIMITS).decode(16).pixels
    except (InvalidPicture, UnsupportedMedia, TooLarge) as error:
        assert error.field == "image"
        assert not OF_PYTHON.search(error.detail), error.detail
        assert len(error.detail) < 300
    else:
        assert made.mode == "RGB"
    assert time.process_time() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"MM\0*", b"RIFF\0\0\0\0WEBP", b"BM"]),
    st.binary(max_size=200),
)
def test_rubbish_behind_a_right_beginning_says_why_not(start: bytes, rest: bytes) -> None:
    with pytest.raises((InvalidPicture, UnsupportedMedia, TooLarge)) as error:
        PictureFile(start + rest, LIMITS).decode()
    assert not OF_PYTHON.search(error.value.detail), error.value.detail


@pytest.mark.parametrize(("format", "mode"), sorted(SOUND))
def test_every_mode_of_every_format_shows_what_was_stored(format: str, mode: str) -> None:
    made = PictureFile(SOUND[format, mode], DEFAULT_LIMITS).decode().pixels
    assert (made.size, made.mode) == ((64, 48), "RGB")
    verify(SOUND[format, mode])
    if mode == "LAB":
        return
    shown = in_mode(mode).convert("RGB") if mode not in {"I;16", "I", "F"} else in_mode("L").convert("RGB")
    assert np.abs(np.asarray(made, np.int16) - np.asarray(shown, np.int16)).mean() < 8


def bmp_of_an_unknown_compression() -> bytes:
    content = bytearray(SOUND["BMP", "RGB"])
    content[30:34] = (99).to_bytes(4, "little")
    return bytes(content)


def jpeg_of_twelve_bits() -> bytes:
    content = bytearray(SOUND["JPEG", "RGB"])
    content[content.index(b"\xff\xc0") + 4] = 12
    return bytes(content)


@pytest.mark.parametrize("content", [bmp_of_an_unknown_compression(), jpeg_of_twelve_bits()])
def test_a_kind_that_is_not_supported_is_not_called_damaged(content: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="not supported"):
        verify(content)


def test_a_broken_png_is_called_damaged() -> None:
    sound = SOUND["PNG", "RGB"]
    with pytest.raises(InvalidPicture):
        verify(sound[:20] + b"\1" + sound[21:])


def test_ancillary_chunks_of_a_png_are_passed_over_however_they_are() -> None:
    sound = SOUND["PNG", "RGB"]
    first = PictureFile(sound, DEFAULT_LIMITS).decode().pixels.tobytes()
    broken_sum = png_chunk(b"gAMA", bytes(4))[:-4] + b"oops"
    for extra in (
        png_chunk(b"tEXt", b"Comment\0" + bytes(3_000_000)),
        png_chunk(b"iTXt", b"workflow\0\1\0\0\0rubbish"),
        png_chunk(b"zTXt", b""),
        png_chunk(b"fdAT", b"no frame"),
        png_chunk(b"acTL", bytes(8)),
        png_chunk(b"prVt", bytes(99)),
        broken_sum,
    ):
        for at in (33, len(sound) - 12):
            content = sound[:at] + extra + sound[at:]
            assert PictureFile(content, DEFAULT_LIMITS).decode().pixels.tobytes() == first
