"""`omma index list | show | rebuild`."""

from typing import Annotated, Any

import typer

from omma.errors import Absent
from services.standalone.connection import call_once
from services.standalone.output import Json, console, print_json, run, table

app = typer.Typer(no_args_is_help=True, help="The indexes: how what is stored is searched.")


@app.command("list")
def list_indexes(json: Json = False) -> None:
    """Every index and its state."""
    found = run(call_once("GET", "/indexes"))["indexes"]
    if json:
        print_json(found)
        return
    rows = table("index", "state", "shards", "factory", "codebook")
    for one in found:
        rows.add_row(one["id"], one["state"], str(one["shards"]), one["factory"], (one["codebook"] or "")[:12])
    console.print(rows if found else "There are no indexes.")


@app.command()
def show(index: Annotated[str, typer.Argument(help="As `omma index list` shows it.")], json: Json = False) -> None:
    """One index: its recall, whether its codebook still fits, and the rollouts that it took part in."""
    found = run(_one(index))
    if json:
        print_json(found)
    else:
        console.print_json(data=found)


async def _one(index: str) -> dict[str, Any]:
    indexes = {one["id"]: one for one in (await call_once("GET", "/indexes"))["indexes"]}
    if index not in indexes:
        raise Absent(f"There is no index {index!r}; there are: {', '.join(sorted(indexes)) or 'none'}.", field="index")
    rollouts = (await call_once("GET", "/rollouts"))["rollouts"]
    took_part = [one["id"] for one in rollouts if index in (one["candidate"]["id"], one["control"]["id"])]
    return {**indexes[index], "rollouts": took_part}


@app.command()
def rebuild(
    name: Annotated[str, typer.Option("--name", help="Of the new index; made up unless given.")] = "",
    reason: Annotated[str, typer.Option(help="Why, for the audit.")] = "",
    json: Json = False,
) -> None:
    """Roll out the live index with a codebook trained anew, on what it holds now; embeds nothing."""
    begun = run(_rebuilt(name, reason))
    if json:
        print_json(begun)
        return
    print(begun["id"])
    console.print(f"{begun['candidate']['id']} is being built: `omma rollout status`.", markup=False)


async def _rebuilt(name: str, reason: str) -> dict[str, Any]:
    indexes = (await call_once("GET", "/indexes"))["indexes"]
    live = next((one for one in indexes if one["state"] == "live"), None)
    if live is None:
        raise Absent("No index is live yet: there is nothing to rebuild.", field="index")
    numbers = [one["id"].rpartition(".")[2] for one in indexes if one["space"] == live["space"]]
    made_up = f"{live['space']}.{max((int(one) for one in numbers if one.isdigit()), default=0) + 1}"
    asked = {"index": name or made_up, "codebook": "retrain", "reason": reason or "rebuilt"}
    begun: dict[str, Any] = await call_once("POST", "/rollouts", json=asked)
    return begun
