"""Walking a folder, and reconciling the catalog with it."""

import json
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from omma.catalog.interface import Catalog, PictureChange, PictureState
from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import InvalidQuery
from omma.identity import DEFAULT_TENANT
from omma.log.interface import Log
from omma.log.sqlite import SqliteLog
from omma.outbox import Outbox, open_outbox
from omma.records import IMAGES_TOPIC, EventKind, ImageEvent
from services.worker.ingest.folder import FolderIngest, require_folder
from services.worker.ingest.walk import count_pictures, walk
from services.worker.jobs.progress import Progress


def names(folder: Path) -> list[str]:
    return [str(found.path.relative_to(folder)) for found in walk(folder)]


def test_a_walk_is_sorted_and_passes_hidden_things_over(tmp_path: Path):
    for name in ("b.jpg", "a/z.png", "a/b.webp", ".hidden.jpg", ".git/x.jpg", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert names(tmp_path) == ["a/b.webp", "a/z.png", "b.jpg", "notes.txt"]
    assert count_pictures(tmp_path) == 3


def test_a_walk_enters_no_folder_twice(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.JPG").touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    assert names(tmp_path) == ["a/one.JPG", "gone.jpg"]


@pytest.mark.parametrize(
    ("source", "words"), [("s3://bucket/x", "URL or bucket"), ("urls.txt", "no list"), ("nowhere", "no folder")]
)
def test_what_is_no_folder_is_said_so(tmp_path: Path, source: str, words: str):
    (tmp_path / "urls.txt").touch()
    path = Path(source) if "://" in source else tmp_path / source
    with pytest.raises(InvalidQuery, match=words) as caught:
        require_folder(path)
    assert caught.value.field == "folder"


class Library:
    """A folder, and the catalog that follows it."""

    def __init__(self, folder: Path, catalog: Catalog, log: Log, outbox: Outbox, executor: ThreadPoolExecutor) -> None:
        self.folder = folder
        self.catalog = catalog
        self.log = log
        self.drained_with: list[int] = []
        self._ingest = FolderIngest(catalog, outbox, executor, self._drained)

    async def _drained(self) -> None:
        self.drained_with.append((await self.catalog.counts()).get("deleted", 0))

    async def ingest(self, **options: bool) -> Progress:
        progress = Progress()
        await self._ingest.run(self.folder, DEFAULT_TENANT, progress, **options)
        return progress

    async def events(self) -> list[ImageEvent]:
        return [ImageEvent.decode(record.value or b"") async for record in self.log.scan(IMAGES_TOPIC)]

    async def uris(self) -> list[str]:
        page = await self.catalog.list_pictures(DEFAULT_TENANT, None, None, 1000)
        return sorted(Path(picture.uri).name for picture in page.pictures)


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    folder = tmp_path / "pictures"
    folder.mkdir()
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    log = await SqliteLog.open(tmp_path / "log.db")
    with ThreadPoolExecutor(1) as executor:
        yield Library(folder, catalog, log, await open_outbox(catalog, log), executor)
    await log.close()
    await catalog.close()


async def test_a_folder_becomes_rows_that_reference_it(library: Library):
    for number in range(150):
        (library.folder / f"ö {number}.jpg").write_bytes(b"%d" % number)
    (library.folder / "notes.txt").touch()
    progress = await library.ingest()
    assert progress.counts == {"pictures": 150, "looked_at": 150, "created": 150, "skipped": 1}
    events = await library.events()
    assert len(events) == 150 and {event.kind for event in events} == {EventKind.UPSERT}
    page = await library.catalog.list_pictures(DEFAULT_TENANT, None, None, 1)
    assert page.pictures[0].uri == page.pictures[0].key == (library.folder / "ö 0.jpg").as_uri()


async def test_a_second_run_reads_nothing_that_did_not_change(library: Library):
    file = library.folder / "one.jpg"
    file.write_bytes(b"one")
    await library.ingest()
    before = file.stat()
    file.write_bytes(b"two")  # same size, and the time put back: only reading could tell
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    progress = await library.ingest()
    assert (progress.counts["unchanged"], progress.counts["changed"], len(await library.events())) == (1, 0, 1)


async def test_a_second_run_takes_over_what_changed_moved_or_vanished(library: Library):
    for name in ("stays", "changes", "moves", "vanishes"):
        (library.folder / f"{name}.jpg").write_bytes(name.encode())
    await library.ingest()
    (library.folder / "changes.jpg").write_bytes(b"other bytes")
    (library.folder / "moves.jpg").rename(library.folder / "moved.jpg")
    (library.folder / "vanishes.jpg").unlink()
    progress = await library.ingest()
    assert [progress.counts[name] for name in ("created", "changed", "unchanged", "vanished")] == [1, 1, 1, 2]
    assert await library.uris() == ["changes.jpg", "moved.jpg", "stays.jpg"]


async def test_what_moved_is_indexed_before_the_old_row_is_deleted(library: Library):
    (library.folder / "old.jpg").write_bytes(b"bytes")
    await library.ingest()
    library.drained_with.clear()
    (library.folder / "old.jpg").rename(library.folder / "new.jpg")
    await library.ingest()
    assert library.drained_with == [0, 1], "waited for once with the old row there, and once more after its end"


async def test_other_folders_are_left_alone(library: Library, tmp_path: Path):
    (library.folder / "one.jpg").write_bytes(b"one")
    await library.ingest()
    beside = tmp_path / "pictures beside"
    beside.mkdir()
    library.folder = beside
    assert (await library.ingest()).vanished == 0
    assert await library.uris() == ["one.jpg"]


async def test_a_file_that_comes_back_is_a_picture_again(library: Library):
    file = library.folder / "one.jpg"
    file.write_bytes(b"one")
    await library.ingest()
    file.unlink()
    await library.ingest()
    file.write_bytes(b"one")
    assert (await library.ingest()).changed == 1
    page = await library.catalog.list_pictures(DEFAULT_TENANT, None, None, 9)
    assert [picture.state for picture in page.pictures] == [PictureState.PENDING]


async def test_what_a_caller_deleted_stays_deleted_unless_it_is_asked_for(library: Library):
    file = library.folder / "one.jpg"
    file.write_bytes(b"one")
    await library.ingest()
    (picture,) = (await library.catalog.list_pictures(DEFAULT_TENANT, None, None, 9)).pictures
    await library.catalog.delete(DEFAULT_TENANT, [picture.id])
    await library.ingest()
    assert await library.uris() == []
    file.write_bytes(b"another picture")
    await library.ingest()
    assert await library.uris() == ["one.jpg"]
    await library.catalog.delete(DEFAULT_TENANT, [picture.id])
    await library.ingest(revive=True)
    assert await library.uris() == ["one.jpg"]


async def test_what_was_said_of_a_picture_outlives_its_absence(library: Library):
    file = library.folder / "one.jpg"
    file.write_bytes(b"one")
    await library.ingest()
    (picture,) = (await library.catalog.list_pictures(DEFAULT_TENANT, None, None, 9)).pictures
    await library.catalog.change(DEFAULT_TENANT, picture.id, PictureChange(tags=("mine",), owner="ann"))
    file.unlink()
    await library.ingest()
    await library.catalog.expire_deleted(0.0, 9)
    file.write_bytes(b"one")
    await library.ingest()
    (back,) = (await library.catalog.list_pictures(DEFAULT_TENANT, None, None, 9)).pictures
    assert (back.id, back.tags, back.owner) == (picture.id, ("mine",), "ann")


async def test_captions_beside_pictures_become_tags_and_attributes(library: Library):
    (library.folder / "one.jpg").write_bytes(b"one")
    captions = {"one.jpg": {"caption": "a red one", "tags": ["red"]}}
    (library.folder / "captions.json").write_text(json.dumps(captions))
    await library.ingest()
    page = await library.catalog.list_pictures(DEFAULT_TENANT, None, None, 9)
    assert page.pictures[0].tags == ("red",) and page.pictures[0].attributes == {"caption": "a red one"}


@pytest.mark.parametrize("content", ["[]", "{", '{"one.jpg": 3}', '{"one.jpg": {"tags": 4}}'])
async def test_captions_that_make_no_sense_are_passed_over(library: Library, content: str):
    (library.folder / "one.jpg").write_bytes(b"one")
    (library.folder / "captions.json").write_text(content)
    assert (await library.ingest()).created == 1
