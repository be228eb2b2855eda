"""Who changed what: from the calls to the catalog, in batches. Never delays an answer."""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from omma.catalog.audit import AuditBook, AuditedCall
from omma.errors import OmmaError
from omma.telemetry.context import request_id
from omma.telemetry.metrics import AUDIT_LOST
from services.gateway.callers.changes import Change

_MAX_QUEUED: Final = 10_000
_BATCH: Final = 500
_MS_DIGITS: Final = 12
"""Of an id, in hex; ten more tell processes apart that write at the same time."""
_LINGER_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 1.0
_LAST_SECONDS: Final = 10.0
"""For what is left when the process ends."""

logger = logging.getLogger(__name__)


class AuditTrail:
    """Entries wait half a second for company. While the catalog is away, where changes are refused, 10,000 are kept;
    beyond that the oldest are lost, counted and logged. For one event loop.
    """

    def __init__(
        self,
        book: AuditBook,
        *,
        linger_seconds: float = _LINGER_SECONDS,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._book = book
        self._linger_seconds = linger_seconds
        self._now_ms = now_ms
        self._queue: deque[AuditedCall] = deque()
        self._sending: list[AuditedCall] = []
        """Have their ids, and may be in the catalog."""
        self._queued = asyncio.Event()

    def add(self, change: Change, call: str, outcome: str) -> None:
        """A call has ended. Nobody's is passed over: it changed nothing."""
        if change.caller is None:
            return
        if len(self._queue) >= _MAX_QUEUED:
            self._queue.popleft()
            AUDIT_LOST.inc()
        self._queue.append(
            AuditedCall(
                "",
                self._now_ms(),
                change.caller.tenant,
                change.caller.credential,
                change.caller.name,
                call,
                change.object.replace("\0", ""),
                outcome,
                request_id(),
            )
        )
        self._queued.set()

    async def run(self) -> None:
        """Move what is queued to the catalog until cancelled; then what is left."""
        try:
            while True:
                await self._queued.wait()
                await asyncio.sleep(self._linger_seconds)
                self._queued.clear()
                if not await self.flush():
                    await asyncio.sleep(_RETRY_SECONDS)
                    self._queued.set()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    while not await self.flush():  # noqa: ASYNC110  the catalog tells nobody that it is back
                        await asyncio.sleep(_RETRY_SECONDS)
            if left := self._left:
                AUDIT_LOST.inc(left)
                logger.error("who changed what was lost", extra={"count": left})

    async def flush(self) -> bool:
        """Once; whether all is in the catalog. What could not be told comes again, and is there once."""
        while self._left:
            try:
                self._sending = self._sending or await self._next()
                await self._book.add_audit(self._sending)
            except OmmaError as error:
                extra = {"count": self._left, "reason": repr(error)}
                logger.warning("who changed what waits for the catalog", extra=extra)
                return False
            self._sending = []
        return True

    @property
    def _left(self) -> int:
        return len(self._queue) + len(self._sending)

    async def _next(self) -> list[AuditedCall]:
        """Their ids rise from the newest that the catalog has, whatever clocks have done since."""
        newest = await self._book.audit(1)
        last_ms = max((int(one.id[:_MS_DIGITS], 16) for one in newest), default=0)
        batch: list[AuditedCall] = []
        while self._queue and len(batch) < _BATCH:
            entry = self._queue.popleft()
            last_ms = max(entry.at_ms, last_ms + 1)
            batch.append(replace(entry, id=f"{last_ms:0{_MS_DIGITS}x}{secrets.token_hex(5)}"))
        return batch
