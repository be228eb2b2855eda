"""A shard's messages: what goes in comes out."""

from dataclasses import fields, replace

import numpy as np
import pytest

from omma.drift import Drift
from omma.errors import InvalidQuery
from omma.hits import Degraded, Hits, Payload, ShardHits, no_hits
from omma.identity import ImageId, Receipt, Tenant, Version
from omma.v1 import shard_pb2
from services.nn_shard.client import FetchedPicture, ShardQuery, ShardStats, convert

QUERY = ShardQuery(
    tenant=Tenant("ann"),
    index="s.1",
    space="s",
    query=np.array([0.6, 0.8, 0, 0], np.float32),
    k=7,
    filter='{"owner":"ann"}',
    effort=3,
    exact=True,
    use_crops=True,
    with_payload=True,
    with_vectors=True,
    exclude_ids=(5, 2**62),
    receipts=(Receipt(ImageId(3), Version(4)),),
    explain=True,
    with_signatures=True,
)
PAYLOAD = Payload("file:///a", "https://x/a", "ann", ("t", "u"), {"price": 3.5}, 1, 2, 3, "ab")


def equal(one: object, other: object) -> None:
    assert type(one) is type(other)
    for field in fields(one):  # type: ignore[arg-type]
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype, field.name
            np.testing.assert_array_equal(a, b)
        elif isinstance(a, Hits):
            equal(a, b)
        else:
            assert a == b, field.name


def test_query() -> None:
    equal(convert.shard_query(convert.search_request(QUERY)), QUERY)


def test_a_query_has_one_vector() -> None:
    message = convert.search_request(QUERY)
    message.query.data *= 2
    with pytest.raises(InvalidQuery):
        convert.shard_query(message)


def test_hits() -> None:
    hits = Hits(
        ids=np.array([2**62, 1], np.int64),
        scores=np.array([0.5, -0.25], np.float32),
        versions=np.array([1, 2**40], np.int64),
        phashes=np.array([2**64 - 1, 0], np.uint64),
        boxes=np.array([[0, 1, 2, 3], [4, 5, 6, 7]], np.int32),
        payloads=(PAYLOAD, Payload()),
        vectors=np.eye(2, 4, dtype=np.float16),
        phash_known=np.array([False, True]),
        signatures=(b"", b"\x01some"),
    )
    answer = ShardHits(hits, "s.1", "s", 12, frozenset({Degraded.RESCORE_CUT}), 3, 200, {"scan": 41}, applied=2**40)
    equal(convert.shard_hits(convert.search_response(answer), QUERY), answer)


def test_no_hits() -> None:
    answer = ShardHits(no_hits(dim=4, with_payload=True, with_signatures=True), "s.1", "s", 0)
    equal(convert.shard_hits(convert.search_response(answer), QUERY), answer)


def test_what_a_newer_shard_leaves_out_does_not_break_an_older_caller() -> None:
    message = shard_pb2.ShardServiceSearchResponse(degraded=["shard_missing", "something_new"])
    assert convert.shard_hits(message, ShardQuery(Tenant("t"), "i", "s", QUERY.query, 1)).degraded == {
        Degraded.SHARD_MISSING
    }


def test_fetched_pictures() -> None:
    picture = FetchedPicture(
        ImageId(9),
        Version(2),
        Tenant("ann"),
        np.eye(2, 4, dtype=np.float16),
        np.array([[0, 0, 9, 9], [1, 1, 2, 2]], np.int32),
        2**63,
        PAYLOAD,
        signature=b"\x01some",
    )
    (back,) = convert.fetched_pictures(convert.fetch_response([picture], "s.1", "s"))
    equal(back, picture)


@pytest.mark.parametrize("phash", [None, 0, 5])
def test_no_phash_is_not_a_phash_of_zero(phash: int | None) -> None:
    empty = np.empty((0, 4))
    picture = FetchedPicture(
        ImageId(9), Version(2), Tenant("ann"), empty.astype(np.float16), empty.astype(np.int32), phash, PAYLOAD
    )
    (back,) = convert.fetched_pictures(convert.fetch_response([picture], "s.1", "s"))
    assert back.phash == phash


def test_an_older_shard_tells_nothing_of_presence() -> None:
    message = shard_pb2.ShardServiceSearchResponse(
        ids=[1, 2], scores=[1, 1], versions=[1, 1], phashes=[0, 7], box_corners=bytes(32)
    )
    hits = convert.shard_hits(message, ShardQuery(Tenant("t"), "i", "s", QUERY.query, 1, with_signatures=True)).hits
    assert hits.has_phash().tolist() == [False, True]
    assert hits.signatures is None


def test_stats() -> None:
    stats = ShardStats("s.1", "s", 1, 4, 100, 90, 5, 10, 3, "ab", (1, 2, 3), 7, True, True)
    assert convert.shard_stats(convert.stats_response(stats)) == stats
    drifted = replace(stats, drift=Drift(1_000, 1.5, 0.25, 0.9, "rows"))
    assert convert.shard_stats(convert.stats_response(drifted)) == drifted
