"""`omma ingest`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from omma.blobs.object_uri import SCHEME
from services.standalone.connection import connected
from services.standalone.ingesting import ingest as follow
from services.standalone.ingesting import summary
from services.standalone.output import Json, console, errors, print_json, progress_bar, run
from services.standalone.settings import StandaloneSettings
from services.worker.ingest.folder import require_folder


def ingest(
    source: Annotated[
        str,
        typer.Argument(metavar="DIR|s3://BUCKET/PREFIX", help="Pictures; they stay where they are."),
    ],
    json: Json = False,
) -> None:
    """Make pictures searchable; run it again to take over what changed. Ctrl-C and again goes on where it was."""
    job = run(_ingest(source))
    if json:
        print_json(job)
    else:
        console.print(summary(job))
    if job["state"] != "done":
        errors.print(f"[bold red]{job['state']}[/]: {job['error']}", highlight=False)
        raise typer.Exit(1)


async def _ingest(source: str) -> dict[str, Any]:
    if source.startswith(SCHEME):
        name, place = source, {"source": source}
    else:
        folder = require_folder(Path(source))
        name, place = folder.name, {"folder": str(folder)}
    async with connected(StandaloneSettings()) as connection:
        with progress_bar() as bars:
            bar = bars.add_task(name, total=None, rate=0.0)
            return await follow(
                connection,
                place,
                lambda job: bars.update(
                    bar, completed=job["done"], total=job["total"] or None, rate=job["pictures_per_second"]
                ),
            )
