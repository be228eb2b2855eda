"""What an embedder lets in: regions and bytes count, not items."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.errors import Overloaded
from services.egs.admission import Admission
from services.egs.client import ImageItem, TextItem

SMALL = ImageItem(b"12345")


def boxes(count: int, content: bytes = b"12345") -> ImageItem:
    return ImageItem(content, boxes=np.zeros((count, 4), np.int32))


def test_a_picture_of_64_boxes_weighs_64() -> None:
    admission = Admission(max_rows=100, max_bytes=1_000)
    with admission.holding([boxes(64)]):
        assert (admission.items, admission.rows, admission.bytes) == (1, 64, 5)
        with pytest.raises(Overloaded) as refused, admission.holding([boxes(64)]):
            pass
        assert refused.value.limit == 100
        with admission.holding([ImageItem(b"", fractions=((0, 0, 1, 1),) * 36)]):
            assert admission.rows == 100
    assert (admission.items, admission.rows, admission.bytes) == (0, 0, 0)


def test_bytes_count() -> None:
    admission = Admission(max_rows=100, max_bytes=1_000)
    with admission.holding([SMALL]):
        with pytest.raises(Overloaded) as refused, admission.holding([ImageItem(bytes(996))]):
            pass
        assert refused.value.limit == 1_000
        with admission.holding([ImageItem(bytes(995)), TextItem("")]):
            assert admission.bytes == 1_000


def test_what_is_alone_is_let_in_whatever_it_weighs() -> None:
    admission = Admission(max_rows=1, max_bytes=1)
    with admission.holding([boxes(64, bytes(99))] * 3):
        assert admission.rows == 192


@given(st.lists(st.tuples(st.integers(1, 64), st.integers(0, 500)), max_size=30))
def test_never_more_than_the_bounds_but_for_what_is_alone(asked: list[tuple[int, int]]) -> None:
    admission = Admission(max_rows=100, max_bytes=1_000)

    def nested(left: list[tuple[int, int]]) -> None:
        if not left:
            return
        count, size = left[0]
        try:
            with admission.holding([boxes(count, bytes(size))]):
                assert admission.items == 1 or (admission.rows <= 100 and admission.bytes <= 1_000)
                nested(left[1:])
        except Overloaded:
            nested(left[1:])

    nested(asked)
    assert (admission.items, admission.rows, admission.bytes) == (0, 0, 0)
