"""`omma erase`: pictures that nothing of stays."""

from typing import Annotated, Any, Final

import typer

from omma.errors import OmmaError
from services.standalone.connection import connected
from services.standalone.filters import parsed
from services.standalone.jobs import result_of
from services.standalone.numbers import picture_id
from services.standalone.output import Json, console, fail, print_json, run
from services.standalone.settings import StandaloneSettings

_SUMMED: Final = ("pictures", "log_records", "blobs", "blobs_of_others", "interactions")


def erase(  # noqa: PLR0917  a command's options
    ids: Annotated[
        list[int] | None, typer.Argument(parser=picture_id, metavar="[ID]...", help="Ids of pictures.")
    ] = None,
    external_id: Annotated[
        list[str] | None, typer.Option(help="As given at upload, or a URI; may be repeated.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Every picture of this owner.")] = None,
    filter: Annotated[str | None, typer.Option(help="JSON, as of a search.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Erase pictures for ever: rows, originals, thumbnails, vectors, log, snapshots, interactions. Needs role admin.

    Originals that Omma only refers to, in your folders and buckets, stay; an ingest leaves them out from now on.
    """
    try:
        asked = {
            "ids": ids or None,
            "external_ids": external_id or None,
            "owner": owner,
            "filter": None if filter is None else parsed(filter),
        }
    except OmmaError as error:
        fail(error)
    # An empty one was said, as by a variable of a shell that is unset: left out, the others would erase what they name.
    request = {name: value for name, value in asked.items() if value is not None}
    if not yes:
        typer.confirm("Nobody can take this back. Erase?", abort=True, err=True)
    report = run(_erased(request))
    if json:
        print_json(report)
        return
    for name in (*_SUMMED, "replicas", "seconds"):
        console.print(f"{name.replace('_', ' '):16} {report[name]}", markup=False)
    console.print("Not reached: " + "; ".join(report["not_reached"]) + ".", soft_wrap=True)


async def _erased(request: dict[str, Any]) -> dict[str, Any]:
    """The report, of all calls that it took."""
    async with connected(StandaloneSettings()) as connection:
        report: dict[str, Any] = {}
        while True:
            answer = await connection.call("POST", "/erase", json=request)
            one = await result_of(connection, answer["job_id"], "The pictures are in no answer.")
            report = one | {name: report.get(name, 0) + one[name] for name in (*_SUMMED, "seconds")}
            if not answer["more"]:
                return report
