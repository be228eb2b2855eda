"""`omma feedback list | judgments | pairs`."""

import csv
import io
import json as json_lines
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import unquote, urlsplit

import typer

from omma.catalog.feedback import FeedbackAction
from omma.errors import InvalidQuery, OmmaError
from omma.evaluation.feedback import Opinion, judgments_of_feedback, pairs_of_feedback
from services.gateway.curation.feedback import MAX_PAGE
from services.standalone.connection import Connection, call_once, connected
from services.standalone.files import may_become, writing
from services.standalone.numbers import picture_id, whole
from services.standalone.output import Json, console, errors, fail, print_json, run, table
from services.standalone.settings import StandaloneSettings

_AT_ONCE: Final = 1_000

app = typer.Typer(no_args_is_help=True, help="What people said of pictures, and what is learned from it.")


@app.command("list")
def list_feedback(
    image_id: Annotated[int | None, typer.Option(parser=picture_id, metavar="ID", help="Of this picture only.")] = None,
    limit: Annotated[int, typer.Option(parser=whole(1, MAX_PAGE), help=f"1 to {MAX_PAGE}.")] = 100,
    json: Json = False,
) -> None:
    """What was said, the newest first."""
    params = {"limit": limit, **({} if image_id is None else {"image_id": image_id})}
    said = run(call_once("GET", "/feedback", params=params))["feedback"]
    if json:
        print_json(said)
        return
    rows = table("at", "picture", "action", "sought", "by", "note")
    for one in said:
        sought = str(one.get("query_image_id", ""))
        row = (one["at"][:19], str(one["image_id"]), one["action"], sought, one.get("given_by", ""))
        rows.add_row(*row, one.get("note", ""))
    console.print(rows if said else "Nobody has said anything yet.")


@app.command()
def judgments(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="For `omma eval DIR --judgments FILE.jsonl`.")],
) -> None:
    """Write what was called relevant, duplicate or irrelevant as grades, by the last word on each pair."""
    _require_suffix(file, ".jsonl")
    judged = list(judgments_of_feedback(run(_opinions())))
    lines = [json_lines.dumps({"query": query, "picture": picture, "grade": grade}) for query, picture, grade in judged]
    _write(file, "".join(f"{line}\n" for line in lines))
    errors.print(f"{len(judged)} grades: {file}", markup=False)


@app.command()
def pairs(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="For `train_simclr.py --pairs FILE.csv`.")],
    root: Annotated[Path, typer.Option(help="The folder of photographs that will be trained on.")],
) -> None:
    """Write pairs that belong together, and pairs that look alike and do not, by their paths within a folder."""
    _require_suffix(file, ".csv")
    made = list(pairs_of_feedback(run(_opinions())))
    within = [(_path_in(root, one), _path_in(root, other), source) for one, other, source in made]
    kept = [one for one in within if one[0] and one[1]]
    lines = io.StringIO(newline="")
    rows = csv.writer(lines)
    rows.writerow(("first", "second", "source"))
    rows.writerows(kept)
    _write(file, lines.getvalue())
    errors.print(
        f"{len(kept)} pairs: {file}; {len(made) - len(kept)} of pictures that do not lie in {root}.",
        markup=False,
    )


def _write(file: Path, text: str) -> None:
    try:
        with writing(file, "FILE"):
            file.write_text(text, encoding="utf-8", newline="")
    except OmmaError as error:
        fail(error)


def _require_suffix(file: Path, suffix: str) -> None:
    """Said before the work: what reads the file tells its kind by the suffix."""
    if file.suffix != suffix or not may_become(file):
        fail(InvalidQuery(f"{file} must be a file of a folder that is there, with suffix {suffix}.", field="FILE"))


async def _opinions() -> list[Opinion]:
    """Of pictures that are still there, the newest first."""
    async with connected(StandaloneSettings()) as connection:
        said = [one async for one in _every(connection)]
    return [
        Opinion(one["query_uri"], one["uri"], FeedbackAction(one["action"]))
        for one in said
        if one.get("uri") and one.get("query_uri")
    ]


async def _every(connection: Connection) -> AsyncIterator[dict[str, Any]]:
    cursor: dict[str, str] = {}
    while True:
        page = await connection.call("GET", "/feedback", params={"limit": _AT_ONCE, **cursor})
        for one in page["feedback"]:
            yield one
        if "next_cursor" not in page:
            return
        cursor = {"cursor": page["next_cursor"]}


def _path_in(root: Path, uri: str) -> str:
    parts = urlsplit(uri)
    path = Path(unquote(parts.path))
    folder = root.resolve()
    return path.relative_to(folder).as_posix() if parts.scheme == "file" and path.is_relative_to(folder) else ""
