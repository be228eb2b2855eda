"""Jobs that a command waits for."""

import asyncio
from typing import Any, Final

import typer
from rich.markup import escape

from services.standalone.connection import Connection
from services.standalone.output import errors

_EVERY_SECONDS: Final = 0.25


async def result_of(connection: Connection, job_id: str, told: str = "") -> dict[str, Any]:
    """The job's result, however long it takes. Leaves as `require_done` does."""
    while True:
        job = await connection.call("GET", f"/jobs/{job_id}")
        if job["state"] not in ("waiting", "running"):
            require_done(job, told)
            return dict(job["result"])
        await asyncio.sleep(_EVERY_SECONDS)


def require_done(job: dict[str, Any], told: str = "") -> None:
    """Of a job that has ended otherwise, print how and why, and leave with 1: what may pass its worker has tried again
    by itself. told: what else a person should know then.
    """
    if job["state"] != "done":
        print_end(job, told)
        raise typer.Exit(1)


def print_end(job: dict[str, Any], told: str = "") -> None:
    """How it ended, and why."""
    why = f"{job['error']} {told}".strip()
    errors.print(f"[bold red]{escape(job['state'])}[/]: {escape(why)}")
