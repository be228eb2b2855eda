"""Vectors that callers bring: what a list may say, and that a wrong row is named."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from omma.description import RowLimits
from omma.errors import InvalidQuery, OmmaError, WrongSpace
from omma.space import Space, SpaceId
from omma.vector_list import (
    VectorList,
    checked_list,
    said_of_ids,
    said_of_lines,
    vectors_of_json,
    vectors_of_npy,
)

SPACE = Space(SpaceId("products"), "", "0" * 64, 4)
LIMITS = RowLimits()
ONES = np.ones((3, 4), np.float32)


def ids(*names: Any) -> list[dict[str, Any]]:
    return [{"id": name} for name in names]


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_vectors_are_normalised_and_come_back_as_they_were_said() -> None:
    said = [{"id": "a", "tags": ["x"], "uri": "https://example.org/a.jpg"}, {"external_id": "b"}, {"id": 3}]
    made = checked_list(ONES * 7, said, SPACE, LIMITS)
    np.testing.assert_array_equal(made.vectors, np.full((3, 4), 0.5, np.float16))
    again = VectorList.decode(made.encode())
    assert again.rows == made.rows and [row.description.external_id for row in again.rows] == ["a", "b", "3"]
    assert again.rows[0].uri == "https://example.org/a.jpg" and again.rows[0].description.tags == ("x",)
    np.testing.assert_array_equal(again.vectors, made.vectors)
    assert again.encode() == made.encode(), "the same list is the same job"


@given(arrays(np.float32, st.tuples(st.integers(1, 9), st.just(4)), elements=st.floats(-8, 8, width=32)))
@settings(max_examples=50, deadline=None)
def test_each_is_of_length_one_or_the_first_that_cannot_be_is_named(vectors: Any) -> None:
    zero = [number for number, row in enumerate(vectors, 1) if np.linalg.norm(row.astype(np.float64)) < 1e-12]
    if zero:
        with pytest.raises(InvalidQuery, match=rf"Row {zero[0]} is zero"):
            checked_list(vectors, ids(*range(1, len(vectors) + 1)), SPACE, LIMITS)
        return
    made = checked_list(vectors, ids(*range(1, len(vectors) + 1)), SPACE, LIMITS)
    np.testing.assert_allclose(np.linalg.norm(made.vectors.astype(np.float64), axis=1), 1, atol=3e-3)


@pytest.mark.parametrize(
    ("vectors", "said", "words"),
    [
        (ONES[:, :3], ids("a", "b", "c"), "Row 1 has 3 numbers, and vectors of space products have 4"),
        (ONES * [[1], [np.nan], [1]], ids("a", "b", "c"), "Row 2 holds a number that is not finite"),
        (ONES * [[1], [1], [np.inf]], ids("a", "b", "c"), "Row 3 holds a number that is not finite"),
        (ONES * [[1], [0], [1]], ids("a", "b", "c"), "Row 2 is zero"),
        (ONES, ids("a", "b", "a"), "Row 3 has the id of row 1: 'a'"),
        (ONES, ids("a", "b"), "3 vectors and 2 ids"),
        (ONES, ids("a", "", "c"), "Row 2: it needs an id"),
        (ONES, [*ids("a", "b"), {"id": "c", "external_id": "d"}], "Row 3: it needs an id, one"),
        (ONES, [*ids("a", "b"), {"id": "c", "colour": "red"}], "Row 3: 'colour' is nothing"),
        (ONES, [*ids("a", "b"), {"id": "c", "tags": "red"}], "Row 3: tags must be a list"),
        (ONES, [*ids("a", "b"), {"id": "c", "uri": "\0"}], "Row 3: uri holds a control character"),
        (ONES, [*ids("a", "b"), {"id": "c", "attributes": {"a": []}}], "Row 3: Attribute 'a'"),
        (ONES[:0], [], "no vector"),
    ],
)
def test_a_wrong_row_is_named(vectors: Any, said: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(OmmaError, match=words):
        checked_list(vectors, said, SPACE, LIMITS)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
def test_a_file_of_numpy_is_read_as_numpy_reads_it(dtype: str) -> None:
    rows = np.arange(12, dtype=dtype).reshape(3, 4)
    np.testing.assert_array_equal(vectors_of_npy(npy(rows)), rows)
    np.testing.assert_array_equal(vectors_of_npy(npy(np.asfortranarray(rows))), rows)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no .npy"),
        (b"not numpy", "no .npy"),
        (npy(ONES)[:-1], "cut off"),
        (npy(ONES) + b"x", "cut off"),
        (npy(ONES[0]), "two dimensions"),
        (npy(np.ones((2, 4), np.int64)), "float16, float32 or float64"),
        (npy(ONES).replace(b"(3, 4)", b"(9999999999999, 4)"), "no .npy|cut off"),
    ],
)
def test_another_file_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(InvalidQuery, match=words):
        vectors_of_npy(content)


def test_rows_of_json_are_numbers() -> None:
    np.testing.assert_array_equal(vectors_of_json([{"vector": [1, 2, 3, 4.5]}], SPACE), [[1, 2, 3, 4.5]])
    for wrong in ("x", None, [1, 2, 3, "4"], [1, 2, 3, True], [1, 2, 3, None]):
        with pytest.raises(InvalidQuery, match="Row 2: vector must be a list of numbers"):
            vectors_of_json([{"vector": [1, 2, 3, 4]}, {"vector": wrong}], SPACE)
    with pytest.raises(WrongSpace, match="Row 1 has 3 numbers"):
        vectors_of_json([{"vector": [1, 2, 3]}], SPACE)
    with pytest.raises(InvalidQuery, match="Row 1 holds a number that is not finite"):
        vectors_of_json([{"vector": [10**400, 2, 3, 4]}], SPACE)


def test_lines_say_ids_or_more() -> None:
    assert said_of_ids("\ufeffa\r\nb\n\n".encode()) == ids("a", "b")
    assert said_of_lines(b'{"id": "a"}\n') == ids("a")
    with pytest.raises(InvalidQuery, match="Row 2 of items"):
        said_of_lines(b'{"id": "a"}\n[1]')
    with pytest.raises(InvalidQuery, match="ids is not UTF-8"):
        said_of_ids(b"\xff")
