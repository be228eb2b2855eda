"""Merging the answers of shards is sorting their union."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.errors import InvalidQuery
from omma.hits import Hits, Payload, merge, no_hits

# Few different scores, so that ties are the rule; exact in float32.
SCORES = st.integers(-4, 4).map(lambda quarter: quarter / 4)
Row = tuple[int, float, int]
"""id, score, version"""


def hits_of(rows: list[Row]) -> Hits:
    """As a shard answers: best first, equal scores by id. Every column tells which row it belongs to."""
    rows = sorted(rows, key=lambda row: (-row[1], row[0]))
    ids = np.array([row[0] for row in rows], np.int64)
    return Hits(
        ids=ids,
        scores=np.array([row[1] for row in rows], np.float32),
        versions=np.array([row[2] for row in rows], np.int64),
        phashes=ids.astype(np.uint64) * np.uint64(3),
        boxes=np.repeat(ids.astype(np.int32)[:, None], 4, axis=1),
        payloads=tuple(Payload(uri=f"{row[0]}@{row[2]}") for row in rows),
        vectors=np.array([[row[0] % 100, row[2]] for row in rows], np.float16).reshape(-1, 2),
    )


def rows_of(hits: Hits) -> list[Row]:
    return list(zip(hits.ids.tolist(), hits.scores.tolist(), hits.versions.tolist(), strict=True))


@st.composite
def shards(draw: st.DrawFn) -> list[list[Row]]:
    """Answers of up to 5 shards; a picture is on one of them."""
    ids = draw(st.lists(st.integers(1, 500), unique=True, max_size=40))
    parts: list[list[Row]] = [[] for _ in range(draw(st.integers(1, 5)))]
    for image_id in ids:
        part = draw(st.integers(0, len(parts) - 1))
        parts[part].append((image_id, draw(SCORES), draw(st.integers(1, 3))))
    return parts


@given(shards(), st.integers(1, 50))
def test_merging_equals_sorting_the_union(parts: list[list[Row]], k: int) -> None:
    merged = merge([hits_of(part) for part in parts], k)
    union = sorted((row for part in parts for row in part), key=lambda row: (-row[1], row[0]))
    assert rows_of(merged) == union[:k]


@given(shards(), st.integers(1, 50), st.randoms(use_true_random=False))
def test_neither_the_order_nor_the_cut_of_the_shards_changes_the_answer(
    parts: list[list[Row]], k: int, random: Random
) -> None:
    whole = merge([hits_of([row for part in parts for row in part])], k)
    random.shuffle(parts)
    cut = merge([hits_of(part).take(np.arange(min(k, len(part)))) for part in parts], k)
    assert rows_of(cut) == rows_of(whole)


@given(shards(), st.integers(1, 50))
def test_columns_stay_with_their_rows(parts: list[list[Row]], k: int) -> None:
    merged = merge([hits_of(part) for part in parts], k)
    for row, (image_id, _, version) in enumerate(rows_of(merged)):
        assert merged.phashes[row] == image_id * 3
        assert merged.boxes[row].tolist() == [image_id] * 4
        assert merged.payloads is not None
        assert merged.payloads[row].uri == f"{image_id}@{version}"
        assert merged.vectors is not None
        assert merged.vectors[row].tolist() == [image_id % 100, version]


@given(st.lists(st.tuples(st.integers(1, 8), SCORES, st.integers(1, 9)), max_size=30), st.integers(1, 10))
def test_a_picture_on_two_shards_counts_once_with_its_higher_version(rows: list[Row], k: int) -> None:
    parts = [list({row[0]: row for row in rows[start::3]}.values()) for start in range(3)]
    merged = rows_of(merge([hits_of(part) for part in parts], k))
    newest = {
        image_id: max(row[2] for part in parts for row in part if row[0] == image_id)
        for image_id in {row[0] for part in parts for row in part}
    }
    assert len(merged) == min(k, len(newest))
    assert all(newest[image_id] == version for image_id, _, version in merged)


def test_an_optional_column_that_one_shard_lacks_is_left_out() -> None:
    bare = Hits(
        **{name: getattr(hits_of([(1, 0.5, 1)]), name) for name in ("ids", "scores", "versions", "phashes", "boxes")}
    )
    merged = merge([hits_of([(2, 0.25, 1)]), bare], 5)
    assert merged.payloads is None
    assert merged.vectors is None
    assert rows_of(merged) == [(1, 0.5, 1), (2, 0.25, 1)]


def test_the_hits_that_no_shard_has_keep_the_columns_that_were_asked_for() -> None:
    empty = merge([no_hits(dim=3, with_payload=True), no_hits(dim=3, with_payload=True)], 5)
    assert len(empty) == 0
    assert empty.payloads == ()
    assert empty.vectors is not None
    assert empty.vectors.shape == (0, 3)


@pytest.mark.parametrize("k", [0, -1])
def test_a_k_below_one_is_refused(k: int) -> None:
    with pytest.raises(InvalidQuery) as raised:
        merge([], k)
    assert raised.value.field == "k"


def test_merging_keeps_what_is_known_of_phashes_and_signatures() -> None:
    def one(image_id: int, phash_known: list[bool] | None, signatures: tuple[bytes, ...] | None) -> Hits:
        return Hits(
            np.array([image_id]),
            np.array([1.0 / image_id], np.float32),
            np.array([1]),
            np.array([0], np.uint64),
            np.zeros((1, 4), np.int32),
            phash_known=None if phash_known is None else np.array(phash_known),
            signatures=signatures,
        )

    both = merge([one(2, [True], (b"\x01b",)), one(1, [False], (b"",))], 5)
    assert both.has_phash().tolist() == [False, True]
    assert both.signatures == (b"", b"\x01b")
    older = merge([one(2, [True], None), one(1, None, (b"\x01",))], 5)
    assert older.has_phash().tolist() == [False, True]
    assert older.signatures is None
    assert both.take(np.array([1])).signatures == (b"\x01b",)
