"""`omma verify [--repair]`: whether blobs, catalog, log and shards say the same."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from services.standalone.connection import connected
from services.standalone.jobs import result_of
from services.standalone.output import Json, console, print_json, run, table
from services.standalone.settings import StandaloneSettings

EXIT_DIFFERENT: Final = 8
"""Something differs, or not everything could be compared."""


def verify(
    repair: Annotated[bool, typer.Option(help="Mend what can be mended; the log makes lost rows again.")] = False,
    bury: Annotated[bool, typer.Option(help="Repair, and delete vectors that no row can be made for.")] = False,
    full: Annotated[bool, typer.Option(help="Read the whole log, also where digests agree.")] = False,
    index: Annotated[str, typer.Option(help="As `omma index list` shows it; the live one unless told.")] = "",
    json: Json = False,
) -> None:
    """Compare blobs, catalog, log and shards, while they are used. Exit code 8: they differ."""
    report = run(_report({"repair": repair, "full": full, "bury": bury, "index": index}))
    if json:
        print_json(report)
    else:
        _show(report)
    if not report["clean"]:
        raise typer.Exit(EXIT_DIFFERENT)


async def _report(asked: Mapping[str, bool | str]) -> Mapping[str, Any]:
    """The report, as long as it takes: the worker reads the whole catalog."""
    async with connected(StandaloneSettings()) as connection:
        answer = await connection.call("POST", "/verify", json=asked, params={"wait_seconds": 0})
        return await result_of(connection, answer["job_id"]) if "job_id" in answer else dict(answer)


def _show(report: Mapping[str, Any]) -> None:
    states = ", ".join(f"{count} {state}" for state, count in sorted(report["rows"].items())) or "none"
    compared = f"{report['bucket_details']} of {report['buckets']} buckets picture by picture"
    console.print(f"Rows: {states}. {compared}, {report['took_seconds']:.1f} s.", markup=False)
    rows = table("difference", "count", "mended", "for example", "what mends it")
    for one in report["differences"]:
        examples = "\n".join(_example(each) for each in one["examples"][:3])
        rows.add_row(
            f"{one['kind']}: {one['meaning']}", str(one["count"]), str(one["repaired"]), examples, one["remedy"]
        )
    if report["differences"]:
        console.print(rows)
    for replica in report["replicas"]:
        console.print(
            f"Not compared: shard {replica['shard']}, replica {replica['replica']}: {replica['error']}",
            markup=False,
        )
    if not report["settled"]:
        console.print("The indexer did not catch up: what may only be late is left out. Verify again.")
    console.print(_verdict(report))


def _verdict(report: Mapping[str, Any]) -> str:
    """One sentence on all of it; a second on what is still to come."""
    if any(one["repaired"] for one in report["differences"]):
        return f"{report['summary']} The indexer now handles what mends them: verify again when it has."
    colour = "green" if report["clean"] else "red" if report["differences"] else "yellow"
    return f"[{colour}]{report['summary']}[/]"


def _example(example: Mapping[str, Any]) -> str:
    names = {"image_id": "", "sha256": "", "row_version": "row v", "log_version": "log v", "shard": "shard "}
    said = [f"{label}{str(example[name])[:12]}" for name, label in names.items() if name in example]
    return " ".join([*said, f"replica {example['replica']}"] if "replica" in example else said)
