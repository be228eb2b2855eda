"""`make demo`: ingest a folder of pictures, search it three ways, write a contact sheet, and go on serving.

python -m services.standalone.demo [FOLDER]
"""

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx
from rich.markup import escape
from rich.progress import Progress, TaskID

from omma.blobs.folder_source import folder_source
from omma.errors import NoTextTower, OmmaError
from omma.process import run, until_stopped
from omma.telemetry.logs import configure_logging
from services.standalone.app import Omma
from services.standalone.asking import Question, ask, section, table
from services.standalone.connection import Connection
from services.standalone.contact_sheet import Section, render
from services.standalone.data_dir import DataDir, ServerAddress
from services.standalone.ingesting import ingest, summary
from services.standalone.output import EXIT_CODES, console, progress_bar
from services.standalone.sample.catalogue import draw_catalogue
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from services.worker.ingest.folder import require_folder

_ENOUGH: Final = 1_000
"""Pictures after which the searches run, while a larger folder is still being ingested."""
_RESULTS: Final = 12
_SEED: Final = 7
_CROP: Final = (0.2, 0.2, 0.8, 0.8)
_WORDS: Final = "a green car"


async def demo(folder: Path | None) -> None:
    """Serve until SIGTERM or Ctrl-C. folder: None draws the sample catalogue. Raises OmmaError."""
    settings = StandaloneSettings()
    configure_logging("warning", "text")
    if folder is None:
        folder = DataDir(settings.data_dir).sample
        with console.status("Drawing a sample catalogue (set IMAGES to a folder of your own) ..."):
            count = await asyncio.to_thread(draw_catalogue, folder)
        console.print(f"{count} sample pictures in {folder}", markup=False)
    folder = await asyncio.to_thread(require_folder, folder)
    stopped = asyncio.create_task(until_stopped(), name="signals")
    try:
        async with serving(settings, other_ports=True) as (omma, address):
            _say_where(settings, address)
            await _until_stopped_or_done(stopped, _show(settings, omma, address, folder))
    finally:
        stopped.cancel()


async def _until_stopped_or_done(stopped: asyncio.Task[None], show: Coroutine[Any, Any, None]) -> None:
    showing = asyncio.create_task(show, name="demo")
    await asyncio.wait({stopped, showing}, return_when=asyncio.FIRST_COMPLETED)
    if not showing.done():
        showing.cancel()
        await asyncio.wait({showing})
        return
    showing.result()
    await stopped


def _say_where(settings: StandaloneSettings, address: ServerAddress) -> None:
    port = httpx.URL(address.url).port
    if settings.http_port not in (0, port):
        told = f"Port {settings.http_port} is taken: this demo serves {address.url} instead."
        console.print(told, style="yellow", markup=False)
    console.print(
        f"Omma serves [bold]{escape(address.url)}[/] (gRPC at {escape(address.grpc)}) with its data in "
        f"{escape(str(settings.data_dir))}"
    )


async def _show(settings: StandaloneSettings, omma: Omma, address: ServerAddress, folder: Path) -> None:
    """Ingest and search over REST, as anyone would."""
    transport = httpx.AsyncHTTPTransport()  # no proxy of the environment lies between
    headers = {"Authorization": f"Bearer {address.token}"}
    async with httpx.AsyncClient(base_url=address.url, timeout=60, headers=headers, transport=transport) as client:
        connection = Connection(client, address.url)
        enough = asyncio.Event()
        with progress_bar() as bars:
            ingesting = asyncio.create_task(_ingest(connection, folder, bars, enough), name="ingest")
            waiting = asyncio.create_task(enough.wait(), name="enough")
            try:
                await asyncio.wait({ingesting, waiting}, return_when=asyncio.FIRST_COMPLETED)
                await _search_three_ways(
                    connection, settings, folder, words=omma.services.indexes.live().embedder.has_text_tower
                )
                console.print(summary(await ingesting))
            finally:
                for task in (ingesting, waiting):
                    task.cancel()
                await asyncio.wait({ingesting, waiting})
        _say_how_to_go_on(address)


async def _ingest(connection: Connection, folder: Path, bars: Progress, enough: asyncio.Event) -> dict[str, Any]:
    bar: TaskID = bars.add_task(f"Ingesting {folder.name}", total=None, rate=0.0)

    def show(job: dict[str, Any]) -> None:
        bars.update(bar, completed=job["done"], total=job["total"] or None, rate=job["pictures_per_second"])
        if job["done"] >= _ENOUGH:
            enough.set()

    return await ingest(connection, "/images/ingest", {"json": _place(folder)}, show)


def _place(folder: Path) -> dict[str, str]:
    return {"folder": folder_source(folder.absolute())}


async def _search_three_ways(
    connection: Connection, settings: StandaloneSettings, folder: Path, *, words: bool
) -> None:
    listed = await connection.call("GET", "/images", params={"limit": _ENOUGH})
    pictures = [one for one in listed["images"] if one["state"] == "indexed"]
    if not pictures:
        console.print(f"There is no picture in {folder} that could be read.", style="yellow", markup=False)
        return
    chosen = Random(_SEED).sample(pictures, min(2, len(pictures)))
    whole, part = chosen[0], chosen[-1]
    box = ",".join(str(round(one)) for one in _crop_of(part))
    questions = [
        Question("Like a picture", whole["id"], k=_RESULTS),
        Question("Like a crop of a picture", part["id"], bbox=box, k=_RESULTS),
    ]
    if words:
        questions.append(Question("By words", text=_WORDS, k=_RESULTS))
    sections: list[Section] = []
    for question in questions:
        answer = await ask(connection, question)
        console.print(table(question, answer))
        sections.append(await section(connection, question, answer))
    if not words:
        await _say_no_words(connection)
    sheet = settings.data_dir / "contact-sheet.html"
    await asyncio.to_thread(sheet.write_text, render("Omma: the demo", sections), "utf-8")
    console.print(f"Contact sheet: [bold]{escape(str(sheet.absolute()))}[/]")


def _crop_of(picture: dict[str, Any]) -> tuple[float, float, float, float]:
    """The middle of it, in pixels."""
    left, top, right, bottom = _CROP
    return left * picture["width"], top * picture["height"], right * picture["width"], bottom * picture["height"]


async def _say_no_words(connection: Connection) -> None:
    try:
        await connection.call("POST", "/search", json={"text": _WORDS})
    except NoTextTower as error:
        console.print(f"By words: not with this model. {error.detail}", markup=False)


def _say_how_to_go_on(address: ServerAddress) -> None:
    console.print(f"\nLook and search: [bold]{escape(address.url)}/[/]")
    console.print(f"From a shell:    curl -F image=@query.jpg -F k=10 {address.url}/search", markup=False)
    console.print(f"Every call:      {address.url}/docs", markup=False)
    console.print("Stop with Ctrl-C; the next demo finds everything ingested already.")


def main() -> None:
    """Exit code 0 after Ctrl-C or SIGTERM, else that of the error's kind."""
    given = " ".join(sys.argv[1:]) or os.environ.get("IMAGES", "")
    try:
        run(demo(Path(given).expanduser() if given else None))
    except OmmaError as error:
        console.print(f"[bold red]{escape(error.kind)}[/]: {escape(error.detail)}")
        sys.exit(EXIT_CODES.get(error.kind, 1))


if __name__ == "__main__":
    main()
