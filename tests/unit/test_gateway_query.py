"""The fields of a search, the cursor, and forms cut into pieces."""

import base64
import json
import zlib
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from omma.errors import InvalidQuery, TooLarge
from omma.rollouts.arms import Arm, Variant
from omma.rollouts.rollout import RolloutId
from services.gateway.rest.body import Form, FormLimits, read_form
from services.gateway.rest.search_fields import json_query, search_query
from services.gateway.search.cursor import MAX_SEEN, Cursor, Draft, decode_cursor, encode_cursor
from services.gateway.search.query import (
    SearchQuery,
    SoughtPicture,
    SoughtStored,
    SoughtUrl,
    SoughtVector,
    SoughtWords,
    region_of,
)
from services.rerank.client import NearDuplicates


def test_a_form_and_json_say_the_same() -> None:
    form = search_query(
        {
            "image_id": "7",
            "text": "red",
            "text_weight": "-0.5",
            "bbox": "1,2,3,4",
            "k": "9",
            "filter": '{"owner": "ann"}',
            "near_duplicates": "drop",
            "exact": "true",
            "receipts": ["1@2", "3@4"],
            "min_coverage": "0.5",
        }
    )
    body = {
        "image_id": 7,
        "text": "red",
        "text_weight": -0.5,
        "bbox": [1, 2, 3, 4],
        "k": 9,
        "filter": {"owner": "ann"},
        "near_duplicates": "drop",
        "exact": True,
        "receipts": ["1@2", "3@4"],
        "min_coverage": 0.5,
    }
    assert form == json_query(body)
    assert (form.k, form.near_duplicates, form.exact) == (9, NearDuplicates.DROP, True)
    assert form.sought == (SoughtStored(7, 1.0, region_of("1,2,3,4")), SoughtWords("red", -0.5))


def test_queries_are_mixed_with_what_stands_beside_them() -> None:
    query = json_query(
        {
            "image_id": 1,
            "space": "s",
            "queries": [
                {"text": "at night", "weight": 0.5},
                {"image_url": "https://example.org/a.jpg", "bbox": "0,0,1,1", "bbox_unit": "fraction"},
                {"vector": [1, 2]},
            ],
        }
    )
    stored, words, url, vector = query.sought
    assert stored == SoughtStored(1)
    assert words == SoughtWords("at night", 0.5)
    assert url == SoughtUrl("https://example.org/a.jpg", 1.0, region_of([0, 0, 1, 1], fraction=True))
    assert isinstance(vector, SoughtVector)
    assert (vector.space, vector.values.tolist()) == ("s", [1.0, 2.0])


def test_what_is_not_given_is_as_the_contract_says() -> None:
    query = search_query({}, image=b"x")
    assert query == SearchQuery((SoughtPicture(b"x"),), k=50, timeout_ms=2000, near_duplicates=NearDuplicates.COLLAPSE)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"queries": [{"text": "a", "image_id": 1}]}, "queries"),
        ({"queries": [{"text": "a", "bbox": "0,0,1,1"}]}, "bbox"),
        ({"queries": [{"txt": "a"}]}, "txt"),
        ({"queries": "a"}, "queries"),
        ({"queries": [{"text": "a"}] * 17}, "queries"),
        ({"image_id": 1, "filter": [1]}, "filter"),
        ({"image_id": 1, "receipts": "1@1,x"}, "receipts"),
        ({"image_id": 1, "vector": "1,2,x", "space": "s"}, "vector"),
        ({"image": "base64"}, "image"),
        ({"image_id": 1, "image_id_weight": 10**6}, "image_id_weight"),
        ({"image_id": 1, "text": "a", "text_weight": -1001}, "text_weight"),
        ({"queries": [{"text": "a", "weight": 1001}]}, "weight"),
        ({"image_id": "1.0"}, "image_id"),
        ({"vector": ["1", 2], "space": "s"}, "vector"),
        ({"vector": '["1", 2]', "space": "s"}, "vector"),
        ({"queries": [{"image_id": 1, "weight": "1"}]}, "weight"),
        ({"image_id": 1, "text_weight": 0.5}, "text_weight"),
        ({"text": "a", "vector_weight": 1}, "vector_weight"),
        ({"queries": [{"text": "a"}], "text_weight": 2}, "text_weight"),
        ({"text": "a", "space": "s"}, "space"),
        ({"queries": [{"image_id": 1}], "space": "s"}, "space"),
        ({"image_id": 1, "bbox": [0, 0, "1", 1]}, "bbox"),
        ({"image_id": 1, "bbox": 5}, "bbox"),
    ],
)
def test_json_that_names_its_fault(body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidQuery) as failure:
        json_query(body)
    assert failure.value.field == field


def test_an_id_may_be_text_in_json() -> None:
    most = str(2**63 - 1)
    for body in ({"image_id": most}, {"queries": [{"image_id": most}]}):
        (sought,) = json_query(body).sought
        assert isinstance(sought, SoughtStored) and sought.image_id == 2**63 - 1


def test_an_unknown_field_is_told_the_nearest() -> None:
    with pytest.raises(InvalidQuery) as failure:
        json_query({"image_id": 1, "near_duplicate": "drop"})
    assert "near_duplicates" in failure.value.detail


def test_pixels_of_a_region_cover_it_and_fit_int32() -> None:
    assert region_of("0.5,0.5,2.2,2.2").pixels() == (0, 0, 3, 3)
    huge = region_of("-1e300,-1e300,1e300,1e300").pixels()
    assert np.array(huge, np.int64).astype(np.int32).tolist() == list(huge)


ids = st.integers(1, 2**63 - 1)


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode()


variants = st.one_of(st.none(), st.builds(Variant, st.uuids().map(str).map(RolloutId), st.sampled_from(Arm)))


@given(st.integers(0, 2**32 - 1), st.sets(ids, max_size=200), variants)
def test_a_cursor_comes_back_as_it_was(mark: int, seen: set[int], variant: Variant | None) -> None:
    cursor = encode_cursor(mark, seen, "a.1", variant)
    assert cursor is not None
    assert cursor.isascii()
    assert decode_cursor(cursor) == Cursor(mark, "a.1", variant, tuple(sorted(seen)))


@given(st.integers(0, 2**32 - 1), st.sets(ids, max_size=100), st.sets(ids, max_size=100), st.integers(0, 2**64 - 1))
def test_a_cursor_of_interleaved_pages_keeps_what_each_arm_passes_over(
    mark: int, seen: set[int], other: set[int], seed: int
) -> None:
    variant = Variant(RolloutId("r1"), Arm.INTERLEAVED)
    draft = Draft("b.1", seed, tuple(sorted(other)))
    cursor = encode_cursor(mark, seen, "a.1", variant, draft)
    assert cursor is not None
    assert decode_cursor(cursor) == Cursor(mark, "a.1", variant, tuple(sorted(seen)), draft)


def test_a_cursor_of_interleaved_pages_is_bounded_by_what_both_saw() -> None:
    variant = Variant(RolloutId("r1"), Arm.INTERLEAVED)
    half = MAX_SEEN // 2
    fits = encode_cursor(1, range(1, half + 1), "a.1", variant, Draft("b.1", 1, tuple(range(half + 1, MAX_SEEN + 1))))
    assert fits is not None and len(decode_cursor(fits).seen) == half
    assert encode_cursor(1, range(1, half + 2), "a.1", variant, Draft("b.1", 1, tuple(range(-MAX_SEEN, -half)))) is None


@given(st.one_of(st.text(max_size=100), st.binary(max_size=200).map(zlib.compress).map(_encoded)))
def test_a_cursor_that_was_made_up_is_refused(cursor: str) -> None:
    try:
        decoded = decode_cursor(cursor)
    except InvalidQuery as error:
        assert error.field == "cursor"
    else:
        assert encode_cursor(decoded.query_mark, decoded.seen, decoded.index) is not None


def test_a_cursor_ends_where_it_would_grow_too_large() -> None:
    assert encode_cursor(1, range(1, MAX_SEEN + 1), "a.1") is not None
    assert encode_cursor(1, range(1, MAX_SEEN + 2), "a.1") is None


LIMITS = FormLimits(frozenset({"image", "text", "tags"}), frozenset({"image"}), max_file_bytes=1_000)


def _multipart(fields: list[tuple[str, bytes]], files: list[tuple[str, bytes]]) -> bytes:
    parts = [b'--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (n.encode(), v) for n, v in fields]
    parts += [
        b'--B\r\nContent-Disposition: form-data; name="%s"; filename="f"\r\n\r\n%s\r\n' % (name.encode(), content)
        for name, content in files
    ]
    return b"".join(parts) + b"--B--\r\n"


async def _read(chunks: list[bytes], content_type: str = "multipart/form-data; boundary=B") -> Form:
    async def messages() -> AsyncIterator[dict[str, Any]]:
        for chunk in chunks:
            yield {"type": "http.request", "body": chunk, "more_body": True}
        yield {"type": "http.request", "body": b"", "more_body": False}

    coming = messages()
    scope = {
        "type": "http",
        "method": "POST",
        "query_string": b"",
        "headers": [(b"content-type", content_type.encode())],
    }
    return await read_form(Request(scope, coming.__anext__), LIMITS)


@given(
    text=st.text(max_size=30),
    tags=st.lists(st.text(max_size=10), max_size=3),
    image=st.binary(max_size=300).filter(lambda content: b"--B" not in content),
    cuts=st.lists(st.integers(0, 600), max_size=12),
)
async def test_a_form_reads_the_same_wherever_it_is_cut(
    text: str, tags: list[str], image: bytes, cuts: list[int]
) -> None:
    fields = [("text", text.encode()), *(("tags", tag.encode()) for tag in tags)]
    if any(b"--B" in value for _, value in fields):
        return
    body = _multipart(fields, [("image", image)])
    at = [0, *sorted(cuts), len(body)]
    form = await _read([body[start:end] for start, end in pairwise(at) if start < end])
    assert form.files == {"image": image}
    assert form.fields == {"text": [text], **({"tags": tags} if tags else {})}


@pytest.mark.parametrize(
    ("body", "error", "field"),
    [
        (_multipart([], [("image", bytes(1_001))]), TooLarge, "image"),
        (_multipart([("text", b"a" * 1_000_001)], []), TooLarge, "text"),
        (_multipart([("text", b"\xff")], []), InvalidQuery, "text"),
        (_multipart([("txt", b"a")], []), InvalidQuery, "txt"),
        (_multipart([("image", b"a")], []), InvalidQuery, "image"),
        (_multipart([], [("image", b"a"), ("image", b"b")]), InvalidQuery, "image"),
        (_multipart([("tags", b"a")] * 1_025, []), TooLarge, None),
        (_multipart([("text", b"a")], [])[:-6], InvalidQuery, None),
    ],
)
async def test_forms_that_are_refused(body: bytes, error: type[Exception], field: str | None) -> None:
    with pytest.raises(error) as failure:
        await _read([body])
    assert getattr(failure.value, "field", None) == field


async def test_reading_ends_at_the_byte_that_is_one_too_many() -> None:
    read = 0

    async def endless() -> dict[str, Any]:
        nonlocal read
        read += 1
        head = b'--B\r\nContent-Disposition: form-data; name="image"; filename="f"\r\n\r\n' if read == 1 else b""
        return {"type": "http.request", "body": head + bytes(100), "more_body": True}

    scope = {
        "type": "http",
        "method": "POST",
        "query_string": b"",
        "headers": [(b"content-type", b"multipart/form-data; boundary=B")],
    }
    with pytest.raises(TooLarge):
        await read_form(Request(scope, endless), LIMITS)
    assert read == 11


async def test_urlencoded_forms_are_read_too() -> None:
    kind = "application/x-www-form-urlencoded"
    assert (await _read([b"text=a+b&tags=x&tags=y"], kind)).fields == {"text": ["a b"], "tags": ["x", "y"]}
    with pytest.raises(InvalidQuery):
        await _read([b"text=%ff"], kind)
    with pytest.raises(InvalidQuery):
        await _read([json.dumps({"text": "a"}).encode()], kind)
