"""`omma audit`."""

from typing import Annotated, Any

import typer

from omma.catalog.audit import MAX_PAGE
from services.standalone.connection import call_once
from services.standalone.numbers import whole
from services.standalone.output import Json, console, print_json, run, table


def audit(
    tenant: Annotated[str, typer.Option(help="By its callers only.")] = "",
    limit: Annotated[int, typer.Option(parser=whole(1, MAX_PAGE), help=f"The newest so many, 1 to {MAX_PAGE}.")] = 50,
    json: Json = False,
) -> None:
    """Who changed what, the newest first."""
    asked: dict[str, Any] = {"limit": limit, **({"tenant": tenant} if tenant else {})}
    found = run(call_once("GET", "/audit", params=asked))
    if json:
        print_json(found)
        return
    rows = table("at", "tenant", "by", "call", "object", "outcome")
    for one in found["audit"]:
        by = f"{one['name']} ({one['by']})" if one["name"] not in ("", one["by"]) else one["by"] or "no key"
        rows.add_row(one["at"], one["tenant"], by, one["call"], one["object"], one["outcome"])
    console.print(rows if found["audit"] else "Nobody has changed anything.")
