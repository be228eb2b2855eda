"""`omma rollout …`: another index beside the live one, a step at a time, and back."""

import asyncio
import csv
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from omma.client.arguments import in_path
from omma.errors import Absent, InvalidQuery
from omma.rollouts.rollout import RUNNING, Mode
from omma.written import number_of, whole_of
from services.standalone.connection import Connection, connected
from services.standalone.numbers import whole
from services.standalone.output import Json, console, print_json, run, table
from services.standalone.settings import StandaloneSettings

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Roll out a model, codebook or number of shards, and go back.")

_WATCH_SECONDS: Final = 2.0

Id = Annotated[str, typer.Option("--id", help="The rollout; the newest unless given.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit.")]


@app.command()
def start(  # noqa: PLR0917  options
    model: Annotated[
        str, typer.Option(help="NAME@VERSION: another model, whose space is built from all pictures.")
    ] = "",
    index: Annotated[str, typer.Option(help="The new index's name; made up for a new model.")] = "",
    codebook: Annotated[str, typer.Option(help="`retrain`: a codebook of its own, in the live index's space.")] = "",
    factory: Annotated[str, typer.Option(help="Another FAISS factory, in the live index's space.")] = "",
    shards: Annotated[
        int | None, typer.Option(parser=whole(), help="Another number of shards, in the live index's space.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="How the canary shares callers out.")] = Mode.SPLIT,
    auto_promote: Annotated[bool, typer.Option(help="Promote by itself when the verdict is to.")] = False,
    reason: Reason = "",
    json: Json = False,
) -> None:
    """Build another index beside the one that answers; prints the rollout's id."""
    asked: dict[str, Any] = {
        "model": model,
        "index": index,
        "codebook": codebook,
        "factory": factory,
        "mode": mode.value,
        "auto_promote": auto_promote,
        "reason": reason,
    }
    if shards is not None:
        asked["shards"] = shards
    begun = run(_call("POST", "/rollouts", json=asked))
    if json:
        print_json(begun)
        return
    print(begun["id"])
    takes = begun["figures"]["preflight"]
    console.print(
        f"{begun['candidate']['id']} is being built: {takes['embedded']} pictures to embed, some {takes['seconds']} s, "
        f"{takes['disk_bytes'] / 1e6:.0f} MB of disk and {takes['memory_bytes'] / 1e6:.0f} MB of memory.",
        markup=False,
    )
    if takes.get("words") is False:
        console.print("It knows no words: who searches with words is told so (409) on its side.")


@app.command()
def status(
    id: Annotated[str, typer.Argument(help="The newest unless given.")] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Until the rollout is over, or Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """How far it is: state, gates, figures, and who did what."""
    run(_status(id, watch, json))


@app.command()
def pause(id: Id = "", reason: Reason = "", json: Json = False) -> None:
    """Build no further for now."""
    _show(run(_step(id, "pause", {"reason": reason})), json)


@app.command()
def resume(id: Id = "", reason: Reason = "", json: Json = False) -> None:
    """Go on building."""
    _show(run(_step(id, "resume", {"reason": reason})), json)


@app.command()
def judge(
    file: Annotated[Path, typer.Argument(help="CSV by id: `picture,label`, or `query,picture,grade` (0 to 5).")],
    id: Id = "",
    json: Json = False,
) -> None:
    """Compare the arms on what people judged; the loss in nDCG@10 is a gate of the canary."""
    _show(run(_judge(id, file)), json)


@app.command()
def canary(
    share: Annotated[str, typer.Argument(metavar="SHARE", help="Percent of callers, 1 to 100.")],
    force: Annotated[bool, typer.Option("--force", help="Whatever the gate says.")] = False,
    id: Id = "",
    reason: Reason = "",
    json: Json = False,
) -> None:
    """Answer a share of callers from the candidate."""
    _show(run(_canary(id, share, {"force": force, "reason": reason})), json)


@app.command()
def promote(id: Id = "", reason: Reason = "", json: Json = False) -> None:
    """Let the candidate answer everybody; the index that did so far is kept and can be gone back to."""
    _show(run(_step(id, "promote", {"reason": reason})), json)


@app.command()
def rollback(id: Id = "", reason: Reason = "", json: Json = False) -> None:
    """Let the former index answer everybody again."""
    _show(run(_step(id, "rollback", {"reason": reason})), json)


@app.command()
def abort(id: Id = "", reason: Reason = "", json: Json = False) -> None:
    """Give the candidate up, and remove what was built."""
    _show(run(_step(id, "abort", {"reason": reason})), json)


@app.command()
def retire(
    yes: Annotated[bool, typer.Option("--yes", help="Also what was live until lately.")] = False,
    id: Id = "",
    reason: Reason = "",
    json: Json = False,
) -> None:
    """Remove the data of the index that lost. After that nothing can be gone back to."""
    _show(run(_step(id, "retire", {"reason": reason, "yes": yes})), json)


async def _call(method: str, path: str, **options: Any) -> Any:
    async with connected(StandaloneSettings()) as connection:
        return await connection.call(method, path, **options)


async def _step(id: str, step: str, body: Mapping[str, Any]) -> Any:
    async with connected(StandaloneSettings()) as connection:
        return await connection.call("POST", f"/rollouts/{in_path(await _chosen(connection, id))}/{step}", json=body)


async def _canary(id: str, share: str, body: Mapping[str, Any]) -> Any:
    return await _step(id, "canary", {**body, "share": _number(share)})


async def _judge(id: str, file: Path) -> Any:
    return await _step(id, "judgments", await asyncio.to_thread(_judgments, file))


def _judgments(file: Path) -> dict[str, Any]:
    """Raises InvalidQuery, field `FILE`."""
    labels: dict[str, str] = {}
    grades: dict[str, dict[str, int]] = {}
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            for row in csv.reader(lines):
                match [cell.strip() for cell in row]:
                    case [picture, label] if picture.isascii() and picture.isdecimal():
                        _add(labels, picture, label)
                    case [query, picture, grade] if query.isascii() and query.isdecimal():
                        _add(grades.setdefault(query, {}), picture, _grade(grade))
                    case _:  # a header, an empty line
                        continue
    except (OSError, ValueError, csv.Error) as error:
        raise InvalidQuery(f"{file} cannot be read as judgments: {error}.", field="FILE") from None
    return {name: value for name, value in (("labels", labels), ("grades", grades)) if value}


def _add(judged: dict[str, T], picture: str, said: T) -> None:
    """Raises ValueError."""
    if judged.setdefault(picture, said) != said:
        raise ValueError(f"{picture} is judged twice, as {judged[picture]} and as {said}")


def _grade(cell: str) -> int:
    """Raises ValueError."""
    grade = whole_of(cell)
    if grade is None:
        raise ValueError(f"{cell!r} is no grade, 0 to 5")
    return grade


def _number(share: str) -> float:
    number = number_of(share)
    if number is None or not math.isfinite(number):  # which JSON cannot say
        raise InvalidQuery("share is a percentage of callers, 1 to 100.", field="share")
    return number


async def _chosen(connection: Connection, id: str) -> str:
    if id:
        return id
    known = (await connection.call("GET", "/rollouts"))["rollouts"]
    if not known:
        raise Absent("There is no rollout yet: `omma rollout start --model NAME@VERSION`.", field="rollout")
    return str(known[0]["id"])


async def _status(id: str, watch: bool, json: bool) -> None:
    async with connected(StandaloneSettings()) as connection:
        chosen = await _chosen(connection, id)
        while True:
            found = await connection.call("GET", f"/rollouts/{in_path(chosen)}")
            _show(found, json)
            if not watch or found["state"] not in RUNNING:
                return
            await asyncio.sleep(_WATCH_SECONDS)


def _show(rollout: Mapping[str, Any], json: bool) -> None:
    if json:
        print_json(rollout)
        return
    share = f", {rollout['share']:g} % of callers" if rollout["state"] == "canary" else ""
    console.print(
        f"Rollout {rollout['id']} is {rollout['state']}{share}: {rollout['candidate']['id']} "
        f"({rollout['candidate']['state']}) beside {rollout['control']['id']} ({rollout['control']['state']}).",
        markup=False,
    )
    build = rollout["figures"].get("build")
    if build is not None and rollout["state"] in ("building", "paused"):
        console.print(f"{build['held']} of {build['live']} pictures are in it.", markup=False)
    for gate in rollout["gates"]:
        mark = "met" if gate["met"] else "not met"
        console.print(f"  {gate['name']}: {gate['value']} ({mark}; {gate['needed']})", markup=False)
    if judged := rollout.get("judged"):
        found = judged["ndcg_at_10"]
        console.print(
            f"nDCG@10 of {judged['queries']} judged queries: {found['candidate']} against {found['control']}; a loss "
            f"of {judged['ndcg_loss']}, at most {judged['ndcg_loss_upper']}.",
            markup=False,
        )
    if rollout["reasons"]:
        console.print(f"Verdict: {rollout['verdict']}. {' '.join(rollout['reasons'])}", markup=False)
    show_audit(rollout["audit"])
    routing = rollout["routing"]
    seen = ", ".join(f"{name} {epoch}" for name, epoch in routing["followers"].items()) or "nobody"
    console.print(f"Routing {routing['epoch']}; followed: {seen}.", markup=False)
    if rollout["allowed"]:
        console.print(f"Allowed: {', '.join(rollout['allowed'])}.", markup=False)


def show_audit(audit: Sequence[Mapping[str, Any]]) -> None:
    """Who took which step, when and why."""
    rows = table("when", "step", "state", "by", "why")
    for entry in audit:
        when = datetime.fromtimestamp(entry["at_ms"] / 1000, UTC).isoformat(sep=" ", timespec="seconds")
        rows.add_row(when, entry["step"], entry["state"], entry["by"], entry["reason"])
    console.print(rows)
