"""A step of a rollout as a record of the log, for whoever listens there."""

import json
from dataclasses import asdict, dataclass
from typing import Final

ROLLOUTS_TOPIC: Final = "omma.rollouts"
"""One record a step, keyed by the rollout: JSON, since who listens is no part of Omma."""


@dataclass(frozen=True, slots=True)
class StepEvent:
    """One step, as the audit has it, without its figures. id: rises with each step of the installation. state: of the
    rollout after it. name: of an experiment. share: percent of callers after it.
    """

    id: int
    at_ms: int
    rollout: str
    name: str
    candidate: str
    control: str
    model: str
    step: str
    state: str
    by: str
    reason: str
    share: float

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()
