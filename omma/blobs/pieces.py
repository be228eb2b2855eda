"""Bytes that are read piece by piece, on whatever threads their backend has."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Final

PIECE_BYTES: Final = 1 << 20


async def pieces(run: Callable[[Callable[[], Any]], Awaitable[Any]], opened: Callable[[], Any]) -> AsyncIterator[bytes]:
    """Of what `opened` opens to read, at most PIECE_BYTES each; closed at the end. run: where it may block."""
    body = await run(opened)
    try:
        while piece := await run(partial(body.read, PIECE_BYTES)):
            yield piece
    finally:
        body.close()
