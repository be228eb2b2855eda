"""`omma plan`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from omma.errors import OmmaError
from services.standalone.files import writing
from services.standalone.numbers import number, whole
from services.standalone.output import Json, Rows, console, fail, print_json, table
from services.standalone.plan_values import size, values_yaml
from services.standalone.planning import DIMENSION, Plan, Wanted, plan


def plan_cluster(
    *,
    pictures: Annotated[int, typer.Option(parser=whole(), help="To be held.")],
    qps: Annotated[float, typer.Option(parser=number(), help="Searches a second.")],
    recall: Annotated[float, typer.Option(parser=number(), help="Of ten, against exact search.")] = 0.95,
    dimension: Annotated[int, typer.Option(parser=whole(), help="Of the model's vectors.")] = DIMENSION,
    model: Annotated[str, typer.Option(metavar="NAME[@VERSION]")] = "omma-mini",
    shard_gib: Annotated[float, typer.Option(parser=number(), help="Memory that a shard's pod may be given.")] = 64.0,
    gpu_rate: Annotated[
        float | None, typer.Option(parser=number(), help="Pictures a second that a GPU embeds; unset: CPUs do.")
    ] = None,
    values: Annotated[Path | None, typer.Option(help="Write a values file of the chart helm/omma.")] = None,
    json: Json = False,
) -> None:
    """Say how large a cluster must be, and write the values that the chart takes."""
    try:
        made = plan(Wanted(pictures, qps, recall, dimension, model, shard_gib, gpu_rate))
        if values is not None:
            _write(values, values_yaml(made))
    except OmmaError as error:
        fail(error)
    if json:
        print_json(asdict(made))
        return
    console.print(_table(made))
    if values is not None:
        console.print(f"Written to {values}. Next: helm install omma helm/omma -f {values} -f …", markup=False)


def _table(made: Plan) -> Rows:
    rows = table("", "", "why")
    for name, value, why in (
        (
            "shards",
            f"{made.shards}",
            f"{made.rows:,} pictures each, {made.search_seconds * 1e3:.1f} ms a search",
        ),
        ("replicas of each", f"{made.replicas}", f"{made.wanted.qps:g} searches a second at 60% of a core, 2 at least"),
        ("codes", size(made.codes_total_bytes), "64 B a picture"),
        ("memory of a shard", size(made.shard_memory_bytes), f"{size(made.memory_total_bytes)} in all"),
        ("disk of a shard", size(made.shard_disk_bytes), f"{size(made.disk_total_bytes)} in all, with room to merge"),
        ("gateways", f"{made.gateways}", "one core each"),
        ("embedders", f"{made.embedders}", "four cores each"),
        ("GPUs", f"{made.gpus}", "by --gpu-rate" if made.gpus else "none: say --gpu-rate of your model"),
        ("Kafka", f"{made.partitions} partitions", f"and 256 of vectors; {size(made.log_total_bytes)} a copy"),
    ):
        rows.add_row(name, value, why)
    return rows


def _write(path: Path, text: str) -> None:
    with writing(path, "values"):
        path.write_text(text)
