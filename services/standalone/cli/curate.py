"""`omma clusters`, `omma anomalies`, `omma duplicates`."""

from typing import Annotated, Any, Final

import typer

from omma.errors import OmmaError
from omma.job_kinds import MAX_CLUSTERED
from services.gateway.curation.anomalies import MAX_PAGE
from services.standalone.connection import call_once, connected
from services.standalone.filters import parsed
from services.standalone.jobs import result_of
from services.standalone.numbers import number, picture_id, whole
from services.standalone.output import Json, console, fail, print_json, run, table
from services.standalone.settings import StandaloneSettings

_SHOWN_IDS: Final = 8
_MEASURES: Final = ("distance", "density", "training")


def clusters(
    ids: Annotated[
        list[int] | None,
        typer.Argument(parser=picture_id, metavar="[ID]...", help="Of these pictures; else of all, or of --filter."),
    ] = None,
    filter: Annotated[str | None, typer.Option(help="JSON, as of a search.")] = None,
    limit: Annotated[
        int, typer.Option(parser=whole(1, MAX_CLUSTERED), help=f"Pictures, by id: 1 to {MAX_CLUSTERED}.")
    ] = 1_000,
    threshold: Annotated[
        float | None, typer.Option(parser=number(-1, 1), help="Least mean cosine of two that become one, -1 to 1.")
    ] = None,
    json: Json = False,
) -> None:
    """Pictures in groups that look alike, the largest first."""
    try:
        kept = parsed(filter) if filter else None
    except OmmaError as error:
        fail(error)
    asked = {"image_ids": ids or None, "filter": kept, "limit": limit, "threshold": threshold}
    found = run(_clusters({name: value for name, value in asked.items() if value is not None}))
    if json:
        print_json(found)
        return
    rows = table("pictures", "label", "such as")
    for one in found["clusters"]:
        rows.add_row(str(len(one["ids"])), one.get("label", ""), _few(one["ids"]))
    console.print(rows if found["clusters"] else "There are no clusters.")


def anomalies(
    by: Annotated[str, typer.Option(help=f"{', '.join(_MEASURES)}.")] = "distance",
    limit: Annotated[int, typer.Option(parser=whole(1, MAX_PAGE), help=f"1 to {MAX_PAGE}.")] = 50,
    json: Json = False,
) -> None:
    """What stands apart, the farthest first, as last measured: each night unless set otherwise."""
    found = run(call_once("GET", "/qa/anomalies", params={"by": by, "limit": limit}))["images"]
    if json:
        print_json(found)
        return
    rows = table("picture", "score", "reasons")
    for one in found:
        rows.add_row(str(one["id"]), f"{one['score']:.3f}", ", ".join(one["reasons"]))
    console.print(rows if found else "Nothing was measured yet.")


def duplicates(
    limit: Annotated[int, typer.Option(parser=whole(1), help="Groups.")] = 50,
    json: Json = False,
) -> None:
    """Groups of copies, and which of each is kept."""
    found = run(_duplicates(limit))
    if json:
        print_json(found)
        return
    rows = table("keep", "copies", "bits of 256 apart")
    for one in found:
        others = [image_id for image_id in one["ids"] if image_id != one["keep"]]
        rows.add_row(str(one["keep"]), _few(others), _few(one["distances"]))
    console.print(rows if found else "There are no copies.")


async def _clusters(asked: dict[str, Any]) -> dict[str, Any]:
    async with connected(StandaloneSettings()) as connection:
        answer = await connection.call("POST", "/search/cluster", json=asked, params={"wait_seconds": 0})
        return await result_of(connection, answer["job_id"]) if "job_id" in answer else dict(answer)


async def _duplicates(limit: int) -> list[dict[str, Any]]:
    """A page may have none, and another one after it."""
    found: list[dict[str, Any]] = []
    async with connected(StandaloneSettings()) as connection:
        params: dict[str, str] = {}
        while len(found) < limit:
            page = await connection.call("GET", "/duplicates", params=params)
            found += page["groups"]
            if "next_cursor" not in page:
                break
            params = {"cursor": page["next_cursor"]}
    return found[:limit]


def _few(values: list[Any]) -> str:
    shown = ", ".join(map(str, values[:_SHOWN_IDS]))
    return f"{shown}, …" if len(values) > _SHOWN_IDS else shown
