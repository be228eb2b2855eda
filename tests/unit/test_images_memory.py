"""Large pictures: decoded in bands, and no more of them at once than the memory allows."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import encoded, scene
from PIL import Image, ImageFile

from omma.images import DEFAULT_LIMITS, PictureFile, PictureLimits, colour
from omma.images.memory import UNCOUNTED_BYTES, DecodingMemory
from omma.images.picture import DECODING

MB = 1 << 20
MOST = 1024 * MB


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 1500).map(lambda megabytes: megabytes * MB), min_size=1, max_size=40))
def test_never_more_than_the_memory_but_for_one_that_is_alone(needs: list[int]) -> None:
    memory, lock = DecodingMemory(), threading.Lock()
    inside: list[int] = []
    worst: list[list[int]] = []

    def decode(needed: int) -> None:
        with memory.holding(needed, MOST):
            if needed <= UNCOUNTED_BYTES:
                return
            with lock:
                inside.append(needed)
                worst.append(list(inside))
            with lock:
                inside.remove(needed)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, needs))
    assert all(sum(one) <= MOST or len(one) == 1 for one in worst)
    with memory.holding(MOST, MOST):
        pass  # all was given back


def test_what_is_small_waits_for_nobody_and_what_is_large_for_its_turn() -> None:
    memory = DecodingMemory()
    entered: list[str] = []

    def enter(name: str, needed: int) -> None:
        with memory.holding(needed, MOST):
            entered.append(name)

    with memory.holding(900 * MB, MOST):
        large = threading.Thread(target=enter, args=("large", 800 * MB))
        large.start()
        while not memory.waiting:
            pass
        behind = threading.Thread(target=enter, args=("behind it", 100 * MB))
        behind.start()
        while memory.waiting < 2:
            pass
        enter("small", UNCOUNTED_BYTES)
        assert entered == ["small"], "100 MB would fit, and would keep 800 MB waiting for ever"
    large.join(20)
    behind.join(20)
    assert entered == ["small", "large", "behind it"]


def test_a_failure_gives_its_memory_back() -> None:
    memory = DecodingMemory()
    for _ in range(3):
        with pytest.raises(ValueError, match="odd"), memory.holding(MOST, MOST):
            raise ValueError("odd")


@pytest.mark.parametrize("scale", [1, 2, 8])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1", "CMYK", "I;16", "I", "F", "LAB"])
def test_bands_give_the_very_bits_of_the_whole(mode: str, scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = scene(150, 333)
    match mode:
        case "I;16":
            image = Image.fromarray(np.asarray(picture.convert("L"), np.uint16) * 200)
        case "LAB":
            image = Image.merge("LAB", picture.split())
        case "I" | "F":
            image = picture.convert("L").convert(mode)
        case _:
            image = picture.convert(mode)
    whole = colour.to_srgb(image, scale, None)
    monkeypatch.setattr(colour, "BAND_PIXELS", 150 * 20)
    banded = colour.to_srgb(image, scale, None)
    assert banded.size == whole.size and banded.tobytes() == whole.tobytes()


def test_the_memory_is_held_until_the_picture_has_been_used(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    real = DecodingMemory.holding

    def noting(self: DecodingMemory, needed: int, most: int) -> object:
        held.append(needed)
        assert most == DEFAULT_LIMITS.decode_bytes
        return real(self, needed, most)

    monkeypatch.setattr(DecodingMemory, "holding", noting)
    file = PictureFile(encoded(Image.new("RGBA", (5000, 4000)), "PNG", compress_level=1), DEFAULT_LIMITS)
    with file.decoding(512) as picture:
        assert picture.pixels.size == (1250, 1000)
        assert DECODING.held == held[0] > 20_000_000 * 4
    assert DECODING.held == 0


def test_a_progressive_jpeg_counts_its_coefficients() -> None:
    baseline, progressive = (
        PictureFile(encoded(scene(1600, 1200), progressive=one), PictureLimits()) for one in (False, True)
    )
    assert baseline.bytes_needed(128) < 1600 * 1200 < progressive.bytes_needed(128)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"])
def test_opening_decodes_nothing(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(scene(), format)

    def decoded(self: Image.Image) -> None:
        raise AssertionError("it was decoded")

    for kind in {type(Image.open(io.BytesIO(content))), ImageFile.ImageFile}:
        monkeypatch.setattr(kind, "load", decoded)
    assert PictureFile(content, DEFAULT_LIMITS).width == 320


def test_what_a_large_picture_held_goes_back_to_the_system() -> None:
    assert Image.core.get_block_size() > 32 * MB, "malloc keeps smaller blocks for the thread that freed them"
