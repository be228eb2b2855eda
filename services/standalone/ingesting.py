"""Ingest over REST: start a job, follow it, cancel it when the person does."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final

from rich.markup import escape
from rich.table import Table

from services.standalone.connection import Connection

_EVERY_SECONDS: Final = 0.25
_ALWAYS: Final = ("total", "created", "changed", "unchanged", "vanished", "skipped", "unreadable")
_COUNTS: Final = (*_ALWAYS, "dead", "retried", "missing", "left_deleted", "captions_passed_over")
_TOLD: Final = {
    "unreadable": "Could not be looked at",
    "dead": "Could not be read (omma dead-letters list)",
    "captions_passed_over": "Captions passed over",
}
_SHOWN: Final = 5


async def ingest(
    connection: Connection, route: str, request: dict[str, Any], on_progress: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """request: what is posted to the route, which answers a job. Returns the job's last document, whatever its state.

    Cancelling this cancels the job. What was done by then stays, and the next ingest of the source goes on from there.
    """
    started = await connection.call("POST", route, **request)
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
    """What an ingest did; of what happens seldom, only what happened."""
    names = [name for name in _COUNTS if name in _ALWAYS or job.get(name)]
    title = escape(f"{job['source']}: {job['state']} in {job['seconds']:.1f} s")
    made = Table(title=title, title_justify="left", show_header=False)
    for name in names:
        made.add_row(name.replace("_", " "), str(job[name]))
    return made


def failed(job: dict[str, Any]) -> int:
    """Pictures that could not be read, as far as it is known."""
    return int(job["unreadable"] + job["dead"])


def remarks(job: dict[str, Any]) -> Iterator[str]:
    """A line for each thing that a person should know of an ingest beside its counts."""
    told = job["result"]
    if kinds := told.get("skipped"):
        yield "Skipped: " + ", ".join(f"{count} {kind}" for kind, count in list(kinds.items())[:_SHOWN])
    if names := told.get("failed"):
        yield "Failed: " + ", ".join(f"{count} {name}" for name, count in names.items())
    for name, words in _TOLD.items():
        if examples := told.get(name, []):
            yield f"{words}:"
            yield from (f"  {one['place']}: {one['reason']}" for one in examples[:_SHOWN])
            if (count := job.get(name, 0)) > _SHOWN:
                yield f"  … {count} in all"
    if missing := told.get("missing"):
        yield f"{job.get('missing', 0)} pictures are not there any more, in " + ", ".join(missing["folders"][:_SHOWN])
        yield missing["advice"]
