"""Steps of rollouts on their way from the audit to the log: at least once, in order, whatever is away meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from omma.background import running
from omma.catalog.interface import Catalog
from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import ReplicaDown
from omma.log.interface import Producer
from omma.log.sqlite import SqliteLog
from omma.rollouts.event import ROLLOUTS_TOPIC
from omma.rollouts.walk import Step
from services.worker.rollouts.telling import tell_steps
from tests.contract.rollouts import CANDIDATE, LIVE, OTHER, ROLLOUT, TOLD, with_live_index


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    log = await SqliteLog.open(tmp_path / "log.db")
    yield log
    await log.close()


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    await with_live_index(catalog)
    yield catalog
    await catalog.close()


@asynccontextmanager
async def telling(catalog: Catalog, log: SqliteLog) -> AsyncIterator[None]:
    async with running(partial(tell_steps, catalog, log, 0.01)):
        yield


async def told(log: SqliteLog, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    async with asyncio.timeout(30):
        while True:
            if ROLLOUTS_TOPIC in {one.name for one in await log.topics()}:
                records = [record async for record in log.scan(ROLLOUTS_TOPIC)]
                assert {record.key for record in records} <= {ROLLOUT.id.encode()}
                events = [json.loads(record.value or b"") for record in records]
                if enough(events):
                    return events
            await asyncio.sleep(0.01)


async def test_each_step_is_told_with_who_and_why(catalog: Catalog, log: SqliteLog) -> None:
    await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    async with telling(catalog, log):
        await told(log, lambda events: len(events) == 1)
        await catalog.move_rollout(ROLLOUT.id, Step.SHADOW, TOLD)
        await told(log, lambda events: len(events) == 2)
    # While no worker runs they wait.
    await catalog.move_rollout(ROLLOUT.id, Step.CANARY, TOLD, 5.0)
    async with telling(catalog, log):
        events = await told(log, lambda events: len(events) == 3)
        assert await catalog.unsent_steps(10) == []
    audit = await catalog.rollout_audit(ROLLOUT.id)
    assert [one.pop("id") for one in events] == [1, 2, 3]
    assert events == [
        {
            "at_ms": entry.at_ms,
            "rollout": ROLLOUT.id,
            "name": "",
            "candidate": CANDIDATE.id,
            "control": LIVE.id,
            "model": OTHER.model,
            "step": entry.step,
            "state": entry.state,
            "by": "ann",
            "reason": "to see",
            "share": entry.share,
        }
        for entry in audit
    ]


async def test_a_log_that_is_away_and_a_crash_lose_nothing(
    catalog: Catalog, log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await catalog.start_rollout(ROLLOUT, OTHER, CANDIDATE, TOLD)
    faults = iter(["log", "catalog"])
    fault = next(faults)
    producer, mark = log.producer, catalog.mark_steps_sent

    async def away() -> Producer:
        nonlocal fault
        if fault == "log":
            fault = next(faults)
            raise ReplicaDown("Kafka is away.")
        return await producer()

    async def crashed(until: int) -> None:
        nonlocal fault
        if fault == "catalog":
            fault = ""
            raise ReplicaDown("PostgreSQL is away.")
        await mark(until)

    monkeypatch.setattr(log, "producer", away)
    monkeypatch.setattr(catalog, "mark_steps_sent", crashed)
    async with telling(catalog, log):
        await told(log, lambda events: [one["id"] for one in events] == [1, 1])
        await catalog.move_rollout(ROLLOUT.id, Step.SHADOW, TOLD)
        await told(log, lambda events: [one["id"] for one in events] == [1, 1, 2])
