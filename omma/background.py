"""Work that runs beside a block, and ends with it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


@asynccontextmanager
async def running(*parts: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run the parts until the block ends, then cancel them and wait. A part that fails ends the block with its error.

    An error of the block stays what it is: no group around it.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            started = [tasks.create_task(_run(part), name=getattr(part, "__qualname__", "part")) for part in parts]
            yield
            for task in started:
                task.cancel()
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        raise group.exceptions[0] from None


async def _run(part: Callable[[], Awaitable[None]]) -> None:
    await part()
