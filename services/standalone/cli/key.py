"""`omma key create | list | revoke`."""

from typing import Annotated, Any

import httpx
import typer

from omma.catalog.api_key import Role
from omma.catalog.postgres_settings import PostgresSettings
from omma.client.arguments import in_path
from services.standalone.connection import Connection, call_once
from services.standalone.output import Json, console, errors, print_json, run, table
from services.standalone.settings import StandaloneSettings

app = typer.Typer(no_args_is_help=True, help="API keys: who may do what, for which tenant.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="For people: who uses it.")],
    role: Annotated[
        Role, typer.Option(help="Each includes the ones before it; admin is of every tenant.")
    ] = Role.WRITE,
    tenant: Annotated[
        str, typer.Option(help="Whose pictures it sees; your own key's unless given, an admin's `default`.")
    ] = "",
    json: Json = False,
) -> None:
    """Make a key and print its secret, which is shown this once and not stored."""
    asked = {"name": name, "role": role.value, **({"tenant": tenant} if tenant else {})}
    made = run(_ask("POST", "/keys", json=asked))
    if json:
        print_json(made)
        return
    errors.print(
        f"{made['role']} key {made['name']} of tenant {made['tenant']}; it is not shown again:",
        markup=False,
    )
    print(made["secret"])


@app.command("list")
def list_keys(json: Json = False) -> None:
    """Every key, without its secret."""
    keys = run(_ask("GET", "/keys"))["keys"]
    if json:
        print_json(keys)
        return
    rows = table("id", "name", "role", "tenant", "state")
    for key in keys:
        rows.add_row(key["id"], key["name"], key["role"], key["tenant"], "revoked" if key["revoked"] else "valid")
    console.print(rows if keys else "There are no keys.")


@app.command()
def revoke(id: Annotated[str, typer.Argument(help="As `omma key list` shows it.")], json: Json = False) -> None:
    """A key works no more, some seconds from now at the latest."""
    revoked = run(_revoked(id))
    if json:
        print_json(revoked)
    else:
        console.print(f"Key {revoked['name']} is revoked.", markup=False)


async def _revoked(id: str) -> Any:
    return await _ask("DELETE", f"/keys/{in_path(id)}")


async def _ask(method: str, path: str, **options: Any) -> Any:
    """As `call_once`; a cluster's catalog, which another process may hold open too, is asked by itself.

    Opening the rest would index and consume beside the cluster, and its first key cannot be asked of its gateway.
    """
    settings = StandaloneSettings()
    if settings.url or settings.postgres is None:
        return await call_once(method, path, make=True, **options)
    return await _ask_catalog(settings.postgres, settings.gateway.max_json_bytes, method, path, **options)


async def _ask_catalog(settings: PostgresSettings, max_json_bytes: int, method: str, path: str, **options: Any) -> Any:
    # Not for every command: what it takes is slow to import, and the driver comes with the extra `cluster`.
    from fastapi import FastAPI, Request

    from omma.catalog.postgres import open_postgres_catalog
    from omma.identity import DEFAULT_TENANT
    from services.gateway.callers.audit import AuditTrail
    from services.gateway.callers.auth import Caller
    from services.gateway.callers.changes import made_by
    from services.gateway.callers.keys import Keys
    from services.gateway.rest.audited import Audited
    from services.gateway.rest.checked_route import take_json
    from services.gateway.rest.keys import keys_router

    async def trusted(request: Request) -> Caller:
        owner = Caller(DEFAULT_TENANT, Role.ADMIN, "owner", "owner")
        made_by(owner)
        return owner  # who reaches the database may do what an admin may

    catalog = await open_postgres_catalog(settings)
    try:
        app, trail = FastAPI(), AuditTrail(catalog)
        take_json(app, max_json_bytes)
        app.add_middleware(Audited, trail=trail)
        app.include_router(keys_router(Keys(catalog), trusted))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://catalog") as client:
            told = await Connection(client, "the catalog").call(method, path, **options)
        await trail.flush()
        return told
    finally:
        await catalog.close()
