"""Signatures: near for copies, far for other pictures, the same from the same pixels."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from omma.images import signature
from omma.images.signature import BYTES, VERSION
from tests.pictures import encoded, scene

COPIES = 16
"""Bits of 256 within which copies lie."""

EDITS = {
    "jpeg": lambda one: Image.open(io.BytesIO(encoded(one, quality=40))),
    "half": lambda one: one.resize((one.width // 2, one.height // 2)),
    "twice": lambda one: one.resize((one.width * 2, one.height * 2)),
    "grey": lambda one: one.convert("L").convert("RGB"),
    "darker": lambda one: ImageEnhance.Brightness(one).enhance(0.8),
    "blurred": lambda one: one.filter(ImageFilter.GaussianBlur(1)),
    "white border": lambda one: ImageOps.expand(one, border=one.width // 8, fill="white"),
    "letterbox": lambda one: ImageOps.expand(one, border=(0, one.height // 6), fill="black"),
    "stretched": lambda one: one.resize((round(one.width * 1.1), one.height)),
}


def distance(one: bytes, other: bytes) -> int:
    """Bits of 256: the least between whole and trimmed hashes."""
    hashes = [[np.frombuffer(each[at : at + 32], np.uint8) for at in (1, 33)] for each in (one, other)]
    return min(int(np.bitwise_count(a ^ b).sum()) for a in hashes[0] for b in hashes[1])


@pytest.mark.parametrize("edit", EDITS)
def test_a_copy_is_near(edit: str) -> None:
    for seed in range(8):
        picture = scene(seed=seed)
        assert distance(signature(picture), signature(EDITS[edit](picture))) <= COPIES, (edit, seed)


def test_other_pictures_are_far() -> None:
    signatures = [signature(scene(seed=seed)) for seed in range(40)]
    nearest = min(distance(a, b) for at, a in enumerate(signatures) for b in signatures[:at])
    assert nearest > 2 * COPIES


def test_colours_tell_one_form_in_two_colours_apart() -> None:
    red, blue = (Image.new("RGB", (300, 200), "white") for _ in range(2))
    red.paste((200, 30, 30), (80, 50, 220, 150))
    blue.paste((60, 60, 220), (80, 50, 220, 150))
    a, b = (np.frombuffer(signature(one)[66:], np.uint8).astype(int).reshape(-1, 3) for one in (red, blue))
    assert np.abs(a - b)[:, 1:].max() > 60


@pytest.mark.parametrize("colour", ["black", "white", (90, 120, 200)])
def test_a_picture_without_anything_on_it_says_so(colour: str | tuple[int, int, int]) -> None:
    assert signature(Image.new("RGB", (64, 48), colour))[65] == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_every_size_has_one_and_always_the_same(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    first = signature(Image.fromarray(pixels))
    assert len(first) == BYTES and first[0] == VERSION
    assert first == signature(Image.fromarray(pixels))
