"""Which pictures are told as copies, by their signatures alone: edits are, look-alikes are not, groups are stable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from omma.copies import Pair, Signatures, copies, grouped
from omma.images import signature
from omma.images.signature import HASH_BYTES, HEAD_BYTES, VERSION, WHOLE_BYTES
from tests.pictures import scene
from training.near_duplicates.edits import EDITS
from training.near_duplicates.lookalikes import FAMILIES, family

SEEDS = range(3)


def told(pictures: list[Image.Image]) -> set[tuple[int, int]]:
    """Rows of pairs that are copies."""
    return {(pair.first, pair.second) for pair in copies(Signatures.of([signature(one) for one in pictures]))}


@pytest.mark.parametrize("edit", sorted(EDITS.keys() - {"logo", "turned by 2°", "10 % crop"}))
def test_an_edited_picture_is_a_copy(edit: str) -> None:
    pictures = [scene(480, 360, seed=seed) for seed in SEEDS]
    assert told([*pictures, *map(EDITS[edit], pictures)]) == {(seed, seed + len(SEEDS)) for seed in SEEDS}


def test_which_comes_first_does_not_matter() -> None:
    pictures = [picture for seed in SEEDS for picture in (scene(480, 360, seed=seed), scene(480, 360, seed=seed + 50))]
    signed = [signature(edit(picture)) for edit in EDITS.values() for picture in pictures]
    last = len(signed) - 1
    backwards = {(last - pair.second, last - pair.first) for pair in copies(Signatures.of(signed[::-1]))}
    assert backwards == {(pair.first, pair.second) for pair in copies(Signatures.of(signed))}


@pytest.mark.parametrize("name", FAMILIES)
def test_what_only_looks_alike_is_no_copy(name: str) -> None:
    assert told(family(name)) == set()


@pytest.mark.parametrize("turn", Image.Transpose)
def test_a_photograph_is_itself_however_it_is_turned(turn: Image.Transpose) -> None:
    picture = scene(480, 360, seed=1)
    assert told([picture, picture.transpose(turn)]) == {(0, 1)}


def test_a_drawing_that_points_elsewhere_is_another() -> None:
    arrow = family("icons")[-4]
    assert told([arrow, ImageOps.mirror(arrow), arrow.rotate(90), ImageOps.mirror(arrow)]) == {(1, 3)}


def test_a_grey_copy_is_one_and_grey_ones_of_another_light_are_not() -> None:
    red, dark = (Image.new("RGB", (400, 300), "white") for _ in range(2))
    for picture, paint in ((red, (200, 40, 40)), (dark, (30, 30, 30))):
        picture.paste(paint, (120, 60, 300, 260))
    grey = red.convert("L").convert("RGB")
    assert told([red, grey, dark]) == {(0, 1)}


def test_black_pictures_are_copies_of_each_other() -> None:
    assert told([Image.new("RGB", (200, 200)), Image.new("RGB", (200, 201)), Image.new("RGB", (9, 9), "white")]) == {
        (0, 1)
    }


@pytest.mark.parametrize("stored", [b"", b"\2", b"\1" + bytes(113), b"\3" + bytes(386)])
def test_what_this_version_cannot_read_has_no_views(stored: bytes) -> None:
    signatures = Signatures.of([stored, signature(scene(seed=1)), stored])
    assert set(signatures.pictures.tolist()) == {1}
    assert copies(Signatures.of([stored])) == []


PAIRS = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11), st.integers(0, 3)), max_size=20)
APART = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=4)


@given(PAIRS, APART, st.permutations(range(12)))
def test_groups_are_the_same_in_whatever_order_the_rows_come(
    drawn: list[tuple[int, int, int]], drawn_apart: list[tuple[int, int]], order: list[int]
) -> None:
    place = {row: at for at, row in enumerate(order)}
    kept = [(one, other, bits) for one, other, bits in drawn if one != other]
    apart = [(one, other) for one, other in drawn_apart if one != other]

    def groups(row_of: dict[int, int]) -> set[frozenset[int]]:
        ids = np.empty(12, np.int64)
        ids[list(row_of.values())] = list(row_of)
        pairs = [Pair(*sorted((row_of[a], row_of[b])), bits, "signature") for a, b, bits in kept]
        leader, _ = grouped(ids, pairs, [(row_of[a], row_of[b]) for a, b in apart])
        assert all(leader[row] <= row and leader[leader[row]] == leader[row] for row in range(12))
        return {frozenset(int(ids[row]) for row in np.flatnonzero(leader == lead)) for lead in set(leader.tolist())}

    as_is = groups({row: row for row in range(12)})
    assert as_is == groups(place)
    for group in as_is:
        assert not any({one, other} <= group for one, other in apart)
    if not apart:
        for one, other, _ in kept:
            assert any({one, other} <= group for group in as_is)


@given(st.lists(st.binary(min_size=HASH_BYTES, max_size=HASH_BYTES), max_size=5))
def test_hashes_are_in_words_by_parity_and_turned_as_the_bits_of_a_mirrored_picture(hashes: list[bytes]) -> None:
    stored = [bytes([VERSION, 0, 0]) + one + bytes(WHOLE_BYTES - HEAD_BYTES - HASH_BYTES) for one in hashes]
    signatures = Signatures.of(stored)
    for row, one in enumerate(hashes):
        bits = np.unpackbits(np.frombuffer(one, np.uint8)).reshape(16, 16)
        for words, seen in ((signatures.hashes, bits), (signatures.turned, bits.T)):
            parted = [seen[y::2, x::2].ravel() for y in (0, 1) for x in (0, 1)]
            assert words[row].tobytes() == np.packbits(np.concatenate(parted)).tobytes()
