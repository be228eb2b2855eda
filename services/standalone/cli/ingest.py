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
from omma.errors import InvalidQuery, OmmaError
from omma.picture_list import absolute, described
from services.standalone.connection import Connection, connected
from services.standalone.files import content_of, is_file
from services.standalone.given import requests_of
from services.standalone.ingesting import failed, remarks, summary
from services.standalone.ingesting import ingest as follow
from services.standalone.jobs import print_end, require_done
from services.standalone.output import Json, console, fail, print_json, progress_bar, run, shown
from services.standalone.settings import StandaloneSettings

_WEB: Final = ("http://", "https://")
_WATCH_SECONDS: Final = 3.0
_INSTEAD: Final = dict.fromkeys(("--owner", "--private"), "each line of --ids FILE.jsonl says it")
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
        _refuse("Vectors", owner=owner, private=private, forget_missing=forget_missing, refetch=refetch, watch=watch)
        run(_vectors(Path(source), ids, space, revive_deleted, json))
        return
    _refuse("Pictures", ids=ids, space=space)
    said: dict[str, Any] = {"owner": owner} if owner else {}
    said |= {"private": True} if private else {}
    asked = _folder_or_bucket(source, forget_missing, revive_deleted, said)
    if asked is None:
        _refuse("Lists", forget_missing=forget_missing)
        asked = _list(source, revive_deleted, refetch, said)
    else:
        _refuse("Folders and buckets", refetch=refetch)
    run(_watch(asked, json) if watch else _once(asked, json))


def _refuse(what: str, **options: object) -> None:
    """What was said and would not be heeded: vectors of `--private`, for one, would be everybody's to see."""
    for name, value in options.items():
        if value:
            option = f"--{name.replace('_', '-')}"
            fail(InvalidQuery(f"{what} take no {option}; {_INSTEAD.get(option, 'leave it out')}.", field=name))


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
                    _tell(job | {"source": shown(source.name)}, json)
                told.update({name: job[name] for name in _GIVEN})
                told["vectors"] += rows
                bars.update(bar, completed=told["vectors"])
    said = {"source": shown(source.name), "space": space, **told}
    if json:
        print_json(said)
    else:
        counts = ", ".join(f"{told[name]} {name.replace('_', ' ')}" for name in _GIVEN if told[name])
        console.print(f"{told['vectors']} vectors are in {space}: {counts}.", markup=False)


async def _watch(asked: "_Asked", json: bool) -> None:
    """Until cancelled. Tells the first look, each that found something, and once why the later ones fail."""
    async with connected(StandaloneSettings(), make=True) as connection:
        job = await _ingest(connection, asked)
        _tell(job, json)
        fault = ""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            job = await _ingest(connection, asked)
            if any(job[name] for name in _NEWS):
                _show(job, json)
            if job["error"] not in ("", fault):
                print_end(job)
            fault = job["error"]


def _tell(job: dict[str, Any], json: bool) -> None:
    _show(job, json)
    require_done(job)


def _show(job: dict[str, Any], json: bool) -> None:
    if json:
        print_json(job)
    else:
        console.print(summary(job))
        for line in remarks(job):
            console.print(line, markup=False, soft_wrap=True)


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
    if is_file(Path(source)) or source.startswith(_WEB):
        return None
    folder = run(_folder(source))
    return _Asked(shown(folder.name), "/images/ingest", {"json": {**asked, "folder": folder_source(folder)}})


async def _folder(source: str) -> Path:
    from services.worker.ingest.folder import require_folder  # the worker's part: other commands start without it

    return require_folder(Path(source))


def _list(source: str, revive_deleted: bool, refetch: bool, said: dict[str, Any]) -> _Asked:
    path = Path(source)
    try:
        content = (
            os.fsencode(source)
            if source.startswith(_WEB)
            else absolute(content_of(path, "source"), path.absolute().parent)
        )
    except OmmaError as error:
        fail(error)
    if said:
        content = described(content, **said)
    options = {"revive_deleted": str(revive_deleted).lower(), "refetch": str(refetch).lower()}
    request = {"files": {"list": ("list", content, "application/x-ndjson")}, "data": options}
    return _Asked(shown(source), "/ingest", request)


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
