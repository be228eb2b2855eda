"""`omma space list | show | create`."""

from typing import Annotated, Any

import typer

from omma.errors import Absent
from omma.space import LEAST_DIM, MOST_DIM
from services.standalone.connection import call_once
from services.standalone.numbers import whole
from services.standalone.output import Json, console, print_json, run, table

app = typer.Typer(no_args_is_help=True, help="The spaces: what vectors of which model are comparable.")


@app.command("list")
def list_spaces(json: Json = False) -> None:
    """Every space and its indexes."""
    found = run(_spaces())
    if json:
        print_json(found)
        return
    rows = table("space", "model", "dim", "buckets", "indexes")
    for one in found:
        rows.add_row(
            one["id"],
            one["model"] or "(your own vectors)",
            str(one["dim"]),
            str(one["buckets"]),
            ", ".join(one["indexes"]),
        )
    console.print(rows if found else "There are no spaces.")


@app.command()
def show(space: Annotated[str, typer.Argument(help="As `omma space list` shows it.")], json: Json = False) -> None:
    """One space: what every vector of it is stamped with."""
    known = {one["id"]: one for one in run(_spaces())}
    found = run(_of(space, known))
    if json:
        print_json(found)
    else:
        console.print_json(data=found)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Small letters, digits, dots, dashes and underscores.")],
    dim: Annotated[
        int, typer.Option(parser=whole(LEAST_DIM, MOST_DIM), help=f"Numbers of each vector, {LEAST_DIM} to {MOST_DIM}.")
    ],
    json: Json = False,
) -> None:
    """A space for vectors of your own, with its index. Again: the same answer."""
    made = run(call_once("POST", "/spaces", json={"name": name, "dim": dim}))
    if json:
        print_json(made)
    else:
        console.print(f"Space {made['id']} of {made['dim']} numbers; index {made['indexes'][0]}.", markup=False)


async def _spaces() -> list[dict[str, Any]]:
    spaces: list[dict[str, Any]] = (await call_once("GET", "/spaces"))["spaces"]
    return spaces


async def _of(space: str, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if space not in known:
        raise Absent(f"There is no space {space!r}; there are: {', '.join(sorted(known)) or 'none'}.", field="space")
    return known[space]
