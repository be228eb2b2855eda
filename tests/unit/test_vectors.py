"""Vectors on the wire keep their numbers; what is no vector is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from omma.errors import InvalidQuery
from omma.v1 import types_pb2
from omma.vectors import from_wire, normalise, to_wire

SHAPES = st.tuples(st.integers(0, 5), st.integers(1, 16))


@given(SHAPES.flatmap(lambda shape: arrays.arrays(st.sampled_from([np.float16, np.float32]), shape)))
def test_vectors_survive_the_wire_bit_for_bit(rows: np.ndarray) -> None:
    back = from_wire(to_wire(rows), rows.shape[1])
    assert back.dtype == rows.dtype
    assert back.tobytes() == rows.tobytes()
    assert back.shape == rows.shape


def test_a_view_that_is_not_contiguous_travels_as_it_reads() -> None:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4).T
    assert np.array_equal(from_wire(to_wire(rows)), rows)


@pytest.mark.parametrize(
    "message",
    [
        types_pb2.Vectors(data=b"\0" * 8, dim=4),
        types_pb2.Vectors(data=b"\0" * 8, dim=0, dtype=types_pb2.DTYPE_FLOAT16),
        types_pb2.Vectors(data=b"\0" * 9, dim=4, dtype=types_pb2.DTYPE_FLOAT16),
        types_pb2.Vectors(data=b"\0" * 6, dim=3, dtype=types_pb2.DTYPE_FLOAT16),
        types_pb2.Vectors(data=b"\0" * 8, dim=4, dtype=99),
    ],
    ids=["no dtype", "no dim", "half a number", "another dim", "unknown dtype"],
)
def test_a_message_that_does_not_fit_is_refused(message: types_pb2.Vectors) -> None:
    with pytest.raises(InvalidQuery) as raised:
        from_wire(message, 4)
    assert raised.value.field == "vector"


@given(
    st.integers(1, 64).flatmap(
        lambda dim: arrays.arrays(np.float32, (3, dim), elements=st.floats(-(2.0**100), 2.0**100, width=32))
    )
)
def test_normalising_gives_unit_length_or_refuses(rows: np.ndarray) -> None:
    try:
        unit = normalise(rows)
    except InvalidQuery as error:
        assert error.field == "vector"
        assert (np.abs(rows).max(axis=1) < 1e-11).any()
    else:
        assert unit.dtype == np.float32
        assert np.allclose(np.linalg.norm(unit.astype(np.float64), axis=1), 1, atol=1e-4)


@pytest.mark.parametrize("bad", [[np.nan, 1.0], [np.inf, 1.0], [0.0, 0.0]])
def test_a_vector_without_a_direction_is_refused(bad: list[float]) -> None:
    with pytest.raises(InvalidQuery):
        normalise([[1.0, 2.0], bad])
