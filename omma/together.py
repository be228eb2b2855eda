"""Work side by side that ends together."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def together(works: Iterable[Awaitable[T]]) -> list[T]:
    """What each gave, in order. When one fails the others are cancelled and awaited, and its error is raised as it is:

    of several that failed, the first in order.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_result(work)) for work in works]
    except BaseExceptionGroup:
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error from None
        raise
    return [task.result() for task in tasks]


async def _result(work: Awaitable[T]) -> T:
    return await work
