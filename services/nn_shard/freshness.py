"""How long ago a replica was last known to hold everything that the log had: one bound for every way to fall behind."""

import time
from collections.abc import Callable, Mapping


class Freshness:
    """Compares how far the log went, as it was told at a moment, with how far the replica has read since.

    A slow disk, a consumer that hangs, a log that cannot be reached and a process that was stopped for a while all look
    alike here: the moment that is known to be covered stays behind the clock. Belongs to one event loop.
    """

    def __init__(self, bound_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._bound_seconds = bound_seconds
        self._now = now
        self._covered_at: float | None = None
        self._aim: tuple[float, Mapping[int, int]] | None = None

    @property
    def age_seconds(self) -> float:
        """Since the last moment up to which everything is known to be applied; infinity while there is none."""
        return float("inf") if self._covered_at is None else self._now() - self._covered_at

    @property
    def stale(self) -> bool:
        """Older than the bound."""
        return self.age_seconds > self._bound_seconds

    def log_ended_at(self, end: Mapping[int, int], asked_at: float) -> None:
        """end: offsets by bucket, read no earlier than asked_at. An earlier end stays the aim until it is reached."""
        if self._aim is None:
            self._aim = asked_at, end

    def applied(self, next_offsets: Mapping[int, int]) -> bool:
        """True when this covers the end that was aimed at, or one before."""
        if self._aim is not None and all(offset >= self._aim[1].get(b, 0) for b, offset in next_offsets.items()):
            self._covered_at, self._aim = self._aim[0], None
        return self._covered_at is not None

    def start_over(self) -> None:
        """Nothing is known any more: the log is replayed."""
        self._covered_at = self._aim = None
