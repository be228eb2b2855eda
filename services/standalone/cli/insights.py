"""`omma insights`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from omma.catalog.insight import MAX_DAYS
from services.standalone.connection import call_once
from services.standalone.numbers import whole
from services.standalone.output import Json, console, print_json, run, table


def insights(
    days: Annotated[
        int, typer.Option(parser=whole(1, MAX_DAYS), help=f"Today, and so many less one before it: 1 to {MAX_DAYS}.")
    ] = 7,
    tenant: Annotated[str, typer.Option(help="Another one's; needs an admin's key.")] = "",
    json: Json = False,
) -> None:
    """How searches fare, by day and index: clicks, answers without a hit, time to the first click."""
    since = datetime.now(UTC).date() - timedelta(days=days - 1)
    asked = {"since": since.isoformat(), **({"tenant": tenant} if tenant else {})}
    found = run(call_once("GET", "/insights", params=asked))
    if json:
        print_json(found)
        return
    rows = table("day", "index", "searches", "without a hit", "clicked", "median to click")
    for one in found["insights"]:
        seconds = one["median_seconds_to_click"]
        rows.add_row(
            one["day"],
            one["index"],
            f"{one['searches']:,}",
            f"{one['zero_hit_rate']:.1%}",
            f"{one['ctr']:.1%}",
            "" if seconds is None else f"{seconds:g} s",
        )
    console.print(rows if found["insights"] else "No searches were recorded in these days.")
