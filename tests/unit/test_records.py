"""Records of the log are what was put into them."""

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from omma.errors import InvalidQuery
from omma.hits import Payload
from omma.identity import ImageId, Tenant, Version
from omma.records import EventKind, ImageEvent, VectorRecord, deleted_record, image_key

IDS = st.integers(1, 2**63 - 1)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
PAYLOADS = st.builds(
    Payload,
    uri=TEXT,
    source_url=TEXT,
    owner=TEXT,
    tags=st.lists(TEXT, max_size=4).map(tuple),
    attributes=st.dictionaries(TEXT, JSON, max_size=3),
    created_at_ms=st.integers(0, 2**52),
    width=st.integers(0, 2**31 - 1),
    height=st.integers(0, 2**31 - 1),
    sha256=TEXT,
    key=TEXT,
    bytes=st.integers(0, 2**52),
    mtime_ns=st.none() | st.integers(0, 2**63 - 1),
)


@given(IDS, IDS, TEXT, st.sampled_from(EventKind), TEXT)
def test_an_event_survives_the_log(image_id: int, version: int, tenant: str, kind: EventKind, request: str) -> None:
    event = ImageEvent(ImageId(image_id), Version(version), Tenant(tenant), kind, request)
    assert ImageEvent.decode(event.encode()) == event


@given(
    IDS,
    IDS,
    TEXT,
    st.none() | st.integers(0, 2**64 - 1),
    PAYLOADS,
    st.integers(1, 4),
    st.integers(1, 8),
    st.binary(max_size=40),
)
def test_a_vector_record_survives_the_log(
    image_id: int,
    version: int,
    tenant: str,
    phash: int | None,
    payload: Payload,
    regions: int,
    dim: int,
    signature: bytes,
) -> None:
    numbers = np.random.default_rng(image_id % 2**32)
    record = VectorRecord(
        ImageId(image_id),
        Version(version),
        Tenant(tenant),
        "space",
        vectors=numbers.standard_normal((regions, dim)).astype(np.float16),
        boxes=numbers.integers(0, 9_000, (regions, 4)).astype(np.int32),
        phash=phash,
        payload=payload,
        signature=signature,
    )
    back = VectorRecord.decode(record.encode(), dim)
    assert (back.image_id, back.version, back.tenant, back.space) == (image_id, version, tenant, "space")
    assert (back.phash, back.payload, back.deleted) == (phash, payload, False)
    assert back.signature == signature
    assert np.array_equal(back.vectors, record.vectors)
    assert back.vectors.dtype == np.float16
    assert np.array_equal(back.boxes, record.boxes)


def test_a_delete_has_a_body_and_no_vectors() -> None:
    value = deleted_record(ImageId(7), Version(3), Tenant("t"), "space", dim=4).encode()
    back = VectorRecord.decode(value, dim=4)
    assert value
    assert back.deleted
    assert (back.image_id, back.version) == (7, 3)
    assert back.vectors.shape == (0, 4)
    assert back.boxes.shape == (0, 4)


def test_a_record_of_another_dimension_is_refused() -> None:
    record = VectorRecord(
        ImageId(1), Version(1), Tenant("t"), "s", np.ones((1, 4), np.float16), np.zeros((1, 4), np.int32)
    )
    with pytest.raises(InvalidQuery):
        VectorRecord.decode(record.encode(), dim=8)


@pytest.mark.parametrize("value", [b"\xff", b"not a record at all"])
def test_bytes_that_are_no_record_are_told_apart(value: bytes) -> None:
    with pytest.raises((DecodeError, ValueError)):
        ImageEvent.decode(value)
    with pytest.raises((DecodeError, ValueError, InvalidQuery)):
        VectorRecord.decode(value, dim=4)


def test_an_event_without_a_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="0"):
        ImageEvent.decode(b"")


@given(st.lists(IDS, min_size=2, max_size=10, unique=True))
def test_keys_sort_as_ids_do(ids: list[int]) -> None:
    assert sorted(ids) == [int.from_bytes(key, "big") for key in sorted(image_key(image_id) for image_id in ids)]
