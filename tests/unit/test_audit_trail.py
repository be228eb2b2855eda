"""The audit trail while the catalog is away, and at the end of a process."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from omma.catalog.api_key import Role
from omma.catalog.audit import AuditedCall
from omma.errors import ReplicaDown
from omma.identity import Tenant
from services.gateway.callers import audit
from services.gateway.callers.audit import AuditTrail
from services.gateway.callers.auth import Caller
from services.gateway.callers.changes import Change, concerns, made_by, noting

ANN = Caller(Tenant("ann"), Role.WRITE, "ann", "key:1")


class Book:
    def __init__(self) -> None:
        self.kept: list[AuditedCall] = []
        self.away = False

    async def add_audit(self, entries: Sequence[AuditedCall]) -> None:
        if self.away:
            raise ReplicaDown("away")
        self.kept += entries

    async def audit(self, limit: int) -> list[AuditedCall]:
        if self.away:
            raise ReplicaDown("away")
        return sorted(self.kept, key=lambda one: one.id, reverse=True)[:limit]


def trail(book: Book) -> AuditTrail:
    given: Any = book
    return AuditTrail(given, linger_seconds=3_600)


async def test_what_waits_is_written_when_the_process_ends() -> None:
    book = Book()
    one = trail(book)
    running = asyncio.create_task(one.run())
    for number in range(1_200):
        one.add(Change(ANN, f"picture {number}"), "POST /images", "201")
    one.add(Change(), "POST /images", "401")
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [entry.object for entry in book.kept] == [f"picture {number}" for number in range(1_200)]
    assert len({entry.id for entry in book.kept}) == 1_200


async def test_while_the_catalog_is_away_the_newest_are_kept(monkeypatch: Any) -> None:
    monkeypatch.setattr(audit, "_MAX_QUEUED", 10)
    book = Book()
    one = trail(book)
    book.away = True
    for number in range(25):
        one.add(Change(ANN, str(number)), "POST /images", "201")
    assert not await one.flush()
    book.away = False
    assert await one.flush()
    assert [entry.object for entry in book.kept] == [str(number) for number in range(15, 25)]


async def test_entries_are_in_the_order_in_which_they_came_whatever_clocks_do() -> None:
    book = Book()
    # Back, far ahead, standing still; a second process whose clock is an hour behind; and one that is started anew.
    clocks = ([5_000, 5_000, 4_000, 90_000, 90_000, 6_000], [3_000, 3_001], [7_000])
    for process, clock in enumerate(clocks):
        times = iter(clock)
        one = AuditTrail(cast(Any, book), now_ms=lambda times=times: next(times))
        for number in range(len(clock)):
            one.add(Change(ANN, f"{process} {number}"), "POST /images", "201")
            if number % 2:
                assert await one.flush()
        assert await one.flush()
    every = [f"{process} {number}" for process, clock in enumerate(clocks) for number in range(len(clock))]
    newest_first = await book.audit(100)
    assert [entry.object for entry in newest_first] == every[::-1]
    assert [entry.at_ms for entry in newest_first[::-1]] == [at for clock in clocks for at in clock]
    assert {len(entry.id) for entry in newest_first} == {22}


async def test_what_could_not_be_told_comes_again_with_the_id_that_it_had() -> None:
    book = Book()
    one = trail(book)
    one.add(Change(ANN, "1"), "POST /images", "201")
    add = book.add_audit

    async def added_and_away(entries: Sequence[AuditedCall]) -> None:
        await add(entries)
        raise ReplicaDown("whether it was added is not known")

    book.add_audit = added_and_away  # type: ignore[method-assign]
    assert not await one.flush()
    book.add_audit = add  # type: ignore[method-assign]
    assert await one.flush()
    assert len(book.kept) == 2 and len({entry.id for entry in book.kept}) == 1


async def test_what_is_noted_stays_with_its_call() -> None:
    async def call(number: int) -> Change:
        with noting() as change:
            await asyncio.sleep(0)
            made_by(ANN)
            await asyncio.create_task(asyncio.sleep(0))
            concerns("picture", number)
        return change

    found = await asyncio.gather(*map(call, range(20)))
    assert [one.object for one in found] == [f"picture {number}" for number in range(20)]
    concerns("picture", 1)  # outside of a call nobody notes
