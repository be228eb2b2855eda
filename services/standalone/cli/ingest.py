"""`omma ingest`."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from omma.blobs.folder_source import folder_source
from omma.blobs.object_uri import SCHEME
from services.standalone.connection import connected
from services.standalone.ingesting import failed, remarks, summary
from services.standalone.ingesting import ingest as follow
from services.standalone.output import Json, console, errors, print_json, progress_bar, run
from services.standalone.settings import StandaloneSettings
from services.worker.ingest.folder import require_folder


def ingest(
    source: Annotated[
        str,
        typer.Argument(metavar="DIR|s3://BUCKET/PREFIX", help="Pictures; they stay where they are."),
    ],
    forget_missing: Annotated[
        bool, typer.Option(help="Also forget what is away with its whole folder, as when a disk is not mounted.")
    ] = False,
    json: Json = False,
) -> None:
    """Make pictures searchable; run it again to take over what changed. Ctrl-C and again goes on where it was."""
    job = run(_ingest(source, forget_missing=forget_missing))
    if json:
        print_json(job)
    else:
        console.print(summary(job))
        for line in remarks(job):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    if job["state"] != "done":
        errors.print(f"[bold red]{job['state']}[/]: {job['error']}", highlight=False)
        raise typer.Exit(1)


async def _ingest(source: str, *, forget_missing: bool) -> dict[str, Any]:
    asked: dict[str, Any] = {"forget_missing": forget_missing}
    if source.startswith(SCHEME):
        name = source
        asked["source"] = source
    else:
        folder = require_folder(Path(source))
        name = os.fsencode(folder.name).decode(errors="replace")
        asked["folder"] = folder_source(folder)
    async with connected(StandaloneSettings(), make=True) as connection:
        with progress_bar() as bars:
            bar = bars.add_task(escape(name), total=None, rate=0.0)

            def show(job: dict[str, Any]) -> None:
                count = failed(job)
                words = f"{escape(name)} [red]({count} failed)[/]" if count else escape(name)
                rate = job["pictures_per_second"]
                bars.update(bar, description=words, completed=job["done"], total=job["total"] or None, rate=rate)

            return await follow(connection, asked, show)
