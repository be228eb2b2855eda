"""The judge of the rollout that runs: every minute a look, under a lease, apart from all jobs."""

import asyncio
import logging
import math
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from omma.catalog.interface import Catalog
from omma.catalog.judgement import Fence, Judgement
from omma.catalog.rollout import Told
from omma.errors import WrongState
from omma.judging.moments import Moments
from omma.judging.tally import SHADOW, shadow_figures
from omma.judging.verdict import Decision, Verdict, interleaved_verdict, split_verdict
from omma.judging.watching import WATCH, Watched, after_minutes
from omma.persistence import persist
from omma.rollouts.arms import MAX_SHARE, Arm
from omma.rollouts.rollout import Mode, Rollout, RolloutState
from omma.rollouts.walk import Step
from omma.telemetry.metrics import ROLLOUT_DECISIONS

LEASE: Final = "rollout judge"
_LEASES_LOOKS: Final = 2.5
"""A lease outlives so many looks; then another worker judges."""
_MOST_MINUTES: Final = 20_000
"""Of gateways and arms, taken in at one look; after an outage the next looks take in the rest."""
_KEPT_MINUTES_SECONDS: Final = 3 * 86_400.0
_KEPT_FOLLOWERS_SECONDS: Final = 86_400.0
_DAYS_BEFORE: Final = 14
_KEPT_OVER_SECONDS: Final = 30 * 86_400.0
"""Of a rollout that is over: it may be taken up again."""
_FORGET_SECONDS: Final = 3_600.0
_DAY_MS: Final = 86_400_000

logger = logging.getLogger(__name__)


class Judge:
    """One of many that may run; whoever has the lease decides, and each decision checks the lease as it is written."""

    def __init__(
        self, catalog: Catalog, holder: str, every_seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """holder: this process. clock: seconds, of how often it forgets; what it judges goes by no clock of its own."""
        self._catalog = catalog
        self._fence = Fence(LEASE, f"{holder} {uuid.uuid4().hex[:12]}")
        self._every_seconds = every_seconds
        self._clock = clock
        self._forgot_at = -math.inf

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await persist("judging a rollout", self.look, self._every_seconds)
            await asyncio.sleep(self._every_seconds)

    async def look(self) -> None:
        """Once. Raises what the catalog raises."""
        ttl_seconds = _LEASES_LOOKS * self._every_seconds
        if not await self._catalog.acquire_lease(self._fence.lease, self._fence.holder, ttl_seconds):
            return
        await self._forget()
        rollout = (await self._catalog.routing()).running
        if rollout is None or rollout.state not in (RolloutState.SHADOW, RolloutState.CANARY):
            return
        try:
            await self._judge(rollout)
        except WrongState as error:
            # Somebody took a step meanwhile, or the lease: what was decided was of the state before it.
            logger.info("a judgement came too late", extra={"rollout": rollout.id, "reason": error.detail})

    async def _forget(self) -> None:
        """What no judgement needs any more, and who follows no routing; once an hour, whether or not anything runs."""
        now = self._clock()
        if now - self._forgot_at >= _FORGET_SECONDS:
            self._forgot_at = now
            await self._catalog.forget_callers(_KEPT_OVER_SECONDS)
            await self._catalog.drop_arm_minutes(_KEPT_MINUTES_SECONDS)
            await self._catalog.forget_followers(_KEPT_FOLLOWERS_SECONDS)

    async def _judge(self, rollout: Rollout) -> None:
        known, stage = self._known(rollout), rollout.changed_at_ms
        minutes = await self._catalog.arm_minutes(rollout.id, stage, _MOST_MINUTES)
        known, harm = after_minutes(known, [one.news for one in minutes])
        figures: dict[str, Any] = {WATCH: known.document()}
        if rollout.state is RolloutState.SHADOW:
            figures["shadow"] = shadow_figures(known.totals.get(SHADOW, Counter()))
            await self._catalog.judge_rollout(rollout.id, self._fence, Judgement(stage, figures, minutes))
            return
        if "before" not in rollout.figures:
            figures["before"] = {"days": await self._remember_before(rollout)}
        verdict = await self._verdict(rollout, harm)
        figures["canary"] = {
            "arms": {arm: {"searches": n["searches"], "errors": n["errors"]} for arm, n in known.totals.items()},
            **verdict.figures,
        }
        figures["verdict"] = {"verdict": verdict.decision.value, "reasons": list(verdict.reasons)}
        step = _step(rollout, verdict)
        told = Told("judge", "; ".join(verdict.reasons), {part: figures[part] for part in ("canary", "verdict")})
        await self._catalog.judge_rollout(rollout.id, self._fence, Judgement(stage, figures, minutes, step, told))
        if step is not None:
            ROLLOUT_DECISIONS.labels(step.value).inc()
            logger.error("the judge took a step", extra={"rollout": rollout.id, "step": step.value, "why": told.reason})

    def _known(self, rollout: Rollout) -> Watched:
        """What was watched since the rollout's last step: another state, or another share, is another comparison."""
        kept = rollout.figures.get(WATCH)
        if kept and kept["since_ms"] == rollout.changed_at_ms:
            return Watched.of(kept)
        return Watched(rollout.changed_at_ms)

    async def _remember_before(self, rollout: Rollout) -> int:
        today = rollout.changed_at_ms // _DAY_MS
        for day in range(today - _DAYS_BEFORE, today):
            await self._catalog.remember_before(rollout.id, day)
        return _DAYS_BEFORE

    async def _verdict(self, rollout: Rollout, harm: tuple[str, ...]) -> Verdict:
        moments = await self._catalog.arm_moments(rollout.id, rollout.changed_at_ms)
        nobody = Moments.of([])
        if rollout.mode is Mode.INTERLEAVE:
            return interleaved_verdict(moments.get(Arm.INTERLEAVED, nobody), harm)
        control, candidate = (moments.get(arm, nobody) for arm in (Arm.CONTROL, Arm.CANDIDATE))
        return split_verdict(control, candidate, rollout.share / MAX_SHARE, harm)


def _step(rollout: Rollout, verdict: Verdict) -> Step | None:
    """What the judge does by itself: it goes back from harm, and promotes where it was asked to."""
    if verdict.harm:
        return Step.ROLLBACK
    if verdict.decision is Decision.PROMOTE and rollout.auto_promote:
        return Step.PROMOTE
    return None
