"""A list in parts: each key once, a host in one part, a part with one process at a time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.catalog.interface import Catalog
from omma.catalog.sqlite import open_sqlite_catalog
from omma.description import RowLimits
from omma.errors import ReplicaDown
from omma.picture_list import Listed, listed
from services.worker.lists.parts import ListParts, PartLeases, host_of_line

LIMITS = RowLimits()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 200), st.booleans()), max_size=400))
def test_each_key_is_in_one_part_once_and_a_host_is_in_one(lines: list[tuple[int, int, bool]]) -> None:
    texts = [f"http://h{host}/{number}" if good else f"ftp://h{host}/{number}" for host, number, good in lines]
    content = "\n".join(texts).encode()
    parts = ListParts.of(content, LIMITS)
    found = [list(parts.lines(part)) for part in range(len(parts.starts))]
    every = [line for part in found for line in part]
    first = {line.key: line for line in reversed(list(listed(content, LIMITS))) if isinstance(line, Listed)}
    assert {line.key: line for line in every if isinstance(line, Listed)} == first
    assert len(every) == len(parts) == len(first) + sum(not good for _, _, good in lines)
    for part in found:
        assert [line.line for line in part] == sorted(line.line for line in part)
    hosts = [{host_of_line(line) for line in part if isinstance(line, Listed)} for part in found]
    assert sum(map(len, hosts)) == len(set().union(*hosts))
    assert len(found) <= max(1, min(64, len(every) // 32)) and all(found)


def test_a_host_is_its_name_and_its_port_however_they_are_spelled() -> None:
    texts = "http://A.org/1\nhttp://a.org:80/2\nhttps://a.org/3\nhttp://a.org:8080/4"
    hosts = [host_of_line(line) for line in listed(texts.encode(), LIMITS)]
    assert hosts[0] == hosts[1] and len(set(hosts)) == 3


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    opened = await open_sqlite_catalog(tmp_path / "catalog.db")
    yield opened
    await opened.close()


async def test_two_processes_never_work_on_a_part_at_once_and_both_see_all_of_it(catalog: Catalog) -> None:
    at_work: Counter[int] = Counter()
    seen: dict[str, list[int]] = {"one": [], "two": []}

    async def worker(name: str) -> None:
        async def work(part: int) -> None:
            at_work[part] += 1
            assert at_work[part] == 1
            await asyncio.sleep(0.005)
            at_work[part] -= 1
            seen[name].append(part)

        await PartLeases(catalog, "run", name, 30.0).each(8, work, 3)

    async with asyncio.timeout(60):
        await asyncio.gather(worker("one"), worker("two"))
    assert sorted(seen["one"]) == sorted(seen["two"]) == list(range(8))
    assert await catalog.acquire_lease("list/run/0", "three", 1.0), "they are left"


async def test_a_part_that_another_took_meanwhile_is_begun_again_when_it_is_free(catalog: Catalog) -> None:
    begun, ended = asyncio.Event(), 0

    async def work(part: int) -> None:
        nonlocal ended
        if begun.is_set():
            ended += 1
            return
        begun.set()
        await asyncio.sleep(600)

    task = asyncio.create_task(PartLeases(catalog, "run", "one", 0.3).each(1, work, 1))
    async with asyncio.timeout(60):
        await begun.wait()
        await catalog.release_lease("list/run/0", "one")
        assert await catalog.acquire_lease("list/run/0", "two", 1.0)
        await task
    assert ended == 1


async def test_what_a_part_raises_ends_them_all_and_leaves_the_leases(catalog: Catalog) -> None:
    async def work(part: int) -> None:
        if part == 1:
            raise ReplicaDown("The storage is away.")
        await asyncio.sleep(600)

    with pytest.raises(ReplicaDown):
        await PartLeases(catalog, "run", "one", 30.0).each(2, work, 2)
    for part in range(2):
        assert await catalog.acquire_lease(f"list/run/{part}", "two", 1.0)


async def test_who_is_cancelled_while_the_catalog_is_away_ends(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in place of the cancellation would have the whole list begun anew."""
    begun = asyncio.Event()

    async def work(part: int) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def away(*_: object) -> None:
        raise ReplicaDown("The catalog does not answer.")

    monkeypatch.setattr(catalog, "release_lease", away)
    task = asyncio.create_task(PartLeases(catalog, "run", "one", 30.0).each(2, work, 2))
    async with asyncio.timeout(60):
        await begun.wait()
        task.cancel()
        await asyncio.wait({task})
    assert task.cancelled()
