"""`omma ingest`."""

import asyncio
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape

from omma.blobs.folder_source import folder_source
from omma.blobs.object_uri import SCHEME
from omma.errors import InvalidQuery
from omma.picture_list import absolute, described
from services.standalone.connection import Connection, connected
from services.standalone.given import requests_of
from services.standalone.ingesting import failed, remarks, summary
from services.standalone.ingesting import ingest as follow
from services.standalone.output import Json, console, errors, print_json, progress_bar, run
from services.standalone.settings import StandaloneSettings

_WEB: Final = ("http://", "https://")
_WATCH_SECONDS: Final = 3.0
_GIVEN: Final = ("created", "changed", "unchanged", "left_deleted")
_NEWS: Final = ("created", "changed", "retried", "vanished")


def ingest(  # noqa: PLR0917  a command's options
    source: Annotated[
        str,
        typer.Argument(
            metavar="DIR|FILE.jsonl|URLS.txt|VECTORS.npy|s3://BUCKET/PREFIX",
            help="Pictures, which stay where they are; of URLs in a list, one a line, they are downloaded.",
        ),
    ],
    forget_missing: Annotated[
        bool, typer.Option(help="Also forget what is away with its whole folder, as when a disk is not mounted.")
    ] = False,
    revive_deleted: Annotated[bool, typer.Option(help="Also what was deleted here comes back.")] = False,
    refetch: Annotated[bool, typer.Option(help="Download also what an earlier ingest downloaded.")] = False,
    watch: Annotated[bool, typer.Option(help="Go on: look again every few seconds, until Ctrl-C.")] = False,
    owner: Annotated[str, typer.Option(help="Whose they are: of what is new or changed, or does not say it.")] = "",
    private: Annotated[bool, typer.Option(help="Only their owner and administrators see them.")] = False,
    ids: Annotated[
        Path | None, typer.Option(help="Of vectors: an id a line, or JSON lines with what is known of each.")
    ] = None,
    space: Annotated[str, typer.Option(help="Of vectors: what they are of, as `omma space list` shows it.")] = "",
    json: Json = False,
) -> None:
    """Make pictures searchable; run it again to take over what changed. Ctrl-C and again goes on where it was."""
    if source.endswith(".npy"):
        run(_vectors(Path(source), ids, space, revive_deleted, json))
        return
    said: dict[str, Any] = {"owner": owner} if owner else {}
    said |= {"private": True} if private else {}
    asked = _folder_or_bucket(source, forget_missing, revive_deleted, said)
    asked = asked or _list(source, revive_deleted, refetch, said)
    run(_watch(asked, json) if watch else _once(asked, json))


async def _once(asked: "_Asked", json: bool) -> None:
    async with connected(StandaloneSettings(), make=True) as connection:
        _tell(await _ingest(connection, asked), json)


async def _vectors(source: Path, ids: Path | None, space: str, revive_deleted: bool, json: bool) -> None:
    if ids is None or not space:
        raise InvalidQuery("Vectors need --ids FILE and --space NAME.", field="space" if ids else "ids")
    told: Counter[str] = Counter()
    async with connected(StandaloneSettings(), make=True) as connection:
        with progress_bar() as bars:
            bar = bars.add_task(escape(source.name), total=None, rate=0.0)
            for rows, request in requests_of(source, ids, space, revive_deleted=revive_deleted):
                job = await follow(connection, "/vectors", request, lambda job: None)
                if job["state"] != "done":
                    _tell(job | {"source": source.name}, json)
                told.update({name: job[name] for name in _GIVEN})
                told["vectors"] += rows
                bars.update(bar, completed=told["vectors"])
    said = {"source": source.name, "space": space, **told}
    if json:
        print_json(said)
    else:
        counts = ", ".join(f"{told[name]} {name.replace('_', ' ')}" for name in _GIVEN if told[name])
        console.print(f"{told['vectors']} vectors are in {space}: {counts}.", highlight=False)


async def _watch(asked: "_Asked", json: bool) -> None:
    """Until cancelled. Tells the first look, and each that found something."""
    async with connected(StandaloneSettings(), make=True) as connection:
        told = False
        while True:
            job = await _ingest(connection, asked)
            if not told or any(job[name] for name in _NEWS):
                _tell(job, json)
            told = True
            await asyncio.sleep(_WATCH_SECONDS)


def _tell(job: dict[str, Any], json: bool) -> None:
    if json:
        print_json(job)
    else:
        console.print(summary(job))
        for line in remarks(job):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    if job["state"] != "done":
        errors.print(f"[bold red]{job['state']}[/]: {escape(job['error'])}", highlight=False)
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Asked:
    """name: for people. request: what is posted to the route."""

    name: str
    route: str
    request: dict[str, Any]


def _folder_or_bucket(source: str, forget_missing: bool, revive_deleted: bool, said: dict[str, Any]) -> _Asked | None:
    """None for a list."""
    asked: dict[str, Any] = {"forget_missing": forget_missing, "revive_deleted": revive_deleted, **said}
    if source.startswith(SCHEME):
        return _Asked(source, "/images/ingest", {"json": {**asked, "source": source}})
    if Path(source).is_file() or source.startswith(_WEB):
        return None
    folder = run(_folder(source))
    name = os.fsencode(folder.name).decode(errors="replace")
    return _Asked(name, "/images/ingest", {"json": {**asked, "folder": folder_source(folder)}})


async def _folder(source: str) -> Path:
    from services.worker.ingest.folder import require_folder  # the worker's part: other commands start without it

    return require_folder(Path(source))


def _list(source: str, revive_deleted: bool, refetch: bool, said: dict[str, Any]) -> _Asked:
    path = Path(source)
    content = source.encode() if source.startswith(_WEB) else absolute(path.read_bytes(), path.absolute().parent)
    if said:
        content = described(content, **said)
    options = {"revive_deleted": str(revive_deleted).lower(), "refetch": str(refetch).lower()}
    request = {"files": {"list": ("list", content, "application/x-ndjson")}, "data": options}
    return _Asked(source, "/ingest", request)


async def _ingest(connection: Connection, asked: _Asked) -> dict[str, Any]:
    with progress_bar() as bars:
        bar = bars.add_task(escape(asked.name), total=None, rate=0.0)

        def show(job: dict[str, Any]) -> None:
            count = failed(job)
            words = f"{escape(asked.name)} [red]({count} failed)[/]" if count else escape(asked.name)
            rate = job["pictures_per_second"]
            bars.update(bar, description=words, completed=job["done"], total=job["total"] or None, rate=rate)

        job = await follow(connection, asked.route, asked.request, show)
    return job | {"source": asked.name} if asked.route == "/ingest" else job
