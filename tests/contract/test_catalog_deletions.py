"""What every catalog keeps of deleted pictures, and of bytes that perhaps no row needs."""

from dataclasses import replace

import pytest
from sqlalchemy import update

from omma.buckets import ROW_BUCKETS, row_bucket_of
from omma.catalog import comparing
from omma.catalog.inbox_object import SeenObject
from omma.catalog.interface import Catalog
from omma.catalog.orphan import Collected
from omma.catalog.picture import Change, DeletedBy, Embedded, LoggedPicture, NewPicture, PictureState, Upserted
from omma.catalog.schema.pictures import images
from omma.catalog.sql import SqlCatalog
from omma.errors import Absent
from omma.identity import ImageId, Version
from omma.records import EventKind
from tests.clock import Clock
from tests.contract.catalogs import (
    ALSO_AFTER_A_ROLLOUT,
    ANN,
    BOB,
    SPACE,
    Backend,
    embedded,
    kind,
    new,
    one,
    sent,
    sha,
)

pytestmark = ALSO_AFTER_A_ROLLOUT

GRACE = 60.0
DESCRIBED = replace(
    new("k"), owner="ann", tags=("a", "b"), source_url="https://example.org/x", attributes={"n": 1, "on": True}
)


async def described(catalog: Catalog) -> Upserted:
    made = await one(catalog, DESCRIBED)
    await sent(catalog, made)
    await embedded(catalog, made)
    return made


async def test_a_deleted_picture_is_restored_as_it_was(catalog: Catalog, clock: Clock) -> None:
    made = await described(catalog)
    before = await catalog.picture(ANN, made.id)
    await catalog.delete(ANN, [made.id])
    clock.seconds += GRACE - 1
    back = await catalog.restore(ANN, made.id, GRACE)
    assert (back.id, back.version, back.change, kind(back)) == (made.id, 3, Change.CHANGED, EventKind.UPSERT)
    await embedded(catalog, back)
    assert await catalog.picture(ANN, made.id) == replace(before, version=Version(3))
    # Whoever did not hear the answer asks again.
    assert await catalog.restore(ANN, made.id, GRACE) == Upserted(made.id, Version(3), Change.SAME, None)


async def test_what_was_never_deleted_or_too_long_ago_is_not_restored(catalog: Catalog, clock: Clock) -> None:
    made, other = await described(catalog), await one(catalog, new("other"))
    await catalog.delete(ANN, [made.id])
    with pytest.raises(Absent):
        await catalog.restore(BOB, made.id, GRACE)
    clock.seconds += GRACE
    for image_id in (made.id, other.id, 99, 0, 2**70):
        with pytest.raises(Absent):
            await catalog.restore(ANN, ImageId(image_id), GRACE)


async def test_what_was_said_of_a_picture_goes_with_its_grace(catalog: Catalog, clock: Clock) -> None:
    made, absent = await described(catalog), await one(catalog, replace(DESCRIBED, key="absent"))
    await catalog.delete(ANN, [made.id])
    await catalog.delete(ANN, [absent.id], by=DeletedBy.ABSENCE)
    assert await catalog.expire_deleted(GRACE, 10) == 0
    clock.seconds += GRACE
    assert await catalog.expire_deleted(GRACE, 1) == 1
    assert await catalog.expire_deleted(GRACE, 10) == 1
    assert await catalog.expire_deleted(GRACE, 10) == 0
    rows = await catalog.pictures([made.id, absent.id])
    assert [(rows[i].owner, rows[i].tags, rows[i].attributes, rows[i].source_url) for i in (made.id, absent.id)] == [
        ("", (), {}, ""),
        ("ann", ("a", "b"), {"n": 1, "on": True}, "https://example.org/x"),
    ]
    assert {row.state for row in rows.values()} == {PictureState.DELETED}


async def test_a_restored_picture_expires_no_more(catalog: Catalog, clock: Clock) -> None:
    made = await described(catalog)
    await catalog.delete(ANN, [made.id])
    await catalog.restore(ANN, made.id, GRACE)
    clock.seconds += GRACE
    await catalog.expire_deleted(GRACE, 10)
    assert (await catalog.picture(ANN, made.id)).tags == ("a", "b")
    with pytest.raises(Absent):
        await catalog.restore(ANN, made.id, GRACE)


async def test_an_ingest_leaves_deleted_what_a_caller_deleted(catalog: Catalog) -> None:
    made = await described(catalog)
    await catalog.delete(ANN, [made.id])
    (left,) = await catalog.upsert(ANN, [DESCRIBED], revive=False)
    assert left == Upserted(made.id, Version(2), Change.LEFT_DELETED, None)
    with pytest.raises(Absent):
        await catalog.picture(ANN, made.id)
    # Another picture in the same place is another picture.
    (other,) = await catalog.upsert(ANN, [new("k", "other bytes")], revive=False)
    assert (other.id, other.version, kind(other)) == (made.id, 3, EventKind.UPSERT)
    assert (await catalog.picture(ANN, made.id)).tags == ()


async def test_an_upload_makes_what_a_caller_deleted_anew(catalog: Catalog) -> None:
    made = await described(catalog)
    await catalog.delete(ANN, [made.id])
    back = await one(catalog, replace(new("k"), owner="bob"))
    assert (back.id, back.version) == (made.id, 3)
    row = await catalog.picture(ANN, made.id)
    assert (row.owner, row.tags, row.attributes, row.source_url) == ("bob", (), {}, "")
    with pytest.raises(Absent):
        await catalog.restore(ANN, made.id, GRACE)


async def test_what_was_absent_comes_back_with_what_was_said_of_it(catalog: Catalog, clock: Clock) -> None:
    made = await described(catalog)
    await catalog.delete(ANN, [made.id], by=DeletedBy.ABSENCE)
    clock.seconds += 10 * GRACE
    await catalog.expire_deleted(GRACE, 10)
    (back,) = await catalog.upsert(ANN, [new("k")], revive=False)
    assert (back.id, back.change) == (made.id, Change.CHANGED)
    row = await catalog.picture(ANN, made.id)
    assert (row.owner, row.tags, row.attributes) == ("ann", ("a", "b"), {"n": 1, "on": True})


async def test_an_object_that_a_caller_deleted_stays_deleted(catalog: Catalog) -> None:
    seen = SeenObject("o", "", new("s3://b/o"))
    (made,) = await catalog.follow_objects(ANN, "b", [seen])
    await catalog.delete(ANN, [made.id])
    (left,) = await catalog.follow_objects(ANN, "b", [seen], revive=False)
    assert (left.id, left.change) == (made.id, Change.LEFT_DELETED)
    (back,) = await catalog.follow_objects(ANN, "b", [seen])
    assert back.change is Change.CHANGED
    await catalog.follow_objects(ANN, "b", [replace(seen, picture=None)])
    (again,) = await catalog.follow_objects(ANN, "b", [seen], revive=False)
    assert again.change is Change.CHANGED


async def test_bytes_that_lost_a_row_are_taken_after_their_grace(catalog: Catalog, clock: Clock) -> None:
    deleted, _ = await catalog.upsert(ANN, [new("a"), new("b")])
    await catalog.delete(ANN, [deleted.id])
    await one(catalog, new("b", "other"))
    await catalog.note_orphans([sha("found")])
    assert await catalog.take_orphans(GRACE, 10, 30) == []
    clock.seconds += GRACE
    taken = await catalog.take_orphans(GRACE, 2, 30)
    rest = await catalog.take_orphans(GRACE, 10, 30)
    assert {one.sha256 for one in taken + rest} == {sha("a"), sha("b"), sha("found")}
    assert len(taken) == 2
    assert await catalog.take_orphans(GRACE, 10, 30) == []
    clock.seconds += 30
    # Nobody told what came of them.
    assert len(await catalog.take_orphans(GRACE, 10, 30)) == 3


async def test_whoever_needs_bytes_learns_that_they_are_collected(catalog: Catalog, clock: Clock) -> None:
    await catalog.note_orphans([sha("a")])
    assert await catalog.collected([sha("a")]) == {sha("a"): Collected.NO}
    clock.seconds += GRACE
    (taken,) = await catalog.take_orphans(GRACE, 10, 30)
    assert await catalog.collected([sha("a")]) == {sha("a"): Collected.UNDER_WAY}
    clock.seconds += 30
    assert await catalog.collected([sha("a")]) == {sha("a"): Collected.PERHAPS}
    await catalog.end_orphans([taken], [])
    assert await catalog.collected([sha("a")]) == {sha("a"): Collected.PERHAPS}
    assert await catalog.take_orphans(GRACE, 10, 30) == []
    clock.seconds += 3_600
    assert await catalog.take_orphans(GRACE, 10, 30) == []
    assert await catalog.collected([sha("a")]) == {sha("a"): Collected.NO}


async def test_bytes_that_went_before_the_clock_was_set_back_go_again(catalog: Catalog, clock: Clock) -> None:
    """Uploaded and erased once more: nobody may say that nothing is left of them while it is."""
    await catalog.note_orphans([sha("a")], urgent=True)
    await catalog.end_orphans(await catalog.take_orphans(GRACE, 10, 30), [])
    clock.seconds -= 86_400
    await catalog.note_orphans([sha("a")], urgent=True)
    assert await catalog.overdue([sha("a")], GRACE) == {sha("a")}
    taken = await catalog.take_orphans(GRACE, 10, 30)
    assert [one.sha256 for one in taken] == [sha("a")]
    await catalog.end_orphans(taken, [])
    assert await catalog.overdue([sha("a")], GRACE) == set()


async def test_a_collector_that_died_before_the_clock_was_set_back_holds_nothing_for_long(
    catalog: Catalog, clock: Clock
) -> None:
    await catalog.note_orphans([sha("a")], urgent=True)
    assert await catalog.take_orphans(GRACE, 10, 30)
    clock.seconds -= 86_400
    assert await catalog.take_orphans(GRACE, 10, 30) == [], "it may be deleting them"
    assert await catalog.collected([sha("a")]) == {sha("a"): Collected.UNDER_WAY}
    clock.seconds += 30
    assert await catalog.collected([sha("a")]) == {sha("a"): Collected.PERHAPS}
    assert [one.sha256 for one in await catalog.take_orphans(GRACE, 10, 30)] == [sha("a")]


async def test_what_a_row_needs_after_all_is_no_orphan(catalog: Catalog, clock: Clock) -> None:
    made = await one(catalog, new("a"))
    await catalog.note_orphans([sha("a")])
    clock.seconds += GRACE
    (taken,) = await catalog.take_orphans(GRACE, 10, 30)
    await catalog.end_orphans([], [taken])
    assert await catalog.collected([sha("a")]) == {sha("a"): Collected.NO}
    await catalog.note_orphans([sha("a")])
    clock.seconds += GRACE
    (taken,) = await catalog.take_orphans(GRACE, 10, 30)
    # It lost its row while somebody looked.
    clock.seconds += 1
    await catalog.delete(ANN, [made.id])
    await catalog.end_orphans([], [taken])
    clock.seconds += GRACE
    assert [one.sha256 for one in await catalog.take_orphans(GRACE, 10, 30)] == [sha("a")]


async def test_what_is_noted_as_urgent_has_no_grace_whatever_was_known_of_it(catalog: Catalog, clock: Clock) -> None:
    await catalog.note_orphans([sha("waiting")])
    await catalog.note_orphans([sha("waiting"), sha("new")], urgent=True)
    assert await catalog.overdue([sha("waiting"), sha("new")], GRACE) == {sha("waiting"), sha("new")}
    assert await catalog.overdue([sha("waiting"), sha("new")], GRACE, 10) == set(), "a collector has its time for them"
    clock.seconds += 10
    assert await catalog.overdue([sha("waiting"), sha("new")], GRACE, 10) == {sha("waiting"), sha("new")}
    taken = await catalog.take_orphans(GRACE, 10, 30)
    assert {one.sha256 for one in taken} == {sha("waiting"), sha("new")}
    await catalog.end_orphans(taken, [])
    await catalog.note_orphans([sha("new")])
    assert await catalog.overdue([sha("new")], GRACE) == set(), "it is not urgent for ever"


async def test_bytes_that_came_and_went_again_are_collected_again(catalog: Catalog, clock: Clock) -> None:
    await catalog.note_orphans([sha("a")])
    clock.seconds += GRACE
    (taken,) = await catalog.take_orphans(GRACE, 10, 30)
    made = await one(catalog, new("a"))
    await catalog.delete(ANN, [made.id])
    await catalog.end_orphans([taken], [])
    assert await catalog.collected([sha("a")]) == {sha("a"): Collected.PERHAPS}
    clock.seconds += GRACE
    (again,) = await catalog.take_orphans(GRACE, 10, 30)
    await catalog.end_orphans([again], [])
    clock.seconds += 1
    await catalog.note_orphans([sha("a")])
    assert await catalog.overdue([sha("a"), sha("b")], GRACE) == set()
    clock.seconds += GRACE
    assert await catalog.overdue([sha("a"), sha("b")], GRACE) == {sha("a")}


async def test_what_rows_need(catalog: Catalog, clock: Clock) -> None:
    live, gone, _ = await catalog.upsert(ANN, [new("a"), new("b"), replace(new("c"), uri="file:///c")])
    await one(catalog, new("also a", "a"), BOB)
    every = [sha(name) for name in "abcd"]
    await catalog.delete(ANN, [live.id, gone.id])
    needs = await catalog.needs(every, GRACE)
    assert (needs.originals, needs.thumbnails) == ({sha("a"), sha("b")}, {sha("a"), sha("b"), sha("c")})
    clock.seconds += GRACE
    needs = await catalog.needs(every, GRACE)
    assert (needs.originals, needs.thumbnails) == ({sha("a")}, {sha("a"), sha("c")})


async def test_rows_of_an_older_version_get_their_bucket(backend: Backend) -> None:
    catalog = await backend.open()
    await catalog.upsert(ANN, [new(str(number)) for number in range(5)])
    assert isinstance(catalog, SqlCatalog)
    async with catalog._database.writing() as connection:
        await connection.execute(update(images).values(bucket=None))
    assert [row async for row in catalog.rows_of_buckets(0, ROW_BUCKETS - 1)] == []
    assert [await catalog.fill_buckets(3) for _ in range(3)] == [3, 2, 0]
    found = {row.id: bucket for bucket in range(ROW_BUCKETS) async for row in catalog.rows_of_buckets(bucket, bucket)}
    assert found == {image_id: row_bucket_of(image_id) for image_id in range(1, 6)}


async def test_pages_of_buckets_and_originals_leave_nothing_out(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await catalog.upsert(ANN, [new(str(number), str(number % 7)) for number in range(20)])
    monkeypatch.setattr(comparing, "_READ_AT_ONCE", 2)
    rows = [row.id async for row in catalog.rows_of_buckets(0, ROW_BUCKETS - 1)]
    assert rows == sorted((one.id for one in made), key=lambda i: (row_bucket_of(i), i))
    some = [row.id async for row in catalog.rows_of_buckets(100, 199)]
    assert some == [i for i in rows if 100 <= row_bucket_of(i) < 200]
    kept = [(one.sha256, one.id) async for one in catalog.kept_originals()]
    assert kept == sorted((sha(str(number % 7)), one.id) for number, one in enumerate(made))


def logged(image_id: int, version: int, picture: NewPicture | None) -> LoggedPicture:
    return LoggedPicture(ImageId(image_id), ANN, Version(version), picture, 1_600_000_000_000)


async def test_rows_are_made_again_from_the_log(catalog: Catalog, clock: Clock) -> None:
    older, deleted, newer = await catalog.upsert(ANN, [DESCRIBED, new("b"), new("c")])
    await embedded(catalog, deleted)
    since = replace(DESCRIBED, tags=("since",), sha256=sha("since"), uri=f"omma:{sha('since')}", mtime_ns=7)
    lost = replace(DESCRIBED, key="lost", source_url="https://b.org/y")
    records = [
        logged(older.id, 4, since),
        logged(deleted.id, 2, None),
        logged(newer.id, 1, replace(new("c"), tags=("never",))),
        logged(77, 3, lost),
        logged(78, 2, replace(lost, key="c")),
        logged(79, 5, None),
    ]
    assert await catalog.rebuild(records) == {older.id, deleted.id, 77}
    await catalog.record_embedded(SPACE.id, [Embedded(ImageId(77), Version(3), 640, 480, 5)])
    row = await catalog.picture(ANN, ImageId(77))
    assert (row.key, row.version, row.state, row.created_at_ms) == ("lost", 3, PictureState.INDEXED, 1_600_000_000_000)
    assert (row.owner, row.tags, row.attributes, row.source_url) == (
        "ann",
        ("a", "b"),
        lost.attributes,
        lost.source_url,
    )
    assert (row.width, row.height, row.phash, row.bytes) == (640, 480, 5, 10)
    row = await catalog.picture(ANN, older.id)
    assert (row.version, row.tags, row.sha256, row.mtime_ns, row.key) == (4, ("since",), sha("since"), 7, "k")
    assert (await catalog.picture(ANN, newer.id)).tags == ()
    # Nothing is to be sent of them, and a delete of the log can be taken back.
    assert {event.image_id for event in await catalog.unsent(9)} == {newer.id}
    assert (await catalog.restore(ANN, deleted.id, GRACE)).version == 3
    assert await catalog.rebuild(records) == set()
    clock.seconds += GRACE
    assert {one.sha256 for one in await catalog.take_orphans(GRACE, 9, 1)} == {sha("b"), sha("k")}
