"""The stamp of a checkpoint: what it takes to go on from one, and that nothing less is accepted."""

from dataclasses import replace
from typing import Any

import pytest

from omma.errors import Corrupt
from services.nn_shard.checkpoint import Source, Stamp

SOURCE = Source(log="log-1", topic="omma.vectors.s", shard=1, shards=4, buckets=16)
STAMP = Stamp(SOURCE, {4: 10, 5: 0, 6: 7, 7: 3})
END = dict.fromkeys(range(16), 10)


def test_comes_back_as_it_was() -> None:
    assert Stamp.from_json(STAMP.to_json()) == STAMP


def test_goes_on_with_the_same_log() -> None:
    STAMP.require(SOURCE, {}, END)


@pytest.mark.parametrize(
    "other",
    [
        {"log": "log-2"},
        {"topic": "omma.vectors.t"},
        {"shard": 2},
        {"shards": 2, "shard": 1},
        {"buckets": 32},
    ],
)
def test_another_log_topic_or_place_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(Corrupt):
        STAMP.require(replace(SOURCE, **other), {}, dict.fromkeys(range(32), 10))


def test_an_offset_that_the_log_has_no_more_or_not_yet_is_refused() -> None:
    with pytest.raises(Corrupt, match="bucket 5"):
        STAMP.require(SOURCE, {5: 1}, END)
    with pytest.raises(Corrupt, match="bucket 4"):
        STAMP.require(SOURCE, {}, {**END, 4: 9})


@pytest.mark.parametrize(
    "damage",
    [
        {"format": 0},
        {"next_offsets": [1, 2]},
        {"next_offsets": [1, 2, 3, "x"]},
        {"buckets": "many"},
    ],
)
def test_what_cannot_be_read_is_corrupt(damage: dict[str, Any]) -> None:
    with pytest.raises(Corrupt):
        Stamp.from_json({**STAMP.to_json(), **damage})
    with pytest.raises(Corrupt):
        Stamp.from_json({})
