"""A list in parts, and several processes on it: whoever holds a part's lease works on it.

All lines of a host lie in one part, so one process at a time speaks to it: its bounds and its circuit breaker need
nobody else (docs/adr/0024).
"""

import asyncio
import logging
from array import array
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Final

import numpy as np

from omma.catalog.interface import Catalog
from omma.description import RowLimits
from omma.errors import OmmaError, causes
from omma.fetching.fetcher import host_of, plain_url
from omma.picture_list import Listed, WrongLine, line_at, listed
from omma.together import together
from omma.vectors import Int64

_MOST: Final = 64
_LINES: Final = 32
"""Of a part at least: a short list has fewer parts, and writes fewer leases."""
_KEPT: Final = 6
"""Times within a lease."""
_LOOK_SECONDS: Final = 1.0
"""Between looks for a part that another process leaves."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ListParts:
    """Where the lines of a list begin, each key once. numbers, starts: int64[n], by part, none of them empty."""

    content: bytes
    limits: RowLimits
    numbers: tuple[Int64, ...]
    starts: tuple[Int64, ...]

    @classmethod
    def of(cls, content: bytes, limits: RowLimits) -> "ListParts":
        """The first line of a key counts. Blocks: about 15 µs a line."""
        numbers, starts, keys, places = array("q"), array("q"), array("Q"), array("Q")
        for line in listed(content, limits):
            numbers.append(line.line)
            starts.append(line.start)
            keys.append(_hash(line.key if isinstance(line, Listed) else f"line {line.line}"))
            places.append(_hash(host_of_line(line)))
        _, first = np.unique(np.array(keys, np.uint64), return_index=True)
        rows = np.sort(first)
        count = max(1, min(_MOST, len(rows) // _LINES))
        part_of = np.array(places, np.uint64)[rows] % np.uint64(count)
        chosen = [rows[part_of == part] for part in np.unique(part_of)]
        all_numbers, all_starts = np.array(numbers, np.int64), np.array(starts, np.int64)
        return cls(
            content,
            limits,
            tuple(all_numbers[one] for one in chosen),
            tuple(all_starts[one] for one in chosen),
        )

    def __len__(self) -> int:
        return sum(map(len, self.numbers))

    def lines(self, part: int) -> Iterator[Listed | WrongLine]:
        """In the order of the list."""
        for number, start in zip(self.numbers[part].tolist(), self.starts[part].tolist(), strict=True):
            yield line_at(self.content, number, start, self.limits)


def host_of_line(line: Listed | WrongLine) -> str:
    """Host and port that have to be asked for it; what names no host is in nobody's way."""
    if isinstance(line, WrongLine):
        return ""
    parsed = plain_url(line.place)
    return line.place if parsed is None else f"{host_of(parsed)}:{parsed.port or parsed.scheme}"


class PartLeases:
    """Of one run, for one process."""

    def __init__(self, catalog: Catalog, run: str, holder: str, lease_seconds: float) -> None:
        """holder: nobody else's in this run."""
        self._catalog = catalog
        self._run = run
        self._holder = holder
        self._lease_seconds = lease_seconds

    async def each(self, parts: int, work: Callable[[int], Awaitable[None]], at_once: int) -> None:
        """Do the work of each part, so many at a time, those first that nobody else is at work on.

        Another process may have done it before: what is left to do is the work's to know. A part whose lease was lost
        is begun again once its new holder leaves it. Raises what the work does.
        """
        left = deque(range(parts))
        await together(self._some(left, work) for _ in range(min(at_once, parts)))

    async def _some(self, left: "deque[int]", work: Callable[[int], Awaitable[None]]) -> None:
        in_vain = 0
        while left:
            part = left.popleft()
            if await self._claim(part) and await self._held(part, partial(work, part)):
                in_vain = 0
                continue
            left.append(part)
            in_vain += 1
            if in_vain >= len(left):
                await asyncio.sleep(_LOOK_SECONDS)
                in_vain = 0

    async def _held(self, part: int, work: Callable[[], Awaitable[None]]) -> bool:
        """Whether the part was held until its work was done."""
        task = asyncio.ensure_future(work())
        try:
            while not (await asyncio.wait({task}, timeout=self._lease_seconds / _KEPT))[0]:
                if not await self._claim(part):
                    return False
            await task
            return True
        finally:
            task.cancel()
            await asyncio.wait({task})
            await self._release(part)

    async def _claim(self, part: int) -> bool:
        return await self._catalog.acquire_lease(self._name(part), self._holder, self._lease_seconds)

    async def _release(self, part: int) -> None:
        """While the catalog is away it ends by itself: an error here would take a cancellation's place."""
        try:
            await self._catalog.release_lease(self._name(part), self._holder)
        except OmmaError as error:
            logger.warning("a part of a list is not given back", extra={"part": part, "reason": causes(error)})

    def _name(self, part: int) -> str:
        return f"list/{self._run}/{part}"


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
