"""`omma dead-letters list | show | replay`."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from services.standalone.connection import call_once
from services.standalone.numbers import picture_id
from services.standalone.output import Json, console, print_json, run, table

app = typer.Typer(no_args_is_help=True, help="Pictures that could not be read, why, and another try.")


@app.command("list")
def list_letters(json: Json = False) -> None:
    """Every picture that could not be read."""
    letters = run(call_once("GET", "/dead-letters"))["dead_letters"]
    if json:
        print_json(letters)
        return
    rows = table("id", "kind", "reason", "uri", "when")
    for letter in letters:
        when = datetime.fromtimestamp(letter["failed_at_ms"] / 1000, UTC).isoformat(sep=" ", timespec="seconds")
        rows.add_row(str(letter["image_id"]), letter["kind"], letter["reason"], letter["uri"], when)
    console.print(rows if letters else "There are no dead letters.")


@app.command()
def show(image_id: Annotated[int, typer.Argument(parser=picture_id, metavar="ID")], json: Json = False) -> None:
    """All that is known of one."""
    letter = run(call_once("GET", f"/dead-letters/{image_id}"))
    if json:
        print_json(letter)
        return
    for name, value in letter.items():
        console.print(f"[bold]{escape(name)}[/]: {escape(str(value))}")


@app.command()
def replay(
    image_ids: Annotated[
        list[int] | None, typer.Argument(parser=picture_id, metavar="ID", help="None: all of them.")
    ] = None,
    json: Json = False,
) -> None:
    """Try to read them again, after mending what was wrong."""
    replayed = run(call_once("POST", "/dead-letters/replay", json={"image_ids": image_ids or None}))
    if json:
        print_json(replayed)
    else:
        console.print(
            f"{len(replayed['replayed'])} tried again, {len(replayed['dead_again'])} dead again.",
            markup=False,
        )
