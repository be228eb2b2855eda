"""What the audit log keeps no longer."""

import asyncio
import random
import time
from functools import partial
from typing import Final

from omma.catalog.audit import AuditBook
from omma.persistence import persist

_EVERY_SECONDS: Final = 3_600.0
_MAX_PAUSE_SECONDS: Final = 30.0
_DAY_MS: Final = 86_400_000


async def forget_audit(book: AuditBook, kept_days: int) -> None:
    """Once an hour, until cancelled: what lies more than kept_days back goes."""
    while True:
        before_ms = time.time_ns() // 1_000_000 - kept_days * _DAY_MS
        await persist("the audit log's end", partial(book.forget_audit, before_ms), _MAX_PAUSE_SECONDS)
        await asyncio.sleep(random.uniform(0.5, 1.0) * _EVERY_SECONDS)
