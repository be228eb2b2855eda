"""What the log says of a slow search, and what it never says."""

import json
import logging
from typing import Any, cast

import pytest

from omma.errors import OutOfTime
from services.gateway.search.query import SearchQuery, SoughtPicture, SoughtUrl, SoughtWords
from services.gateway.search.slow import SlowSearches
from tests.unit.search_world import ANN, World

QUERY = SearchQuery(
    (SoughtWords("471147114711"), SoughtPicture(b"815815815815")), user_id="zoe", session="a session", k=3
)


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "services.gateway.search.slow"]


async def test_a_slow_search_is_told_by_stages_without_what_was_sought(caplog: pytest.LogCaptureFixture) -> None:
    world = World(cast(Any, None))
    for least_ms, words, told in ((0.0, False, 0), (600_000.0, False, 0), (0.000_1, False, 1), (0.000_1, True, 1)):
        caplog.clear()
        world.core._slow = SlowSearches(least_ms, with_words=words)
        answer = await world.core.search(ANN, QUERY)
        assert len(lines(caplog)) == told
        for record in lines(caplog):
            said = vars(record)
            assert said["query_id"] == answer.query_id and said["latency_ms"] == answer.latency_ms
            assert said["stages_ms"]["search"] > 0 and said["sought"] == ["words", "picture"]
            whole = json.dumps(said, default=repr)
            assert ("471147114711" in whole) is words
            assert not any(one in whole for one in ("815815815815", "zoe", "a session"))


def test_one_that_ran_out_of_time_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    SlowSearches(1.0).ended(ANN, SearchQuery((SoughtUrl("https://inner.example/secret.jpg"),)))
    (record,) = lines(caplog)
    assert vars(record)["sought"] == ["url"] and "secret" not in json.dumps(vars(record), default=repr)
    assert OutOfTime.kind
