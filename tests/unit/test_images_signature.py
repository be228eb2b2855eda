"""Signatures: near for copies, far for other pictures, the same from the same pixels."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from omma.copies import Signatures, copies
from omma.images import signature
from omma.images.signature import INNER_BYTES, VERSION, WHOLE_BYTES
from tests.pictures import encoded, scene

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


@pytest.mark.parametrize("edit", EDITS)
def test_a_copy_is_near(edit: str) -> None:
    stored = [
        signature(one) for seed in range(8) for picture in [scene(seed=seed)] for one in (picture, EDITS[edit](picture))
    ]
    found = {(pair.first, pair.second) for pair in copies(Signatures.of(stored))}
    assert found == {(2 * seed, 2 * seed + 1) for seed in range(8)}


def test_other_pictures_are_far() -> None:
    assert copies(Signatures.of([signature(scene(seed=seed)) for seed in range(40)])) == []


@pytest.mark.parametrize("colour", ["black", "white", (90, 120, 200)])
def test_a_picture_without_anything_on_it_says_so(colour: str | tuple[int, int, int]) -> None:
    signatures = Signatures.of([signature(Image.new("RGB", (64, 48), colour))])
    assert (signatures.variation[0], signatures.plain[0]) == (0, 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_every_size_has_one_and_always_the_same(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    first = signature(Image.fromarray(pixels))
    assert len(first) in {WHOLE_BYTES, WHOLE_BYTES + INNER_BYTES} and first[0] == VERSION
    assert first == signature(Image.fromarray(pixels))
