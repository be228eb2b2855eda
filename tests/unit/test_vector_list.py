"""Vectors that callers bring: what a list may say, and that a wrong row is named."""

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from omma.description import Description, RowLimits
from omma.errors import InvalidQuery, OmmaError, WrongSpace
from omma.space import Space, SpaceId
from omma.vector_list import (
    VectorList,
    VectorRow,
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
    said = [{"id": "a", "tags": ["x"] * 300, "uri": "https://example.org/a.jpg"}, {"external_id": "b"}, {"id": 3}]
    made = checked_list(ONES * 7, said, SPACE, LIMITS)
    np.testing.assert_array_equal(made.vectors, np.full((3, 4), 0.5, np.float16))
    again = VectorList.decode(made.encode())
    assert again.rows == made.rows and [row.description.external_id for row in again.rows] == ["a", "b", "3"]
    assert again.rows[0].uri == "https://example.org/a.jpg" and again.rows[0].description.tags == ("x",)
    np.testing.assert_array_equal(again.vectors, made.vectors)
    assert again.encode() == made.encode(), "the same list is the same job"


def test_a_list_that_an_older_version_took_is_read_without_the_name_of_nothing() -> None:
    row = VectorRow(Description("a", attributes={"": 1, "price": 2}))
    (read,) = VectorList.decode(VectorList(np.full((1, 4), 0.5, np.float16), (row,)).encode()).rows
    assert read.description.attributes == {"price": 2}


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
        (ONES, [*ids("a", "b"), {"id": "c", "attributes": {"": 1}}], "Row 3: The name of an attribute is empty"),
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


def headed(header: str, body: bytes = b"\0" * 96) -> bytes:
    """A .npy file of version 1.0 with this header."""
    text = header.encode("latin-1", "replace") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


SHAPES = ("(-1, -4)", "(True, 4)", "(3, True)", "(0, 4)", "(3, 0)", "(3, 4)", "(2, 3)", "(" * 200, "[3, 4]", "(3.0, 4)")
SHAPES += ("(10**9, 4)", "(9" + "9" * 5_000 + ", 4)", "(-3, -4)", "()", "None", "{}", "(3, 4", "1 + 2", "'x'", "b'x'")
DTYPES = (
    "'<f2'",
    "'<f4'",
    "'<f8'",
    "'<f16'",
    "'|O'",
    "'<c8'",
    "'<i4'",
    "[('a', '<f4')]",
    "('<f4', (2,))",
    "3",
    "''",
    "'f'",
)


@given(
    st.one_of(
        st.builds(
            "{{'descr': {}, 'fortran_order': {}, 'shape': {}, }}".format,
            st.sampled_from(DTYPES),
            st.sampled_from(["True", "False", "1", "None"]),
            st.sampled_from(SHAPES),
        ),
        st.text(st.sampled_from("{}()[]'\"\\:,-+*0123456789fdescrhapotnTu <\0\x80") | st.characters(), max_size=80),
        st.sampled_from(["(" * 200, "-" * 5_000 + "1", "[" * 9_000, "{" * 150, "not " * 2_000 + "1"]),
    ),
    st.sampled_from([0, 24, 48, 96, 192]),
)
@settings(max_examples=400, deadline=None)
def test_whatever_a_header_says_it_is_vectors_or_refused(header: str, size: int) -> None:
    try:
        vectors = vectors_of_npy(headed(header, b"\0" * size))
    except InvalidQuery as refused:
        assert refused.field == "vectors"
    else:
        assert vectors.ndim == 2 and vectors.dtype.itemsize in (2, 4, 8) and vectors.nbytes == size


@given(st.lists(st.text(st.sampled_from("ab\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\r") | st.characters(codec="utf-8"))))
def test_a_line_ends_at_a_line_feed_alone(texts: list[str]) -> None:
    kept = [one.replace("\n", "").rstrip("\r") + "." for one in texts]
    for end in ("\n", "\r\n"):
        assert said_of_ids(end.join(kept).encode()) == ids(
            *(one.removeprefix("\ufeff") if at == 0 else one for at, one in enumerate(kept))
        )
        lines = [json.dumps({"id": one}, ensure_ascii=False) for one in kept]
        assert said_of_lines(end.join(lines).encode()) == ids(*kept)


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
