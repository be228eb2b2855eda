"""Receipts are what a write returned, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.errors import InvalidQuery
from omma.identity import MAX_IMAGE_ID, ImageId, Receipt, Version

IDS = st.integers(1, MAX_IMAGE_ID)


@given(IDS, IDS)
def test_a_receipt_comes_back_from_its_text(image_id: int, version: int) -> None:
    receipt = Receipt(ImageId(image_id), Version(version))
    assert Receipt.parse(str(receipt)) == receipt


@given(st.text(max_size=40))
def test_any_text_is_a_receipt_or_refused(text: str) -> None:
    try:
        receipt = Receipt.parse(text)
    except InvalidQuery as error:
        assert error.field == "receipts"
    else:
        assert 0 < receipt.image_id <= MAX_IMAGE_ID
        assert 0 < receipt.version <= MAX_IMAGE_ID


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "1",
        "1@",
        "@1",
        "0@1",
        "1@0",
        "-1@2",
        "+1@2",
        " 1@2",
        "1@2@3",
        "1.5@2",
        "١@2",
        "9" * 19 + "@1",
        "x" * 10**6,
    ],
)
def test_what_is_no_receipt_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery) as raised:
        Receipt.parse(text)
    assert raised.value.field == "receipts"
    assert len(raised.value.detail) < 300
