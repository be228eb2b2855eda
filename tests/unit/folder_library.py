"""A folder, and the catalog that follows it, as tests of ingests use them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from omma.catalog.interface import Catalog
from omma.catalog.picture import Picture
from omma.catalog.sqlite import open_sqlite_catalog
from omma.description import Description, RowLimits
from omma.identity import DEFAULT_TENANT
from omma.log.interface import Log
from omma.log.sqlite import SqliteLog
from omma.outbox import Outbox, open_outbox
from omma.records import IMAGES_TOPIC, ImageEvent
from services.worker.ingest.folder import FolderIngest
from services.worker.jobs.progress import Progress

MAX_BYTES = 1 << 20


class Library:
    """A folder, and the catalog that follows it."""

    def __init__(self, folder: Path, catalog: Catalog, log: Log, outbox: Outbox) -> None:
        self.folder = folder
        self.catalog = catalog
        self.log = log
        self.drained_with: list[int] = []
        self._ingest = FolderIngest(catalog, outbox, self._drained, max_picture_bytes=MAX_BYTES, row_limits=RowLimits())

    async def _drained(self) -> None:
        self.drained_with.append((await self.catalog.counts()).get("deleted", 0))

    async def ingest(self, said: Description | None = None, **options: bool) -> Progress:
        progress = Progress()
        self.told = await self._ingest.run(self.folder, DEFAULT_TENANT, progress, said, **options)
        return progress

    def add(self, *names: str) -> None:
        """Files, each with its name as its bytes."""
        for name in names:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())

    async def rows(self) -> dict[str, Picture]:
        page = await self.catalog.list_pictures(DEFAULT_TENANT, None, None, 1000)
        return {Path(picture.uri).name: picture for picture in page.pictures}

    async def events(self) -> list[ImageEvent]:
        return [ImageEvent.decode(record.value or b"") async for record in self.log.scan(IMAGES_TOPIC)]

    async def uris(self) -> list[str]:
        page = await self.catalog.list_pictures(DEFAULT_TENANT, None, None, 1000)
        return sorted(Path(picture.uri).name for picture in page.pictures)


@asynccontextmanager
async def library_in(place: Path) -> AsyncIterator[Library]:
    folder = place / "pictures"
    folder.mkdir()
    catalog = await open_sqlite_catalog(place / "catalog.db")
    log = await SqliteLog.open(place / "log.db")
    yield Library(folder, catalog, log, await open_outbox(catalog, log))
    await log.close()
    await catalog.close()
