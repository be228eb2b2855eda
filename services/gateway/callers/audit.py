"""Who changed what: from the calls to the catalog, in batches. Never delays an answer."""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from omma.catalog.audit import AuditBook, AuditedCall
from omma.errors import OmmaError
from omma.telemetry.context import request_id
from omma.telemetry.metrics import AUDIT_LOST
from services.gateway.callers.changes import Change

_MAX_QUEUED: Final = 10_000
_BATCH: Final = 500
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
        self._queued = asyncio.Event()

    def add(self, change: Change, call: str, outcome: str) -> None:
        """A call has ended. Nobody's is passed over: it changed nothing."""
        if change.caller is None:
            return
        if len(self._queue) >= _MAX_QUEUED:
            self._queue.popleft()
            AUDIT_LOST.inc()
        now_ms = self._now_ms()
        self._queue.append(
            AuditedCall(
                f"{now_ms:012x}{secrets.token_hex(5)}",
                now_ms,
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
            if self._queue:
                AUDIT_LOST.inc(len(self._queue))
                logger.error("who changed what was lost", extra={"count": len(self._queue)})

    async def flush(self) -> bool:
        """Once; whether all is in the catalog. What could not be told comes again, and is there once."""
        while self._queue:
            batch = [self._queue[at] for at in range(min(_BATCH, len(self._queue)))]
            try:
                await self._book.add_audit(batch)
            except OmmaError as error:
                extra = {"count": len(self._queue), "reason": repr(error)}
                logger.warning("who changed what waits for the catalog", extra=extra)
                return False
            for entry in batch:
                if self._queue and self._queue[0] is entry:
                    self._queue.popleft()
        return True
