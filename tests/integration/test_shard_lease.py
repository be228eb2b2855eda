"""A lease of the real catalog, held while work is done."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omma.catalog.interface import Catalog
from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import ReplicaDown
from services.nn_shard.lease import Lease, LeaseLost


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    yield catalog
    await catalog.close()


async def test_work_longer_than_the_lease_keeps_it(catalog: Catalog) -> None:
    one, other = Lease(catalog, "snapshot", "one", 1.5), Lease(catalog, "snapshot", "other", 1.5)
    tries: list[bool] = []

    async def work() -> str:
        until = asyncio.get_running_loop().time() + 3.5
        while asyncio.get_running_loop().time() < until:
            tries.append(await other.acquire())
            await asyncio.sleep(0.05)
        return "done"

    assert await one.acquire()
    assert await one.run(work()) == "done"
    assert len(tries) > 3
    assert not any(tries)
    await one.release()
    assert await other.acquire()


async def test_work_whose_lease_another_has_taken_is_stopped(catalog: Catalog) -> None:
    lease = Lease(catalog, "codebook", "one", 0.3)
    cancelled = asyncio.Event()

    async def work() -> None:
        # As after a stop of the process: the catalog's lease has ended, and another holder has it.
        await catalog.release_lease("codebook", "one")
        assert await catalog.acquire_lease("codebook", "other", 60)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    assert await lease.acquire()
    with pytest.raises(LeaseLost):
        await lease.run(work())
    assert cancelled.is_set()


async def test_who_was_stopped_longer_than_the_lease_has_lost_it_even_if_nobody_took_it(catalog: Catalog) -> None:
    seconds = 0.0
    lease = Lease(catalog, "snapshot", "one", 60, lambda: seconds)
    assert await lease.acquire()
    lease.require()
    seconds = 60.0
    with pytest.raises(LeaseLost):
        lease.require()


async def test_what_the_work_raises_comes_out(catalog: Catalog) -> None:
    lease = Lease(catalog, "snapshot", "one", 60)

    async def work() -> None:
        raise OSError("full")

    assert await lease.acquire()
    with pytest.raises(OSError, match="full"):
        await lease.run(work())


async def test_who_is_cancelled_while_the_catalog_is_away_ends(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease, held = Lease(catalog, "codebook", "one", 30.0), asyncio.Event()

    async def away(*_: object) -> None:
        raise ReplicaDown("The catalog does not answer.")

    async def hold() -> None:
        assert await lease.acquire()
        held.set()
        try:
            await asyncio.Event().wait()
        finally:
            await lease.release()

    monkeypatch.setattr(catalog, "release_lease", away)
    task = asyncio.create_task(hold())
    await held.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
