"""What a rollout is judged by, as the catalog keeps it, and the judge's decisions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from omma.catalog.rollout import Told
from omma.judging.moments import Moments
from omma.judging.tally import ArmMinute, Tally
from omma.rollouts.rollout import Rollout
from omma.rollouts.walk import Step


@dataclass(frozen=True, slots=True)
class Fence:
    """A lease that its holder must still have when a decision is written. holder: of one taking of the lease alone."""

    lease: str
    holder: str


@dataclass(frozen=True, slots=True)
class ToldMinute:
    """All that a follower has said of a minute so far. judged: how much of it was counted."""

    follower: str
    told: ArmMinute
    judged: Tally

    @property
    def news(self) -> ArmMinute:
        """What was not counted yet."""
        more = {name: count - self.judged[name] for name, count in self.told.counts.items()}
        return replace(self.told, counts=Counter({name: count for name, count in more.items() if count}))


@dataclass(frozen=True, slots=True)
class Judgement:
    """stage: the rollout's changed_at_ms, of the step that is judged. figures: by part, kept in place of what was known
    of that part. minutes: that these hold, counted from now on. step: taken in the same transaction.
    """

    stage: int
    figures: Mapping[str, Mapping[str, Any]]
    minutes: Sequence[ToldMinute] = ()
    step: Step | None = None
    told: Told | None = None


class JudgementBook(Protocol):
    """The catalog's calls of the judge and of what tells it; each is one transaction."""

    async def put_arm_minutes(self, rollout_id: str, follower: str, minutes: Sequence[ArmMinute]) -> None:
        """What this follower counted in these minutes, in place of what it had said of them."""

    async def arm_minutes(self, rollout_id: str, stage: int, limit: int) -> list[ToldMinute]:
        """Of every follower, those of the step at `stage` of which something was not counted yet, whenever it was said
        and whatever the followers' clocks say: the earliest so many.
        """

    async def drop_arm_minutes(self, kept_seconds: float) -> None:
        """Minutes that nobody told of for longer, of any rollout; searches as old can be clicked no more for an arm."""

    async def forget_callers(self, kept_seconds: float) -> int:
        """What callers did in steps that are past, and all that is known of those of rollouts that are over for longer;
        nothing that a judge still looks at. Returns how many rows went.
        """

    async def remember_before(self, rollout_id: str, day: int) -> None:
        """What each user searched and clicked on this day since 1970, UTC, beside the rollout; once is enough."""

    async def arm_moments(self, rollout_id: str, stage: int) -> dict[str, Moments]:
        """By arm, of all callers since the step at `stage`, the rollout's changed_at_ms then."""

    async def judge_rollout(self, rollout_id: str, fence: Fence, judgement: Judgement) -> Rollout:
        """Keep figures and take the step, if the fence's lease is still its holder's and the rollout at the stage that
        is judged: of another share, or of the state before, nothing that was seen says anything.

        Raises WrongState, field `lease` or `stage` when it is not, else as move_rollout; Absent.
        """
