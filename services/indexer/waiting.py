"""Pictures that wait to be embedded: each source in its order, sources in turn."""

import asyncio
import heapq
import itertools
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from omma.identity import ImageId, Tenant
from omma.persistence import LONGEST_WAIT_SECONDS
from services.indexer.taken import Taken

_OVERTAKEN_KEPT: Final = 1_024


class Source(NamedTuple):
    """Who sends, and from where: none waits for the backlog of another."""

    tenant: Tenant
    place: str


class Waiting:
    """Belongs to one event loop. Unbounded: who puts in counts. Holds events, no rows: they are read when it is time.

    A newer event of a picture takes the place of the older one, which gets no turn any more.
    """

    def __init__(self, retry_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        """retry_seconds: from a picture's first failure to its next turn; doubles, up to ten."""
        self._retry_seconds = retry_seconds
        self._now = now
        self._queues: OrderedDict[Source, deque[Taken]] = OrderedDict()
        self._later: list[tuple[float, int, Source, Taken]] = []
        self._order = itertools.count()
        self._held: dict[str, float] = {}
        self._newest: dict[ImageId, Taken] = {}
        self._overtaken = 0
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """Pictures that are known here: they wait, or are being looked at or embedded."""
        return len(self._newest)

    def know(self, taken: Taken, image_id: ImageId) -> Taken | None:
        """From now on this is the picture's newest event; returns the one that it overtakes."""
        older = self.forget(image_id)
        self._newest[image_id] = taken
        return older

    def forget(self, image_id: ImageId) -> Taken | None:
        """Another event settles the picture; returns the one that is known here, and is overtaken now."""
        older = self._newest.pop(image_id, None)
        if older is not None:
            older.overtaken = True
            self._overtaken += 1
            if self._overtaken > len(self._newest) + _OVERTAKEN_KEPT:
                self._sweep()
        return older

    def settled(self, taken: Taken) -> None:
        """The event needs no more turns."""
        if taken.event is not None and self._newest.get(taken.event.image_id) is taken:
            del self._newest[taken.event.image_id]

    def put(self, source: Source, taken: Taken) -> None:
        """Behind what its source has already."""
        self._queue(source).append(taken)
        self._changed.set()

    def put_back(self, source: Source, taken: Taken) -> None:
        """It failed, and not by its own fault: a turn later."""
        if taken.failing_since is None:
            taken.failing_since = self._now()
        wait = min(self._retry_seconds * 2**taken.failures, LONGEST_WAIT_SECONDS)
        taken.failures = min(taken.failures + 1, 30)
        heapq.heappush(self._later, (self._now() + wait, next(self._order), source, taken))
        self._changed.set()

    def hold(self, place: str, seconds: float) -> None:
        """Nothing of this place gets a turn for so long."""
        self._held[place] = self._now() + seconds
        self._changed.set()

    def is_held(self, place: str) -> bool:
        return self._held.get(place, 0.0) > self._now()

    async def turn(self, most: int) -> Sequence[tuple[Source, Taken]]:
        """Those whose turn it is: one of each source in rotation. Waits until there is one, or a place is held no
        longer: then there may be none.
        """
        while True:
            held = len(self._held)
            due = self._let_in()
            if (batch := self._next(most)) or len(self._held) < held:
                return batch
            self._changed.clear()
            try:
                async with asyncio.timeout(None if due is None else max(0.0, due - self._now())):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _next(self, most: int) -> list[tuple[Source, Taken]]:
        batch: list[tuple[Source, Taken]] = []
        free = deque(source for source in self._queues if source.place not in self._held)
        while free and len(batch) < most:
            source = free.popleft()
            queue = self._queues[source]
            if not (taken := queue.popleft()).overtaken:
                batch.append((source, taken))
            if queue:
                free.append(source)
                self._queues.move_to_end(source)
            else:
                del self._queues[source]
        return batch

    def _let_in(self) -> float | None:
        """What is due gets its turn; when the next one is."""
        now = self._now()
        while self._later and self._later[0][0] <= now:
            *_, source, taken = heapq.heappop(self._later)
            self._queue(source).append(taken)
        for place in [place for place, until in self._held.items() if until <= now]:
            del self._held[place]
        due = [*self._held.values(), *([self._later[0][0]] if self._later else [])]
        return min(due, default=None)

    def _sweep(self) -> None:
        """A picture that is changed over and over leaves nothing behind."""
        for source in list(self._queues):
            kept = deque(one for one in self._queues[source] if not one.overtaken)
            if kept:
                self._queues[source] = kept
            else:
                del self._queues[source]
        self._later = [one for one in self._later if not one[-1].overtaken]
        heapq.heapify(self._later)
        self._overtaken = 0

    def _queue(self, source: Source) -> deque[Taken]:
        return self._queues.setdefault(source, deque())
