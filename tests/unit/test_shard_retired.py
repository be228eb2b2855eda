"""A shard's process and its index in the catalog: only a row that says so retires it."""

import asyncio
import signal
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest

from omma.errors import ReplicaDown
from omma.index import DEFAULT_FACTORY, Index, IndexId, IndexState
from omma.space import SpaceId
from services.nn_shard.main import _serve, _until_retired

LIVE = Index(IndexId("m.1"), SpaceId("m"), DEFAULT_FACTORY, 1, IndexState.LIVE)
RETIRED = replace(LIVE, state=IndexState.RETIRED)


async def test_no_error_and_no_absence_retires_an_index() -> None:
    catalog: Any = MagicMock()
    said = [ReplicaDown("away"), RuntimeError('relation "indexes" does not exist'), [], [LIVE], [RETIRED], [LIVE]]
    catalog.indexes = AsyncMock(side_effect=said)
    await asyncio.wait_for(_until_retired(catalog, LIVE, 0.001), 5)
    assert catalog.indexes.await_count == said.index([RETIRED]) + 1


async def serve(until_retired: Any) -> bool:
    shard, server = MagicMock(), AsyncMock()
    shard.run = shard.replica.until_healthy = AsyncMock(side_effect=asyncio.Event().wait)
    return await asyncio.wait_for(_serve(shard, server, 0.0, until_retired), 5)


async def test_what_is_retired_ends_to_be_cleared_and_what_is_stopped_or_fails_does_not() -> None:
    assert await serve(AsyncMock())
    with pytest.raises(ExceptionGroup):
        await serve(AsyncMock(side_effect=RuntimeError("the catalog cannot be asked")))
    asyncio.get_running_loop().call_later(0.05, signal.raise_signal, signal.SIGTERM)
    assert not await serve(AsyncMock(side_effect=asyncio.Event().wait))
