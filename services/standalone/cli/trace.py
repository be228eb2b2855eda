"""`omma trace ID|URI`: where a picture is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from services.standalone.connection import call_once
from services.standalone.files import is_file
from services.standalone.output import Json, console, print_json, run, table


def trace(
    place: Annotated[str, typer.Argument(metavar="ID|URI", help="Or a file, or the external_id that it was given.")],
    json: Json = False,
) -> None:
    """Say where a picture is: row, blobs, events, vectors, and what each replica of its shard holds."""
    path = Path(place)
    sought = path.resolve().as_uri() if not place.isdecimal() and is_file(path) else place
    pictures = run(call_once("GET", "/trace", params={"place": sought}))["pictures"]
    if json:
        print_json(pictures)
        return
    for picture in pictures:
        console.print(_table(picture))


def _table(picture: Mapping[str, Any]) -> Table:
    title = f"picture {picture['image_id']}: bucket {picture['bucket']}, shard {picture['shard']}"
    rows = table("where", "what", title=title)
    rows.add_row("row", _row(picture["row"]))
    for name, blob in (picture["blobs"] or {}).items():
        rows.add_row(name, _blob(blob))
    for name in ("events", "vectors"):
        rows.add_row(name, _records(picture[name]))
    for replica in picture["replicas"]:
        rows.add_row(f"shard {replica['shard']}, replica {replica['replica']}", _replica(replica))
    if picture["dead_letter"]:
        rows.add_row("dead letter", f"{picture['dead_letter']['kind']}: {picture['dead_letter']['reason']}")
    return rows


def _row(row: Mapping[str, Any] | None) -> str | Text:
    if row is None:
        return Text("none", "red")
    sent = "sent" if row["sent_version"] >= row["version"] else f"sent up to version {row['sent_version']}"
    return f"version {row['version']}, {row['state']}, {sent}; key {row['key']}; {row['uri']}"


def _blob(blob: Mapping[str, Any]) -> str | Text:
    if "error" in blob:
        return Text.assemble((blob["error"], "red"), f" {blob['place']}")
    if not blob["present"]:
        return f"absent: {blob['place']}"
    right = "" if blob.get("sha256_right", True) else ", its sha256 is another"
    return Text.assemble(f"{blob.get('bytes', 'some')} bytes", (right, "red"), f": {blob['place']}")


def _records(found: Mapping[str, Any]) -> str:
    where = f"{found['topic']}[{found['partition']}]"
    said = [f"{where}@{one['offset']}: {_said(one)}" for one in found["records"]]
    if found["cut"]:
        said.append(f"{where}: read up to {found['read_to']} of {found['end']}, then time was up")
    return "\n".join(said) or f"none in {where}, read up to {found['end']}"


def _said(record: Mapping[str, Any]) -> str:
    """Of an event, or of a vector record."""
    if "unreadable" in record:
        return "cannot be read"
    return f"version {record['version']}, {record.get('kind') or ('deleted' if record['deleted'] else 'live')}"


def _replica(replica: Mapping[str, Any]) -> str | Text:
    if "error" in replica:
        return Text(replica["error"], "red")
    held = f"version {replica['version']} in {_part(replica['segment'])}" if replica["holds"] else "not there"
    return f"{held}; has read up to {replica['next_offset']}{', stale' if replica['stale'] else ''}"


def _part(segment: str) -> str:
    return "the head" if segment == "head" else f"segment {segment}"
