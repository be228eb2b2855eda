"""`omma export`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from services.standalone.connection import connected
from services.standalone.output import Json, console, print_json, progress_bar, run, shown
from services.standalone.settings import StandaloneSettings


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go; made if it is absent.")],
    filter: Annotated[str, typer.Option(help="Only pictures of this filter, as JSON.")] = "",
    index: Annotated[str, typer.Option(help="As `omma index list` shows it; the live one unless told.")] = "",
    json: Json = False,
) -> None:
    """Write embeddings.npy, an index that FAISS itself reads, and metadata.jsonl with model, checksum and time."""
    said = run(_export(folder, filter, index))
    if json:
        print_json(said)
    else:
        console.print(f"{said['pictures']} pictures of {said['space']} are in {shown(folder)}.", markup=False)


async def _export(folder: Path, filter: str, index: str) -> dict[str, Any]:
    from services.standalone.exporting import export as write

    async with connected(StandaloneSettings()) as connection:
        total = (await connection.call("GET", "/images", params={"limit": 1, "filter": filter}))["count"]
        with progress_bar() as bars:
            bar = bars.add_task("Exporting", total=total, rate=0.0)
            return await write(connection, folder, filter, lambda count: bars.update(bar, completed=count), index=index)
