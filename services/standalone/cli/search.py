"""`omma search`."""

import asyncio
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from omma.errors import OmmaError
from omma.written import number_of
from services.gateway.search.query import MAX_K
from services.standalone.asking import Question, ask, picture_argument, section, table
from services.standalone.connection import connected
from services.standalone.contact_sheet import render
from services.standalone.files import writing
from services.standalone.numbers import whole
from services.standalone.output import Json, console, errors, fail, print_json, run, shown
from services.standalone.settings import StandaloneSettings


def search(  # noqa: PLR0917  typer's options
    picture: Annotated[str | None, typer.Argument(help="A picture's file, or the id of a stored picture.")] = None,
    text: Annotated[str, typer.Option(help="Words; mixed with the picture when both are given.")] = "",
    bbox: Annotated[str, typer.Option(help="x1,y1,x2,y2: only this part of the picture, in pixels.")] = "",
    k: Annotated[int, typer.Option("-k", parser=whole(1, MAX_K), help=f"How many, 1 to {MAX_K}.")] = 10,
    filter: Annotated[str, typer.Option(help='JSON, such as {"tags": "cat"}.')] = "",
    threshold: Annotated[str, typer.Option(help="Only what scores so much, -1 to 1; auto: the index's own.")] = "",
    html: Annotated[Path | None, typer.Option(help="Also write a contact sheet to this file.")] = None,
    json: Json = False,
) -> None:
    """Find pictures by picture, by a crop of it, or by words."""
    if picture is None and not text:
        raise typer.BadParameter("Give a PICTURE, --text, or both.")
    asked = [f"like {shown(picture)}"] if picture else ["by words"]
    asked += [f"at {bbox}"] if bbox else []
    try:
        given = None if picture is None else picture_argument(picture)
    except OmmaError as error:
        fail(error)
    question = Question(" ".join(asked), given, text, bbox, k, filter, _threshold(threshold))
    answer = run(_search(question, html))
    if json:
        print_json(answer)
    else:
        console.print(table(question, answer))


def _threshold(given: str) -> float | Literal["auto"] | None:
    if not given:
        return None
    if given == "auto":
        return "auto"
    threshold = number_of(given)
    if threshold is None:
        raise typer.BadParameter("A threshold is a number or auto.")
    return threshold


async def _search(question: Question, html: Path | None) -> dict[str, Any]:
    async with connected(StandaloneSettings()) as connection:
        answer = await ask(connection, question)
        if html is not None:
            page = render("Omma: search", [await section(connection, question, answer)])
            with writing(html, "html"):
                await asyncio.to_thread(html.write_text, page, "utf-8")
            errors.print(f"Contact sheet: {html}", markup=False)
    return answer
