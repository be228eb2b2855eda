"""Jobs that nobody asks for: each is added every so often, by whichever worker is there."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from omma.catalog.interface import Catalog
from omma.errors import causes, unforeseen
from omma.identity import DEFAULT_TENANT
from omma.job_kinds import JobKind, JobParameters

_LOOKS: Final = 4
"""In the time between two jobs."""
_LONGEST_SECONDS: Final = 30.0
_ADDING_SECONDS: Final = 60.0
"""Longer than it takes to add a job, or to be told that it cannot be added."""
MAX_UNFINISHED: Final = 10_000
"""Of all kinds: what nobody asks for is one job a kind and source, and takes no place from what people ask for."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scheduled:
    """source: tells it from another one of its kind."""

    kind: JobKind
    parameters: JobParameters
    every_seconds: float
    source: str = ""


async def keep_schedule(catalog: Catalog, schedule: Sequence[Scheduled], wake: Callable[[], None]) -> None:
    """Until cancelled. Of several workers one adds each job, and not at once again after a restart: whose turn it is, a
    lease says, on the database's clock. wake: told when there is a job.
    """
    pause_seconds = min(_LONGEST_SECONDS, *(one.every_seconds / _LOOKS for one in schedule))
    while True:
        for one in schedule:
            try:
                if await _add_if_due(catalog, one):
                    wake()
            except Exception as error:
                extra = {"job": one.kind.name, "reason": causes(error)}
                logger.warning("a job could not be scheduled", extra=extra, exc_info=unforeseen(error))
        await asyncio.sleep(pause_seconds)


async def _add_if_due(catalog: Catalog, one: Scheduled) -> bool:
    """Whether its time is up, nobody else saw so, and the job is there now: the lease lasts the interval from then on.

    Before, it is short: whoever dies meanwhile costs a turn, not an interval. Raises what the catalog raises.
    """
    name, holder = f"scheduled/{one.kind.name}/{one.source}", uuid.uuid4().hex
    adding_seconds = min(_ADDING_SECONDS, one.every_seconds)
    if not await catalog.acquire_lease(name, holder, adding_seconds, longest_seconds=one.every_seconds):
        return False
    asked = one.parameters.model_dump(mode="json")
    try:
        await catalog.add_job(
            DEFAULT_TENANT, one.kind.name, one.source, asked, MAX_UNFINISHED, goes_on=one.kind.goes_on
        )
    except Exception:
        await catalog.release_lease(name, holder)
        raise
    await catalog.acquire_lease(name, holder, one.every_seconds)
    return True
