"""`omma key create | list | revoke`."""

from typing import Annotated

import typer
from rich.table import Table

from omma.catalog.interface import Role
from services.standalone.connection import call_once
from services.standalone.output import Json, console, errors, print_json, run

app = typer.Typer(no_args_is_help=True, help="API keys: who may do what, for which tenant.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="For people: who uses it.")],
    role: Annotated[Role, typer.Option(help="Each includes the ones before it.")] = Role.WRITE,
    tenant: Annotated[str, typer.Option(help="Whose pictures it sees.")] = "default",
    json: Json = False,
) -> None:
    """Make a key and print its secret, which is shown this once and not stored."""
    made = run(call_once("POST", "/keys", json={"name": name, "role": role.value, "tenant": tenant}))
    if json:
        print_json(made)
        return
    errors.print(f"{made['role']} key {made['name']} of tenant {made['tenant']}; it is not shown again:")
    print(made["secret"])


@app.command("list")
def list_keys(json: Json = False) -> None:
    """Every key, without its secret."""
    keys = run(call_once("GET", "/keys"))["keys"]
    if json:
        print_json(keys)
        return
    table = Table("id", "name", "role", "tenant", "state", header_style="bold")
    for key in keys:
        table.add_row(key["id"], key["name"], key["role"], key["tenant"], "revoked" if key["revoked"] else "valid")
    console.print(table if keys else "There are no keys.")


@app.command()
def revoke(id: Annotated[str, typer.Argument(help="As `omma key list` shows it.")], json: Json = False) -> None:
    """A key works no more, some seconds from now at the latest."""
    revoked = run(call_once("DELETE", f"/keys/{id}"))
    if json:
        print_json(revoked)
    else:
        console.print(f"Key {revoked['name']} is revoked.")
