"""Jobs as the catalog keeps them: whoever runs one holds it for a while, then another one may take it over."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NewType, Protocol

from omma.identity import Tenant

JobId = NewType("JobId", str)


class JobState(StrEnum):
    """waiting: for somebody to run it. The last three are ends."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = (JobState.WAITING, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Job:
    """kind: one of omma.job_kinds. source: what it works on, of that kind; "": everything. parameters: what else was
    asked for, as JSON has it.

    cursor: where the next runner goes on, "" from the start. counts: what it has done, by name.
    result: what came of it, once it is done. error: why it failed.
    """

    id: JobId
    tenant: Tenant
    kind: str
    source: str
    state: JobState
    created_at_ms: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    cursor: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    started_at_ms: int | None = None
    finished_at_ms: int | None = None


class JobBook(Protocol):
    """The catalog's calls about jobs; each is one transaction and raises as the catalog's others do."""

    async def add_job(
        self,
        tenant: Tenant,
        kind: str,
        source: str,
        parameters: Mapping[str, Any],
        max_unfinished: int,
        *,
        goes_on: bool = True,
    ) -> Job:
        """The unfinished job of this kind and source, if there is one, else a new one.

        goes_on: a new one that is asked for the same has cursor and counts of its last, if that was broken off. Raises
        WrongState when the unfinished one was asked for something else; Overloaded when so many jobs of all tenants
        are unfinished.
        """

    async def require_job_room(self, max_unfinished: int) -> None:
        """Raises Overloaded as `add_job`; for who must not be refused a job after what goes before it."""

    async def job(self, tenant: Tenant, job_id: str) -> Job:
        """Raises Absent."""

    async def newest_jobs(self, tenant: Tenant, kinds: Collection[str], limit: int) -> list[Job]:
        """Of these kinds, the newest first."""

    async def jobs_of_others(self, kind: str, holder: str) -> list[Job]:
        """Of every tenant: those of the kind that run and that another one holds, the oldest first."""

    async def take_job(self, holder: str, ttl_seconds: float, running: Collection[str]) -> Job | None:
        """The oldest job that nobody runs, the holder's from now on; None when there is none.

        running: ids that the holder is at work on. Another one under its name is of before it was started again.
        """

    async def keep_job(
        self, job_id: str, holder: str, ttl_seconds: float, cursor: str, counts: Mapping[str, int]
    ) -> bool:
        """Holds it longer and keeps how far it is. False, and nothing changes, unless it still is the holder's."""

    async def end_job(
        self, job_id: str, holder: str, state: JobState, error: str = "", result: Mapping[str, Any] | None = None
    ) -> bool:
        """The holder's job is in this state now, held by nobody; `waiting` hands it back. False as `keep_job`."""

    async def cancel_job(self, tenant: Tenant, job_id: str) -> Job:
        """Nobody may run it any more; no effect on one that has ended. Raises Absent."""

    async def forget_jobs(self, kept: int) -> None:
        """Drops finished jobs but for so many of each kind, the oldest first."""
