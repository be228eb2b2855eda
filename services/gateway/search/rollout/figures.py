"""What this gateway counts of a rollout's arms, a minute at a time; to the catalog every few seconds."""

import asyncio
import hashlib
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from omma.catalog.judgement import JudgementBook
from omma.errors import OmmaError
from omma.identity import Tenant
from omma.judging.breaker import Breaker
from omma.judging.tally import SHADOW, TRIPPED, Answer, ArmMinute, Tally, of_search, of_shadowed
from omma.rollouts.arms import Arm, Variant
from omma.rollouts.gates import TARGET_RECALL
from omma.telemetry.metrics import ROLLOUT_TRIPPED
from services.topology.indexes import ServedIndexes

EVERY_SECONDS: Final = 5.0
_PUT_SECONDS: Final = 4.0
_MAX_CALLERS: Final = 100_000
"""Told apart in a minute; what comes from others is counted whether or not they were counted before."""
_KEPT_MINUTES: Final = 60

logger = logging.getLogger(__name__)


class _Minute(NamedTuple):
    """As an ArmMinute has it."""

    minute: int
    arm: str
    stage: int


class ArmFigures:
    """Counting never waits or fails; what the catalog was not told is kept an hour. Belongs to one event loop."""

    def __init__(
        self, catalog: JudgementBook, indexes: ServedIndexes, name: str, *, clock: Callable[[], float] | None = None
    ) -> None:
        """name: this gateway's, no other's. clock: seconds since 1970 that never go back; None: as this machine has
        them now, whatever it is set to later.
        """
        self._catalog = catalog
        self._indexes = indexes
        # A minute is told as a whole: a process that begins again within one has another whole to tell.
        self._name = f"{name}/{secrets.token_hex(4)}"
        self._clock = clock or _steady()
        self._step: tuple[str, int] = ("", 0)
        self._first_minute = 0
        self._counts: dict[_Minute, Tally] = {}
        self._counted: set[bytes] = set()
        self._counted_minute = 0
        self._breaker = Breaker()

    def searched(self, variant: Variant, tenant: Tenant, caller: str, answer: Answer | None) -> None:
        """One search of an arm. answer: None when it failed, and not by the caller's fault.

        A caller counts once a minute and arm. Where too many of the candidate's searches fail, this gateway stops
        asking it. A page of a rollout that is over counts for none.
        """
        if not self._follow(variant.rollout):
            return
        self._trip(variant, failed=answer is None)
        if self._is_first(variant.arm, tenant, caller):
            self._count(variant.arm, of_search(answer))

    def repeated(self, variant: Variant, recall: float) -> None:
        """One search of an arm that was repeated exactly."""
        if self._follow(variant.rollout):
            self._count(variant.arm, Counter({"recall_of": 1, "recall": int(recall < TARGET_RECALL)}))

    def shadowed(self, rollout: str, live: Answer, candidate: Answer | None) -> None:
        """One search that the candidate was asked after the answer had gone out; None: it failed."""
        if self._follow(rollout):
            self._count(SHADOW, of_shadowed(live, candidate))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Once. What could not be told is told again, for an hour."""
        now, rollout = self._now(), self._step[0]
        self._counts = {at: counts for at, counts in self._counts.items() if at.minute > now - _KEPT_MINUTES}
        rows = [ArmMinute(at.minute, at.arm, Counter(counts), at.stage) for at, counts in self._counts.items()]
        if not rows:
            return
        try:
            async with asyncio.timeout(_PUT_SECONDS):
                await self._catalog.put_arm_minutes(rollout, self._name, rows)
        except (OmmaError, OSError, TimeoutError) as error:
            logger.warning("a rollout's figures wait for the catalog", extra={"reason": repr(error)})
            return
        if rollout == self._step[0]:
            self._counts = {at: counts for at, counts in self._counts.items() if at.minute >= now}

    def _follow(self, rollout: str) -> bool:
        """Whether it is the one that runs."""
        stage = self._indexes.stage(rollout)
        if stage is None:
            return False
        step = (rollout, stage)
        if step[0] != self._step[0]:
            self._counts = {}
        if step != self._step:
            # A minute's counts are of one step: what comes after it is told with the next minute's.
            self._first_minute = max((at.minute + 1 for at in self._counts), default=self._first_minute)
            self._step, self._breaker = step, Breaker()
            self._counted.clear()
        return True

    def _is_first(self, arm: str, tenant: Tenant, caller: str) -> bool:
        """Of this caller in this arm and minute."""
        if self._counted_minute != (now := self._now()):
            self._counted_minute = now
            self._counted.clear()
        who = hashlib.blake2b("\0".join((arm, tenant, caller)).encode(errors="replace"), digest_size=8).digest()
        if who in self._counted:
            return False
        if len(self._counted) < _MAX_CALLERS:
            self._counted.add(who)
        return True

    def _count(self, arm: str, counts: Tally) -> None:
        self._counts.setdefault(_Minute(self._now(), arm, self._step[1]), Counter()).update(counts)

    def _trip(self, variant: Variant, *, failed: bool) -> None:
        if not self._breaker.answered(of_candidate=variant.arm is Arm.CANDIDATE, failed=failed):
            return
        self._indexes.trip(variant.rollout)
        self._count(variant.arm, Counter({TRIPPED: 1}))
        ROLLOUT_TRIPPED.inc()
        logger.error("too many searches of the candidate fail: it is asked no more", extra={"rollout": variant.rollout})

    def _now(self) -> int:
        return max(int(self._clock() // 60), self._first_minute)


def _steady() -> Callable[[], float]:
    began = time.time() - time.monotonic()
    return lambda: began + time.monotonic()
