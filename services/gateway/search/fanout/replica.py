"""One replica as the gateway has come to know it."""

from enum import IntEnum
from typing import Final

from services.gateway.search.fanout.settings import FanoutSettings
from services.nn_shard.client import ShardClient

_HISTORY_BITS: Final = 32
_HISTORY: Final = (1 << _HISTORY_BITS) - 1
_LEAST_HISTORY: Final = 16
_LEAST_ANSWERS: Final = 20
_MEAN_WEIGHT: Final = 0.1


class Standing(IntEnum):
    """Replicas of the best standing at hand are asked; the others only when there is none."""

    GOOD = 0
    STALE = 1
    EJECTED = 2
    UNREACHABLE = 3


class Replica:
    """What is counted of one replica, and whether it is ejected. Times are seconds of one clock, given by callers."""

    def __init__(self, number: int, client: ShardClient, settings: FanoutSettings) -> None:
        self.number = number
        self.client = client
        self.in_flight = 0
        self.ejected = False
        self.stale = False
        self.being_looked_at = False
        self.look_at = 0.0
        """When an ejected or stale one is looked at again."""
        self.answered_at = float("-inf")
        self.applied = 0
        self.failures = 0
        """In a row."""
        self._mean_seconds = 0.0
        self._settings = settings
        self._answers = 0
        self._calls = 0
        self._failed = 0
        self._ejections = 0
        self._readmitted_at = float("-inf")

    @property
    def standing(self) -> Standing:
        if not self.client.connected:
            return Standing.UNREACHABLE
        if self.ejected:
            return Standing.EJECTED
        return Standing.STALE if self.stale else Standing.GOOD

    @property
    def full(self) -> bool:
        """As many calls are under way as may be."""
        return self.in_flight >= self._settings.max_in_flight

    @property
    def mean_seconds(self) -> float | None:
        """What answers took of late; None while too few are known."""
        return self._mean_seconds if self._answers >= _LEAST_ANSWERS else None

    def answered(self, at: float, seconds: float | None) -> None:
        """seconds: how long it took; None when it says nothing of the replica's speed."""
        self.answered_at = at
        self.failures = 0
        self._remember(failed=False)
        if seconds is not None:
            self.took(seconds)

    def took(self, seconds: float) -> None:
        """An answer took this long, or a call this long at least before it was given up."""
        weight = _MEAN_WEIGHT if self._answers else 1.0
        self._answers += 1
        self._mean_seconds += weight * (seconds - self._mean_seconds)

    def failed(self) -> None:
        self.failures += 1
        self._remember(failed=True)

    def why_eject(self, fastest_sibling_seconds: float | None) -> str | None:
        """The reason for which it should be ejected now; None when there is none."""
        settings = self._settings
        if self.failures >= settings.eject_failures:
            return "failures"
        if self._calls >= _LEAST_HISTORY:
            share = self._failed.bit_count() / min(self._calls, _HISTORY_BITS)
            if share >= settings.eject_failed_share and self.failures:
                return "failed_share"
        own, sibling = self.mean_seconds, fastest_sibling_seconds
        if own is None or sibling is None:
            return None
        slow = own > settings.eject_slower * sibling and own - sibling > settings.eject_slower_seconds
        return "slow" if slow else None

    def eject(self, now: float) -> None:
        """Not asked until a probe succeeds, which comes the later the more often it was ejected of late."""
        if now - self._readmitted_at > self._out_seconds():
            self._ejections = 0
        self._ejections += 1
        self.ejected = True
        self.look_at = now + self._out_seconds()

    def looked_at(self, now: float, *, well: bool) -> None:
        """well: an ejected one is asked again, on trial, so that one failure ejects it again; else it is out longer."""
        if not self.ejected:
            self.look_at = now + self._settings.eject_seconds
        elif well:
            self.ejected = False
            self._readmitted_at = now
            self.failures = self._settings.eject_failures - 1
            self._calls = self._failed = self._answers = 0
        else:
            self._ejections += 1
            self.look_at = now + self._out_seconds()

    def _out_seconds(self) -> float:
        settings = self._settings
        doubled = settings.eject_seconds * 2.0 ** min(max(0, self._ejections - 1), 32)
        return min(settings.eject_max_seconds, doubled)

    def _remember(self, *, failed: bool) -> None:
        self._calls += 1
        self._failed = (self._failed << 1 | failed) & _HISTORY
