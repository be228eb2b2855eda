"""The log is compacted now and then, also after an attempt that failed."""

import asyncio
from typing import cast

from omma.errors import Overloaded
from omma.log.interface import Log
from services.standalone.housekeeping import clean


class Busy:
    """A log that is held by another process at first."""

    def __init__(self) -> None:
        self.asked = 0
        self.compacted = asyncio.Event()

    async def compact(self) -> None:
        self.asked += 1
        if self.asked == 1:
            raise Overloaded("another process holds it")
        self.compacted.set()


async def test_compacts_again_after_a_failure() -> None:
    log = Busy()
    cleaning = asyncio.create_task(clean(cast(Log, log), 0.0))
    async with asyncio.timeout(10):
        await log.compacted.wait()
    cleaning.cancel()
