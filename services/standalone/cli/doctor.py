"""`omma doctor`."""

import asyncio
import os
import platform
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import typer
from rich.text import Text

from omma.cores import cores
from omma.errors import Absent, OmmaError
from omma.settings import warn_unknown_names
from services.standalone.connection import Connection, connected
from services.standalone.data_dir import DataDir
from services.standalone.models import choose_model
from services.standalone.output import Json, console, print_json, run, table
from services.standalone.settings import StandaloneSettings

_LITTLE_SPACE_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """ok: None is a warning: it works, but look at it. advice: what to do."""

    check: str
    ok: bool | None
    found: str
    advice: str = ""


def doctor(json: Json = False) -> None:
    """Look whether everything is in order; exit code 1 when something is not."""
    findings = run(_examine(StandaloneSettings()))
    if json:
        print_json([asdict(finding) for finding in findings])
    else:
        rows = table("", "check", "found", "advice")
        for one in findings:
            mark = {True: Text("ok", "green"), None: Text("look", "yellow"), False: Text("wrong", "red")}[one.ok]
            rows.add_row(mark, one.check, one.found, one.advice)
        console.print(rows)
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(1)


async def _examine(settings: StandaloneSettings) -> list[Finding]:
    served = settings.url or DataDir(settings.data_dir).served_at()
    findings = [*_machine(settings), *([] if served else _ports(settings))]
    if not settings.url:
        findings.append(await asyncio.to_thread(_model, settings))
    try:
        async with connected(settings) as connection:
            findings.append(Finding("works at", True, connection.where))
            findings += await _contents(connection)
    except Absent as error:
        findings.append(Finding("opens", None, error.detail))
    except OmmaError as error:
        findings.append(Finding("opens", False, error.detail))
    return findings


def _machine(settings: StandaloneSettings) -> Iterator[Finding]:
    yield Finding("python", True, f"{platform.python_version()} on {platform.machine()}, {cores()} cores")
    unknown = warn_unknown_names(settings.known_names())
    yield Finding("settings", None if unknown else True, "; ".join(unknown) or "every OMMA_* name is known")
    if settings.url:
        return
    data = DataDir(settings.data_dir)
    there = next(path for path in (data.path.absolute(), *data.path.absolute().parents) if path.exists())
    writable = os.access(there, os.W_OK)
    yield Finding("data folder", writable, str(data.path), "" if writable else f"{there} cannot be written")
    free = data.free_bytes()
    enough = True if free > _LITTLE_SPACE_BYTES else None
    yield Finding("space left", enough, f"{free / (1 << 30):.1f} GiB", "" if enough else "below 1 GiB")


def _ports(settings: StandaloneSettings) -> Iterator[Finding]:
    for name, port in (("OMMA_HTTP_PORT", settings.http_port), ("OMMA_GRPC_PORT", settings.grpc_port)):
        with socket.socket(socket.AF_INET6 if ":" in settings.bind else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.bind, port))
                yield Finding(name, True, f"{port} is free")
            except OSError as error:
                yield Finding(name, None, f"{port}: {error.strerror}", f"set {name} to another port")


def _model(settings: StandaloneSettings) -> Finding:
    try:
        manifest = choose_model(settings).manifest
    except OmmaError as error:
        return Finding("model", False, error.detail)
    words = "with words" if manifest.text else "no words"
    return Finding("model", True, f"{manifest.reference}, {manifest.dim} dimensions, {words}, checksums fit")


async def _contents(connection: Connection) -> list[Finding]:
    stats: dict[str, Any] = await connection.call("GET", "/stats")
    return list(_compared(stats))


def _compared(stats: dict[str, Any]) -> Iterator[Finding]:
    counts = stats["catalog"]
    answered = [replica for replica in stats["shards"] if "error" not in replica]
    # The replicas of a shard hold the same: the one that is furthest stands for it.
    furthest = {one["shard"]: one for one in sorted(answered, key=lambda one: one["lag"], reverse=True)}.values()
    indexed, searchable = counts.get("indexed", 0), sum(one["pictures"] for one in furthest)
    waiting = stats["waiting"] + counts.get("unsent", 0) + sum(one["lag"] for one in furthest)
    agree = indexed == searchable or (None if waiting else False)
    advice = "wait until nothing is on its way" if waiting else "delete the data folder's `shards`: they are rebuilt"
    yield Finding(
        "counts agree",
        agree,
        f"catalog {indexed}, shards {searchable}, {waiting} on their way",
        "" if agree else advice,
    )
    for replica in stats["shards"]:
        yield _replica(replica)
    dead = counts.get("dead", 0)
    yield Finding("dead letters", None if dead else True, str(dead), "omma dead-letters list" if dead else "")


def _replica(said: dict[str, Any]) -> Finding:
    name = f"shard {said['shard']}, replica {said['replica']}"
    if "error" in said:
        return Finding(name, False, said["error"])
    codebook = f"codebook {said['codebook'][:8]}" if said["codebook"] else "exact search"
    held = f"{said['live']} vectors, {said['segments']} segments, {codebook}"
    return Finding(name, bool(said["ready"]), held)
