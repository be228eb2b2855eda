"""A picture's signature, and whether it has a pHash: kept through heads, segments and merges, and given when asked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from omma.errors import InvalidQuery
from omma.hits import Hits
from omma.identity import ImageId
from omma.records import VectorRecord
from services.nn_shard.engine import Engine, SearchOptions
from tests.unit.engine_lives import DIM, TENANT, as_of_an_earlier_version, clustered, far, maintain, opened, record

ROWS = clustered(60, seed=1)


def known(image_id: int) -> tuple[int | None, bytes]:
    """pHash and signature of a picture: black ones, some without either."""
    return (None, 0, 2**64 - 1, image_id)[image_id % 4], (b"", b"\x01" + bytes([image_id]) * (image_id % 7))[
        image_id % 2
    ]


def records(ids: range) -> list[VectorRecord]:
    return [
        replace(record(one, ROWS[one]), phash=known(one)[0], signature=known(one)[1])
        for one in np.random.default_rng(2).permutation(ids).tolist()
    ]


def hits_of(engine: Engine, **options: object) -> Hits:
    chosen = SearchOptions(TENANT, 100, exact=True, **options)  # type: ignore[arg-type]
    return engine.search(ROWS[:1], chosen, far())[0].hits


def require_known(engine: Engine, ids: range) -> None:
    hits = hits_of(engine, with_signatures=True)
    assert sorted(hits.ids.tolist()) == list(ids)
    assert hits.signatures is not None
    for image_id, phash, has, signature in zip(
        hits.ids.tolist(), hits.phashes.tolist(), hits.has_phash().tolist(), hits.signatures, strict=True
    ):
        assert (phash if has else None, signature) == known(image_id)
    fetched = engine.fetch(None, [ImageId(one) for one in ids])
    assert [(one.phash, one.signature) for one in fetched] == [known(one) for one in ids]


def test_they_outlive_heads_segments_merges_and_restarts(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    for ids in (range(1, 21), range(21, 41), range(41, 60)):
        engine.apply(records(ids))
        require_known(engine, range(1, ids.stop))
        engine.checkpoint(engine.freeze(), {})
        require_known(engine, range(1, ids.stop))
    maintain(engine)
    engine.checkpoint(engine.freeze(), {})
    require_known(engine, range(1, 60))
    require_known(opened(tmp_path), range(1, 60))


def test_nobody_is_sent_what_was_not_asked_for(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    engine.apply(records(range(1, 21)))
    assert hits_of(engine).signatures is None
    engine.checkpoint(engine.freeze(), {})
    engine.apply(records(range(21, 30)))
    assert hits_of(engine).signatures is None


def test_segments_of_an_earlier_version_open_and_merge(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    engine.apply([replace(one, signature=b"", phash=one.phash or None) for one in records(range(1, 31))])
    engine.checkpoint(engine.freeze(), {})
    as_of_an_earlier_version(tmp_path, "signatures")

    engine = opened(tmp_path)
    assert not engine.dropped_segments
    hits = hits_of(engine, with_signatures=True)
    assert hits.signatures == (b"",) * 30
    assert {one for one, has in zip(hits.ids.tolist(), hits.has_phash().tolist(), strict=True) if has} == {
        one for one in range(1, 31) if known(one)[0]
    }
    engine.apply(records(range(31, 60)))
    engine.checkpoint(engine.freeze(), {})
    maintain(engine)
    assert engine.counts().segments == 1
    fetched = engine.fetch(None, [ImageId(one) for one in (5, 35)])
    assert [one.signature for one in fetched] == [b"", known(35)[1]]


def test_a_signature_has_a_bound(tmp_path: Path) -> None:
    with pytest.raises(InvalidQuery) as caught:
        opened(tmp_path).apply([replace(record(1, np.eye(1, DIM)), signature=b"\x01" * 2_000)])
    assert caught.value.field == "signature"
