"""What is no picture, a broken one or too large a one is told as such, before anything large is decoded."""

import resource
import tracemalloc

import pytest
from pictures import encoded, png_bomb, png_chunk, png_of, png_text_bomb, scene

from omma.errors import InvalidPicture, TooLarge, UnsupportedMedia
from omma.images import PictureFile, PictureLimits, media_type, verify

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"]
LIMITS = PictureLimits()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"just a text that someone named holiday.jpg" * 100,
        b"BMW and Audi are car makers; this is a text that begins as a bitmap does." * 9,
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"P6\n1 1\n255\n\0\0\0",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
    ],
)
def test_what_is_no_picture_is_unsupported(content: bytes) -> None:
    with pytest.raises(UnsupportedMedia) as error:
        verify(content)
    assert error.value.field == "image"


@pytest.mark.parametrize("format", ["PPM", "TGA", "ICO", "PCX", "JPEG2000", "DDS"])
def test_no_other_decoder_of_pillow_sees_the_bytes(format: str) -> None:
    with pytest.raises(UnsupportedMedia):
        verify(encoded(scene(64, 64), format))


@pytest.mark.parametrize("format", FORMATS)
def test_a_whole_picture_is_verified(format: str) -> None:
    content = encoded(scene(), format)
    found = verify(content)
    assert (found.width, found.height) == (320, 200)
    assert found.media_type == media_type(content) == f"image/{format.lower()}".replace("heif", "heic")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("format", FORMATS)
def test_a_truncated_picture_is_invalid(format: str, share: float) -> None:
    content = encoded(scene(), format)
    cut = content[: int(len(content) * share)]
    for read in (verify, lambda bytes_: PictureFile(bytes_, LIMITS).decode()):
        with pytest.raises(InvalidPicture) as error:
            read(cut)
        assert error.value.field == "image"


@pytest.mark.parametrize("format", FORMATS)
def test_damage_anywhere_is_an_answer_and_never_a_crash(format: str) -> None:
    content = encoded(scene(64, 48), format)
    for at in range(0, len(content), max(1, len(content) // 60)):
        damaged = content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]
        try:
            PictureFile(damaged, LIMITS).decode()
        except (InvalidPicture, UnsupportedMedia, TooLarge):
            continue


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [11_400, 20_000, 30_000])
def test_a_png_bomb_is_refused_by_its_header(side: int) -> None:
    bomb = png_bomb(side)
    tracemalloc.start()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TooLarge) as error:
        verify(bomb)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.stop()
    assert error.value.limit == 128_000_000
    assert error.value.field == "image"
    assert after - before < 20_000, "kilobytes: nothing was inflated"


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_a_hundred_megapixels_are_refused(format: str) -> None:
    limits = PictureLimits(max_pixels=9_999)
    content = encoded(scene(100, 100), format)
    with pytest.raises(TooLarge) as error:
        verify(content, limits)
    assert error.value.limit == 9_999
    verify(content, PictureLimits(max_pixels=10_000))


def test_a_compressed_text_in_a_png_is_passed_over_and_cannot_fill_the_memory() -> None:
    bomb = png_text_bomb()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert verify(bomb).width == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_a_png_without_its_pixels_is_invalid() -> None:
    with pytest.raises(InvalidPicture):
        verify(png_of(8, 8))
    with pytest.raises(InvalidPicture):
        verify(png_of(0, 8, png_chunk(b"IDAT", b"")))


def test_two_hundred_megabytes_are_refused_unread() -> None:
    with pytest.raises(TooLarge) as error:
        verify(bytes(200_000_000))
    assert error.value.limit == 40_000_000
