"""Walking a folder, and reconciling the catalog with it."""

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from omma.blobs.folder_source import folder_of, folder_source
from omma.blobs.originals import path_of, sha256_of
from omma.catalog.picture import PictureChange, PictureState
from omma.description import Description
from omma.errors import Overloaded
from omma.identity import DEFAULT_TENANT
from omma.records import EventKind
from tests.unit.folder_library import MAX_BYTES, Library


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


async def test_a_name_of_nothing_from_an_older_version_keeps_nothing_from_the_new_row(library: Library, tmp_path: Path):
    library.add(*(f"a/{number}.jpg" for number in range(20)))
    await library.ingest()
    await library.catalog.change(DEFAULT_TENANT, (await library.rows())["7.jpg"].id, PictureChange(("x",), "ann"))
    with sqlite3.connect(tmp_path / "catalog.db") as rows:
        rows.execute("""update images set attributes = '{"": 1, "stars": 5}'""")
    assert (await library.rows())["7.jpg"].attributes == {"": 1, "stars": 5}
    assert (await library.ingest()).counts["unchanged"] == 20
    (library.folder / "a").rename(library.folder / "b")
    await library.ingest()
    row = (await library.rows())["7.jpg"]
    assert (row.tags, row.owner, row.attributes) == (("x",), "ann", {"stars": 5}) and "/b/" in row.uri


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


@pytest.mark.parametrize("opens", ["walk.open_folder", "look.open_file", "captions.open_file"])
async def test_where_no_file_can_be_opened_an_ingest_blames_none(
    library: Library, monkeypatch: pytest.MonkeyPatch, opens: str
):
    """A row that is written without its captions does not get them later: its job is tried again, whole."""

    def none_left(_: Path) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    library.add("one.jpg", "two.jpg")
    (library.folder / "captions.json").write_text('{"one.jpg": {"tags": ["red"]}}')
    with monkeypatch.context() as patch:
        patch.setattr(f"services.worker.ingest.{opens}", none_left)
        with pytest.raises(Overloaded):
            await library.ingest()
    assert (await library.ingest()).counts["unreadable"] == 0
    assert {name: row.tags for name, row in (await library.rows()).items()} == {"one.jpg": ("red",), "two.jpg": ()}


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
