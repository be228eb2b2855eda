"""The second look: crops, turns, marks and mirror images are copies; look-alikes are not, whichever comes first."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from omma.copies import LOOKED_AT_BITS, Seen, Verdict, Why, look, nearest_bits
from omma.copies.gate import FAR
from omma.images import signature
from tests.pictures import scene
from training.near_duplicates.edits import EDITS
from training.near_duplicates.lookalikes import FAMILIES, family

SEEDS = (1, 2, 3)
PICTURES = [scene(480, 360, seed=seed) for seed in SEEDS]
SEEN = [Seen.of(one) for one in PICTURES]
TOLD_AS = {
    "10 % crop": Why.CROP,
    "5 % crop": Why.CROP,
    "turned by 2°": Why.TURNED,
    "logo": Why.MARKED,
    "white border": Why.BORDER,
    "mirrored": Why.MIRRORED,
    "grey": Why.GREY,
    "JPEG q50": Why.SAME,
}


@pytest.mark.parametrize("edit", TOLD_AS)
def test_an_edited_picture_is_told_and_how(edit: str) -> None:
    for picture, seen in zip(PICTURES, SEEN, strict=True):
        edited = Seen.of(EDITS[edit](picture))
        verdict = look(seen, edited)
        assert verdict.same
        assert verdict.why is TOLD_AS[edit]
        assert look(edited, seen).same


def test_other_pictures_are_no_copies_nor_are_their_edits() -> None:
    for one, other in combinations(range(len(SEEN)), 2):
        assert not look(SEEN[one], SEEN[other]).same
        assert not look(SEEN[one], Seen.of(EDITS["mirrored"](PICTURES[other]))).same


@pytest.mark.parametrize("name", FAMILIES)
def test_what_only_looks_alike_is_no_copy(name: str) -> None:
    seen = [Seen.of(one) for one in family(name)[:6]]
    assert [pair for pair in combinations(range(len(seen)), 2) if look(seen[pair[0]], seen[pair[1]]).same] == []


def test_a_part_of_a_picture_is_no_copy_of_it() -> None:
    part = PICTURES[0].crop((0, 0, 240, 240))
    assert not look(SEEN[0], Seen.of(part)).same


def test_the_same_thing_in_another_colour_is_another() -> None:
    light, blue, red = PICTURES[1].convert("YCbCr").split()
    painted = Image.merge("YCbCr", (light, red, blue)).convert("RGB")
    assert not look(SEEN[1], Seen.of(painted)).same
    mugs = [Seen.of(one) for one in family("one mug in six colours")[:2]]
    assert look(*mugs) == Verdict(False, Why.COLOUR)


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_any_picture_can_be_looked_at(width: int, height: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    picture = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
    for one in (picture, Image.new("RGB", (width, height), (90, 10, 200))):
        assert not look(Seen.of(one), SEEN[0]).same
        assert not look(SEEN[0], Seen.of(one)).same


def test_the_gate_names_edits_and_mirror_images() -> None:
    signed = [signature(one) for one in PICTURES]
    for edit in TOLD_AS:
        for row, picture in enumerate(PICTURES):
            bits = nearest_bits(signature(EDITS[edit](picture)), signed)
            assert int(bits.argmin()) == row
            assert bits[row] <= LOOKED_AT_BITS
    mirrored = signature(ImageOps.mirror(PICTURES[0]))
    assert nearest_bits(mirrored, [b"", signed[0]]).tolist() == [FAR, nearest_bits(signed[0], [mirrored])[0]]
    assert nearest_bits(b"", signed).tolist() == [FAR] * len(signed)
