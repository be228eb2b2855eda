"""`omma experiment …`: a share of callers is answered another way from the same index."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from omma.client.arguments import in_path
from omma.errors import Absent, InvalidQuery
from omma.rollouts.arms import MAX_SHARE, MIN_SHARE
from omma.rollouts.rollout import Mode
from services.standalone.cli.rollout import show_audit
from services.standalone.connection import call_once
from services.standalone.numbers import number
from services.standalone.output import Json, console, print_json, run

app = typer.Typer(no_args_is_help=True, help="Compare two ways to search the same index, and keep the better one.")

_NUMBERS: Final = ("effort", "duplicate_bits")

Name = Annotated[str, typer.Option("--name", help="The experiment; the newest unless given.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit.")]


@app.command()
def start(  # noqa: PLR0917  options
    name: Annotated[str, typer.Option("--name", help="What it is called.")],
    arm: Annotated[
        list[str],
        typer.Option(
            "--arm",
            help="What the candidate does: policy=NAME, effort=1…10, duplicate_bits=1…64; several, or with commas.",
        ),
    ],
    share: Annotated[
        float,
        typer.Option(parser=number(MIN_SHARE, MAX_SHARE), help=f"Percent of callers, {MIN_SHARE:g} to {MAX_SHARE:g}."),
    ] = 50.0,
    mode: Annotated[Mode, typer.Option(help="How callers are shared out.")] = Mode.SPLIT,
    auto_promote: Annotated[bool, typer.Option(help="Promote by itself when the verdict is to.")] = False,
    reason: Reason = "",
    json: Json = False,
) -> None:
    """Answer a share of callers another way, where their searches do not say how themselves."""
    body = {"name": name, "share": share, "mode": mode.value, "auto_promote": auto_promote, "reason": reason}
    _show(run(_started(body, arm)), json)


@app.command()
def status(name: Annotated[str, typer.Argument(help="The newest unless given.")] = "", json: Json = False) -> None:
    """Arms, figures, verdict, and who did what."""
    _show(run(_one(name)), json)


@app.command()
def promote(
    arm: Annotated[str, typer.Argument(metavar="ARM", help="candidate, or control.")],
    name: Name = "",
    reason: Reason = "",
    json: Json = False,
) -> None:
    """Let every search do as this arm does."""
    _show(run(_step(name, "promote", {"arm": arm, "reason": reason})), json)


@app.command()
def stop(name: Name = "", reason: Reason = "", json: Json = False) -> None:
    """Let every search do as before it, also after a promotion."""
    _show(run(_step(name, "stop", {"reason": reason})), json)


async def _started(body: Mapping[str, Any], arms: Sequence[str]) -> Any:
    return await call_once("POST", "/experiments", json={**body, "arm": settings_of(arms)})


def settings_of(arms: Sequence[str]) -> dict[str, Any]:
    """The arm as POST /experiments takes it. Raises InvalidQuery, field `arm`, for what is no part or comes twice."""
    said: dict[str, Any] = {}
    for part in ",".join(arms).split(","):
        key, separator, value = part.partition("=")
        if not separator or key in said:
            raise InvalidQuery("An arm is policy=NAME, effort=1…10, duplicate_bits=1…64, each once.", field="arm")
        said[key] = int(value) if key in _NUMBERS and value.isascii() and value.isdigit() else value
    return said


async def _one(name: str) -> Any:
    return await call_once("GET", f"/experiments/{in_path(await _chosen(name))}")


async def _step(name: str, step: str, body: Mapping[str, Any]) -> Any:
    return await call_once("POST", f"/experiments/{in_path(await _chosen(name))}/{step}", json=body)


async def _chosen(name: str) -> str:
    if name:
        return name
    known = (await call_once("GET", "/experiments"))["experiments"]
    if not known:
        raise Absent("There is no experiment yet: `omma experiment start`.", field="experiment")
    return str(known[0]["name"])


def _show(experiment: Mapping[str, Any], json: bool) -> None:
    if json:
        print_json(experiment)
        return
    arms = {arm: " ".join(f"{key}={value}" for key, value in of.items()) for arm, of in experiment["arms"].items()}
    console.print(
        f"Experiment {experiment['name']} ({experiment['id']}) is {experiment['state']}, {experiment['share']:g} % of "
        f"callers: {arms['candidate']} against {arms['control'] or 'what is default'}.",
        markup=False,
    )
    if experiment["reasons"]:
        console.print(f"Verdict: {experiment['verdict']}. {' '.join(experiment['reasons'])}", markup=False)
    show_audit(experiment["audit"])
    if experiment["allowed"]:
        console.print(f"Allowed: {', '.join(experiment['allowed'])}.", markup=False)
