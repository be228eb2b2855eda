"""`omma quota list | set | remove`."""

from typing import Annotated, Any

import typer

from omma.catalog.quota import MAX_BYTES, MAX_PICTURES
from omma.client.arguments import in_path
from services.standalone.connection import call_once
from services.standalone.numbers import whole
from services.standalone.output import Json, console, print_json, run, table

app = typer.Typer(no_args_is_help=True, help="How many pictures, and bytes of them, a tenant may keep.")
_Tenant = Annotated[str, typer.Argument(help="Or '*', for tenants without limits of their own.")]


@app.command("list")
def list_quotas(json: Json = False) -> None:
    """Every limit, and how much of it is used."""
    found = run(call_once("GET", "/quotas"))["quotas"]
    if json:
        print_json(found)
        return
    rows = table("tenant", "pictures", "at most", "bytes", "at most")
    for one in found:
        rows.add_row(
            one["tenant"],
            f"{one['pictures']:,}",
            _limit(one["max_pictures"]),
            f"{one['bytes']:,}",
            _limit(one["max_bytes"]),
        )
    console.print(rows if found else "No tenant has limits.")


@app.command("set")
def set_quota(
    tenant: _Tenant,
    pictures: Annotated[int | None, typer.Option(parser=whole(0, MAX_PICTURES), help="Without it, any number.")] = None,
    bytes: Annotated[int | None, typer.Option(parser=whole(0, MAX_BYTES), help="Of originals, together.")] = None,
    json: Json = False,
) -> None:
    """Limit how much a tenant may keep. What it keeps already stays."""
    asked: dict[str, Any] = {"max_pictures": pictures, "max_bytes": bytes}
    told = run(_asked("PUT", tenant, json=asked))
    if json:
        print_json(told)
        return
    used = f"{told['pictures']:,} pictures of {told['bytes']:,} bytes"
    limits = f"{_limit(told['max_pictures'])} pictures, {_limit(told['max_bytes'])} bytes"
    console.print(f"Tenant {told['tenant']} keeps {used}, and may keep {limits}.", markup=False)


@app.command()
def remove(tenant: _Tenant) -> None:
    """Take a tenant's limits away."""
    run(_asked("DELETE", tenant))
    console.print(f"Tenant {tenant} has no limits of its own.", markup=False)


async def _asked(method: str, tenant: str, **options: Any) -> Any:
    return await call_once(method, f"/quotas/{in_path(tenant, 'tenant')}", **options)


def _limit(limit: int | None) -> str:
    return "any number" if limit is None else f"{limit:,}"
