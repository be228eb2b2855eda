"""Calls that a job of the worker answers, if it ends in time."""

from collections.abc import Awaitable
from typing import Any, Final

from fastapi import Request
from fastapi.responses import JSONResponse

from omma.catalog.job import Job, JobState
from omma.errors import ReplicaDown
from omma.rpc.deadline import Deadline
from services.gateway.jobs import Jobs
from services.gateway.rest.bounds import bounds_of

_ANSWER_SECONDS: Final = 10.0


async def result_in_time(http: Request, jobs: Jobs, started: Awaitable[Job], wait_seconds: float, failed: str) -> Any:
    """The job's result if it is there within wait_seconds, else 202 with the job, whose `result` it becomes.

    failed: what is said before the job's error. Raises ReplicaDown, and what starting raises.
    """
    bounds_of(http).allow(wait_seconds + _ANSWER_SECONDS)
    job = await jobs.ended(await started, Deadline.after(wait_seconds))
    if job.state is JobState.DONE:
        return dict(job.result)
    if job.state is JobState.FAILED:
        raise ReplicaDown(f"{failed}: {job.error}")
    return JSONResponse({"job_id": job.id}, status_code=202)
