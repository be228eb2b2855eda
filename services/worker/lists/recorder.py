"""Rows and what came of their lines, written for as many lines as wait: one commit a line would be the brake."""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

from omma.catalog.download import TAKEN, Download, Taken
from omma.catalog.interface import Catalog
from omma.catalog.picture import Change, NewPicture
from omma.description import readable
from omma.identity import Tenant
from omma.outbox import Outbox
from omma.room import NO_ROOM, OVER_QUOTA

_AT_ONCE: Final = 64
OUTCOMES: Final = {
    Change.CREATED: Taken.CREATED,
    Change.CHANGED: Taken.CHANGED,
    Change.SAME: Taken.UNCHANGED,
    Change.LEFT_DELETED: Taken.LEFT_DELETED,
    Change.OVER_QUOTA: OVER_QUOTA,
}


def count(counts: Counter[str], outcome: str, number: int) -> None:
    """Add so many lines of an outcome to a job's counts."""
    counts["looked_at"] += number
    counts[outcome if outcome in TAKEN else "unreadable"] += number


@dataclass(frozen=True, slots=True)
class _Waiting:
    download: Download
    picture: NewPicture | None
    written: "asyncio.Future[str]"


class Recorder:
    """`run` beside those who write. A line's key must not be written twice at once."""

    def __init__(self, catalog: Catalog, outbox: Outbox, tenant: Tenant, *, revive: bool) -> None:
        self._catalog = catalog
        self._outbox = outbox
        self._tenant = tenant
        self._revive = revive
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()

    async def write(self, download: Download, picture: NewPicture | None = None) -> str:
        """Row, event and record are durable when it returns. picture: None for a failure, which has its outcome.

        Returns the outcome. Raises OmmaError.
        """
        waiting = _Waiting(download, picture, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(waiting)
        return await waiting.written

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            batch = [await self._queue.get()]
            while len(batch) < _AT_ONCE and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                outcomes = await self._write(batch)
            except Exception as error:  # noqa: BLE001  whoever waits raises it
                for one in batch:
                    if not one.written.done():
                        one.written.set_exception(error)
            else:
                for one, outcome in zip(batch, outcomes, strict=True):
                    if not one.written.done():
                        one.written.set_result(outcome)

    async def _write(self, batch: list[_Waiting]) -> list[str]:
        taken = [one for one in batch if one.picture is not None]
        changes = await self._catalog.upsert(
            self._tenant, [one.picture for one in taken if one.picture is not None], revive=self._revive
        )
        await self._outbox.send(changes)
        outcome_of = {
            one.download.key: str(OUTCOMES[change.change]) for one, change in zip(taken, changes, strict=True)
        }
        outcomes = [outcome_of.get(one.download.key, one.download.outcome) for one in batch]
        await self._catalog.record_downloads(
            self._tenant,
            [_ended(one.download, outcome) for one, outcome in zip(batch, outcomes, strict=True)],
        )
        return outcomes


def _ended(download: Download, outcome: str) -> Download:
    if outcome == OVER_QUOTA:  # without its bytes' name, so that the next run does not look for them
        return replace(download, outcome=outcome, reason=NO_ROOM, sha256=None)
    return replace(download, outcome=outcome, reason=readable(download.reason))
