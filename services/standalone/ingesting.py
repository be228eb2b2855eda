"""Ingest over REST: start a job, follow it, cancel it when the person does."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from rich.table import Table

from services.standalone.connection import Connection

_EVERY_SECONDS: Final = 0.25


async def ingest(
    connection: Connection, source: dict[str, str], on_progress: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """source: what POST /images/ingest takes. Returns the job's last document, whatever its state.

    Cancelling this cancels the job. What was done by then stays, and the next ingest of the source goes on from there.
    """
    started = await connection.call("POST", "/images/ingest", json=source)
    try:
        while True:
            job: dict[str, Any] = await connection.call("GET", f"/jobs/{started['job_id']}")
            on_progress(job)
            if job["state"] not in ("waiting", "running"):
                return job
            await asyncio.sleep(_EVERY_SECONDS)
    except asyncio.CancelledError:
        await connection.call("DELETE", f"/jobs/{started['job_id']}")
        raise


def summary(job: dict[str, Any]) -> Table:
    """What an ingest did."""
    names = ("total", "created", "changed", "unchanged", "vanished", "skipped", "unreadable")
    made = Table(title=f"{job['source']}: {job['state']} in {job['seconds']:.1f} s", title_justify="left")
    for name in names:
        made.add_column(name, justify="right")
    made.add_row(*(str(job[name]) for name in names))
    return made
