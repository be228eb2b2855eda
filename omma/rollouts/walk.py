"""Which step is allowed when, and what it makes of the rollout and its two indexes: one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from omma.errors import WrongState
from omma.index import IndexId, IndexState
from omma.rollouts.rollout import RUNNING, Rollout, RolloutState


class Step(StrEnum):
    """What is done to a rollout. shadow: done by the builder when the candidate is whole; the others by a command."""

    PAUSE = "pause"
    RESUME = "resume"
    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    ABORT = "abort"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a rollout, its candidate and its control are. None, in the table: whatever it is, and stays.

    Of an experiment both are None: it moves no index.
    """

    rollout: RolloutState
    candidate: IndexState | None
    control: IndexState | None

    def fits(self, known: "Standing") -> bool:
        """Whether a row of the table is about this standing."""
        return (
            self.rollout is known.rollout
            and self.candidate in (None, known.candidate)
            and self.control in (None, known.control)
        )

    def onto(self, known: "Standing") -> "Standing":
        """What a row of the table makes of this standing."""
        return Standing(self.rollout, self.candidate or known.candidate, self.control or known.control)


_R, _I = RolloutState, IndexState
_BUILDING: Final = Standing(_R.BUILDING, _I.BUILDING, _I.LIVE)
_PAUSED: Final = Standing(_R.PAUSED, _I.BUILDING, _I.LIVE)
_SHADOW: Final = Standing(_R.SHADOW, _I.SHADOW, _I.LIVE)
_CANARY: Final = Standing(_R.CANARY, _I.CANARY, _I.LIVE)
_PROMOTED: Final = Standing(_R.PROMOTED, _I.LIVE, _I.STANDBY)
_TAKEN_BACK: Final = Standing(_R.ROLLED_BACK, _I.SHADOW, _I.LIVE)
"""It answered a share and never everybody: it has to earn its share again."""
_GONE_BACK: Final = Standing(_R.ROLLED_BACK, _I.STANDBY, _I.LIVE)
_ABORTED: Final = Standing(_R.ABORTED, _I.RETIRED, _I.LIVE)

TABLE: Final[tuple[tuple[Step, Standing, Standing], ...]] = (
    (Step.PAUSE, _BUILDING, _PAUSED),
    (Step.RESUME, _PAUSED, _BUILDING),
    (Step.SHADOW, _BUILDING, _SHADOW),
    (Step.CANARY, _SHADOW, _CANARY),
    (Step.CANARY, _CANARY, _CANARY),
    (Step.CANARY, _TAKEN_BACK, _CANARY),
    (Step.CANARY, _GONE_BACK, _CANARY),
    (Step.PROMOTE, _CANARY, _PROMOTED),
    (Step.PROMOTE, _GONE_BACK, _PROMOTED),
    (Step.ROLLBACK, _CANARY, _TAKEN_BACK),
    (Step.ROLLBACK, _PROMOTED, _GONE_BACK),
    (Step.ABORT, _BUILDING, _ABORTED),
    (Step.ABORT, _PAUSED, _ABORTED),
    (Step.ABORT, _SHADOW, _ABORTED),
    (Step.RETIRE, Standing(_R.PROMOTED, None, _I.STANDBY), Standing(_R.RETIRED, None, _I.RETIRED)),
    (Step.RETIRE, Standing(_R.ROLLED_BACK, _I.SHADOW, None), Standing(_R.RETIRED, _I.RETIRED, None)),
    (Step.RETIRE, Standing(_R.ROLLED_BACK, _I.STANDBY, None), Standing(_R.RETIRED, _I.RETIRED, None)),
)


EXPERIMENTS: Final[tuple[tuple[Step, Standing, Standing], ...]] = tuple(
    (step, Standing(before, None, None), Standing(then, None, None))
    for step, before, then in (
        (Step.PROMOTE, _R.CANARY, _R.PROMOTED),
        (Step.ROLLBACK, _R.CANARY, _R.ROLLED_BACK),
        (Step.ROLLBACK, _R.PROMOTED, _R.ROLLED_BACK),
    )
)
"""One keeps the share that it began with."""


def standing_of(rollout: Rollout, states: Mapping[IndexId, IndexState]) -> Standing:
    """states: of every index."""
    if rollout.settings is not None:
        return Standing(rollout.state, None, None)
    return Standing(rollout.state, states[rollout.candidate], states[rollout.control])


def after(step: Step, now: Standing) -> Standing:
    """What the step makes of it. Raises WrongState, with the steps that would be allowed. Pure."""
    for one, before, then in _table_of(now):
        if one is step and before.fits(now):
            return then.onto(now)
    allowed = ", ".join(allowed_steps(now)) or "nothing any more"
    what = f"A rollout that is {now.rollout} (candidate {now.candidate}, control {now.control})"
    if now.candidate is None:
        what = f"An experiment that is {now.rollout}"
    raise WrongState(f"{what} cannot {step}; allowed: {allowed}.", field="state")


def earns_its_share(now: Standing) -> bool:
    """Whether canary asks the gate: of a candidate that never answered everybody, and answers nobody now."""
    return now in (_SHADOW, _TAKEN_BACK)


def allowed_steps(now: Standing) -> tuple[str, ...]:
    """In the order of the walk, without `shadow`, which nobody asks for."""
    steps = [one for one, before, _ in _table_of(now) if before.fits(now) and one is not Step.SHADOW]
    return tuple(dict.fromkeys(step.value for step in steps))


def _table_of(now: Standing) -> tuple[tuple[Step, Standing, Standing], ...]:
    return EXPERIMENTS if now.candidate is None and now.control is None else TABLE


def require_alone(step: Step, rollout: Rollout, running: Rollout | None) -> None:
    """Raises WrongState when another rollout runs: only data that nobody needs may be cleared beside it."""
    if running is None or running.id == rollout.id or step is Step.RETIRE:
        return
    raise another_runs(running)


def another_runs(running: Rollout) -> WrongState:
    """One rollout or experiment at a time."""
    if running.settings is not None:
        return WrongState(
            f"Experiment {running.name} runs; one experiment or rollout runs at a time: promote one of its arms, or "
            "stop it.",
            field="rollout",
        )
    return WrongState(
        f"Rollout {running.id} is {running.state} (index {running.candidate}); one runs at a time: promote it, or "
        f"end it with rollback or abort.",
        field="rollout",
    )


def runs(rollout: Rollout) -> bool:
    return rollout.state in RUNNING
