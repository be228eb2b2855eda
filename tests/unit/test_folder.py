"""Walking a folder, and reconciling the catalog with it."""

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omma.blobs.folder_source import folder_of, folder_source
from omma.blobs.originals import path_of, sha256_of
from omma.catalog.interface import Catalog
from omma.catalog.picture import Picture, PictureChange, PictureState
from omma.catalog.sqlite import open_sqlite_catalog
from omma.description import Description, RowLimits
from omma.identity import DEFAULT_TENANT
from omma.log.interface import Log
from omma.log.sqlite import SqliteLog
from omma.outbox import Outbox, open_outbox
from omma.records import IMAGES_TOPIC, EventKind, ImageEvent
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


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with library_in(tmp_path) as made:
        yield made


async def test_a_folder_becomes_rows_that_reference_it(library: Library):
    for number in range(150):
        (library.folder / f"ö {number}.jpg").write_bytes(b"%d" % number)
    (library.folder / "notes.txt").touch()
    progress = await library.ingest()
    counts = {"pictures": 150, "looked_at": 150, "created": 150, "unchanged": 0, "skipped": 1, "skipped .txt": 1}
    assert progress.counts == {**counts, "dead": 0} and library.told == {"skipped": {".txt": 1}}
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
    library.add("old.jpg", "beside.jpg")
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
    assert (await library.ingest()).counts["vanished"] == 0
    assert await library.uris() == ["one.jpg"]


async def test_a_file_that_comes_back_is_a_picture_again(library: Library):
    library.add("one.jpg", "two.jpg", "three.jpg")
    await library.ingest()
    said = PictureChange(tags=("holiday",), attributes={"stars": 5}, owner="ann")
    await library.catalog.change(DEFAULT_TENANT, (await library.rows())["one.jpg"].id, said)
    (library.folder / "one.jpg").unlink()
    assert (await library.ingest()).counts["vanished"] == 1
    assert (await library.rows()).keys() == {"two.jpg", "three.jpg"}
    library.add("one.jpg")
    assert (await library.ingest()).counts["changed"] == 1
    row = (await library.rows())["one.jpg"]
    assert (row.state, row.tags, row.attributes, row.owner) == (
        PictureState.PENDING,
        ("holiday",),
        {"stars": 5},
        "ann",
    )


async def test_what_was_said_of_a_picture_goes_with_it_when_its_folder_is_renamed(library: Library):
    library.add(*(f"a/{number}.jpg" for number in range(20)))
    await library.ingest()
    await library.catalog.change(
        DEFAULT_TENANT, (await library.rows())["7.jpg"].id, PictureChange(("x",), "ann", {"stars": 1})
    )
    (library.folder / "a").rename(library.folder / "b")
    progress = await library.ingest()
    assert (progress.counts["created"], progress.counts["vanished"], progress.counts["missing"]) == (20, 20, 0)
    row = (await library.rows())["7.jpg"]
    assert (row.tags, row.owner, row.attributes) == (("x",), "ann", {"stars": 1}) and "/b/" in row.uri


async def test_a_folder_may_be_somebodys_and_private(library: Library):
    library.add("a.jpg", "b.jpg")
    await library.ingest(Description(owner="ann", private=True))
    (library.folder / "a.jpg").write_bytes(b"changed")
    library.add("c.jpg")
    await library.ingest()
    rows = await library.rows()
    assert {name: (row.owner, row.private) for name, row in rows.items()} == {
        "a.jpg": ("ann", True),
        "b.jpg": ("ann", True),
        "c.jpg": ("", False),
    }


async def test_what_is_private_stays_so_where_it_is_moved(library: Library):
    library.add("a/1.jpg", "a/2.jpg")
    await library.ingest(Description(owner="ann", private=True))
    (library.folder / "a").rename(library.folder / "b")
    await library.ingest()
    assert {(row.owner, row.private) for row in (await library.rows()).values()} == {("ann", True)}


async def test_a_dead_picture_is_tried_again_by_the_next_ingest(library: Library):
    library.add("one.jpg", "two.jpg")
    await library.ingest()
    row = (await library.rows())["one.jpg"]
    await library.catalog.record_dead(row.id, row.version, "cut off")
    progress = await library.ingest()
    assert (progress.counts["retried"], progress.counts["changed"], progress.counts["unchanged"]) == (1, 0, 1)
    again = (await library.rows())["one.jpg"]
    assert again.state is PictureState.PENDING and (await library.events())[-1].version == again.version


async def test_an_ingest_tells_what_could_not_be_read_and_why(library: Library):
    library.add("one.jpg", "two.jpg")
    (library.folder / "empty.jpg").touch()
    (library.folder / "nowhere.jpg").symlink_to("missing")
    await library.ingest()
    row = (await library.rows())["two.jpg"]
    await library.catalog.record_dead(row.id, row.version, "cut off")
    (library.folder / "two.jpg").rename(library.folder / "two.mp4")  # so that it is not tried again
    (library.folder / "two.jpg").mkdir()
    progress = await library.ingest()
    assert (progress.counts["dead"], progress.counts["unreadable"], progress.counts["skipped"]) == (1, 2, 1)
    assert library.told["dead"] == [{"id": row.id, "place": row.uri, "reason": "cut off"}]
    assert {one["reason"] for one in library.told["unreadable"]} == {"it is empty", "No such file or directory"}
    assert library.told["skipped"] == {".mp4": 1}


async def test_a_file_beyond_the_limit_is_not_read_and_gets_a_row_that_dies_of_it(library: Library):
    (library.folder / "large.jpg").write_bytes(b"x" * (MAX_BYTES + 1))
    await library.ingest()
    row = (await library.rows())["large.jpg"]
    assert row.bytes == MAX_BYTES + 1 and row.sha256 != sha256_of(b"x" * (MAX_BYTES + 1))


@pytest.mark.parametrize("name", ["caf\udce9.jpg", "new\nline.jpg", "ö%2f#?.jpg"])
async def test_odd_names_come_back_from_their_uri(library: Library, name: str):
    folder = library.folder / "caf\udce9"
    folder.mkdir()
    (folder / name).write_bytes(b"odd")
    source = folder_source(folder)
    source.encode()
    assert folder_of(source) == folder
    library.folder = folder_of(source)
    assert (await library.ingest()).counts["created"] == 1
    (row,) = (await library.rows()).values()
    assert path_of(row.uri).read_bytes() == b"odd"
    assert (await library.ingest()).counts["unchanged"] == 1


async def test_a_path_too_long_for_the_catalogs_index_is_told_and_costs_nothing_else(library: Library):
    library.add("ö" * 100 + "/" + "ö" * 100 + "/" + "ö" * 100 + "/" + "ö" * 100 + "/" + "ö" * 40 + ".jpg", "one.jpg")
    progress = await library.ingest()
    assert (progress.counts["created"], progress.counts["unreadable"]) == (1, 1)


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
    captions = {"one.jpg": {"caption": "a red one", "tags": ["red", "red"]}}
    (library.folder / "captions.json").write_text(json.dumps(captions))
    await library.ingest()
    page = await library.catalog.list_pictures(DEFAULT_TENANT, None, None, 9)
    assert page.pictures[0].tags == ("red",) and page.pictures[0].attributes == {"caption": "a red one"}


@given(
    st.lists(
        st.text("éßöÅñ가한ạ̈ba", min_size=1, max_size=6),
        min_size=1,
        max_size=6,
        unique_by=lambda one: normalize("NFC", one),
    ),
    st.data(),
)
@settings(max_examples=20)
def test_a_name_is_found_however_its_accents_are_written(names: list[str], data: st.DataObject):
    forms = st.sampled_from(["NFC", "NFD"])
    files = [normalize(data.draw(forms), f"{name}.jpg") for name in names]
    keys = [normalize(data.draw(forms), f"{name}.jpg") for name in names]
    kept = data.draw(st.sets(st.sampled_from(range(len(names)))))

    async def ingest(place: Path) -> None:
        async with library_in(place) as library:
            library.add(*(files[number] for number in kept))
            captions = {key: {"tags": [str(number)]} for number, key in enumerate(keys)}
            (library.folder / "captions.json").write_text(json.dumps(captions))
            progress = await library.ingest()
            rows = {path_of(row.uri).name: row.tags for row in (await library.rows()).values()}
            assert rows == {files[number]: (str(number),) for number in kept}
            absent = len(names) - len(kept)
            told = library.told.get("captions_passed_over", [])
            assert progress.counts["captions_passed_over"] == len(told) == bool(absent)
            assert not absent or f"{absent} of its entries" in told[0]["reason"]

    with tempfile.TemporaryDirectory() as place:
        asyncio.run(ingest(Path(place)))


SAID = (
    {"tags": ["one"]},
    {"tags": ["two"], "caption": "a red one"},
    {"caption": "another"},
    {"tags": ["two", "three"], "stars": 5},
)


async def test_what_is_written_anew_into_captions_is_taken_in_and_nothing_embedded(library: Library):
    """Each edit beside unchanged files; the last with its time put back, as a copy has it."""
    library.add("a/one.jpg", "a/other.jpg", "b/one.jpg")
    captions = library.folder / "a" / "captions.json"
    await library.ingest()
    expected: dict[str, Any] = {}
    for said in SAID:
        captions.write_text(json.dumps({"one.jpg": said}))
        os.utime(captions, (0, 0))
        progress = await library.ingest()
        assert (progress.counts["changed"], progress.counts["unchanged"]) == (1, 2)
        page = await library.catalog.list_pictures(DEFAULT_TENANT, None, None, 9)
        row = next(one for one in page.pictures if one.uri.endswith("a/one.jpg"))
        tags = tuple(said.get("tags", expected.get("tags", ())))
        attributes = {name: value for name, value in said.items() if name != "tags"} or expected.get("attributes", {})
        expected = {"tags": tags, "attributes": attributes}
        assert {"tags": row.tags, "attributes": row.attributes} == expected
        assert (await library.events())[-1].kind is EventKind.ATTRIBUTES
        assert (await library.ingest()).counts["unchanged"] == 3, "once"
    assert [event.kind for event in await library.events()].count(EventKind.UPSERT) == 3


async def test_what_somebody_said_after_the_captions_stays(library: Library):
    library.add("one.jpg")
    (library.folder / "captions.json").write_text(json.dumps({"one.jpg": {"tags": ["captioned"]}}))
    await library.ingest()
    row = (await library.rows())["one.jpg"]
    changed = await library.catalog.change(DEFAULT_TENANT, row.id, PictureChange(tags=("mine",)))
    await library.catalog.postpone({row.id: changed.version}, "", 60.0)  # as if it were a minute later
    assert (await library.ingest()).counts["unchanged"] == 1
    assert (await library.rows())["one.jpg"].tags == ("mine",)


async def test_entries_of_no_picture_are_told_by_folder(library: Library):
    library.add("a/one.jpg", "c/one.jpg", "d/one.jpg")
    (library.folder / "b").mkdir()
    for name, entries in (("a", ["one.jpg", "two.jpg"]), ("b", ["x", "y", "z", "\ud83d"]), ("d", ["one.jpg"])):
        (library.folder / name / "captions.json").write_text(json.dumps({entry: {"tags": ["x"]} for entry in entries}))
    await library.ingest()
    told = {one["place"].split("/")[-2]: one["reason"] for one in library.told["captions_passed_over"]}
    assert told.keys() == {"a", "b"} and "'two.jpg'" in told["a"] and "4 of its entries" in told["b"]


SENSELESS = {
    "a list": "[]",
    "cut off": "{",
    "a number": '{"one.jpg": 3}',
    "tags": '{"one.jpg": {"tags": 4}}',
    "a long tag": json.dumps({"one.jpg": {"tags": ["x" * 5000]}}),
    "many tags": json.dumps({"one.jpg": {"tags": [str(number) for number in range(3000)]}}),
    "an object": '{"one.jpg": {"exif": {"iso": 100}}}',
    "a long caption": json.dumps({"one.jpg": {"caption": "y" * 2_000_000}}),
    "NUL": '{"one.jpg": {"tags": ["a\\u0000b"]}}',
    "half an emoji": '{"one.jpg": {"caption": "half \\ud83d", "tags": ["beach \\ud83c"], "\\ud83d": 1}}',
    "no number": '{"one.jpg": {"stars": NaN, "more": Infinity}}',
    "deep": '{"one.jpg": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "many parts": '{"one.jpg": [' + "[],".join([""] * 600_000) + "1]}",
    "large": '{"one.jpg": {"tags": ["' + "x" * (17 << 20) + '"]}}',
    "digits": '{"one.jpg": {"stars": ' + "9" * 5000 + "}}",
}


@pytest.mark.parametrize("what", SENSELESS)
async def test_captions_that_make_no_sense_are_passed_over_and_told(library: Library, what: str):
    library.add("one.jpg")
    (library.folder / "captions.json").write_text(SENSELESS[what])
    progress = await library.ingest()
    row = (await library.rows())["one.jpg"]
    assert (progress.counts["created"], row.tags, row.attributes) == (1, (), {})
    assert library.told["captions_passed_over"] and "skipped" not in library.told


async def test_what_makes_sense_beside_what_does_not_is_kept(library: Library):
    library.add("one.jpg")
    said = {"tags": ["sea", "x" * 5000], "stars": 5, "exif": {"iso": 100}}
    (library.folder / "captions.json").write_text(json.dumps({"one.jpg": said}))
    progress = await library.ingest()
    row = (await library.rows())["one.jpg"]
    assert (row.tags, row.attributes, progress.counts["captions_passed_over"]) == (("sea",), {"stars": 5}, 2)


async def test_captions_in_a_pipe_hold_nobody_up(library: Library):
    library.add("one.jpg")
    os.mkfifo(library.folder / "captions.json")
    os.mkfifo(library.folder / "two.jpg")
    assert (await library.ingest()).counts["created"] == 1
