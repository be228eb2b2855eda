"""What every catalog keeps for the indexer: the outbox, what it learned of a picture, and where rows are found."""

from dataclasses import replace

import pytest
from sqlalchemy import insert

from omma.buckets import ROW_BUCKETS, row_bucket_of
from omma.catalog.interface import Catalog
from omma.catalog.picture import Embedded, PictureChange, PictureState
from omma.catalog.schema.pictures import untold
from omma.errors import InvalidQuery
from omma.identity import ImageId
from omma.quality import Quality
from omma.records import EventKind
from tests.clock import Clock
from tests.contract.catalogs import (
    ALSO_AFTER_A_ROLLOUT,
    ANN,
    BOB,
    SIGNATURE,
    SPACE,
    Backend,
    embedded,
    kind,
    new,
    one,
    sent,
    sha,
)


async def test_the_row_is_the_outbox(backend: Backend, clock: Clock) -> None:
    catalog = await backend.open()
    first = await one(catalog, new("a"))
    clock.seconds += 1
    second = await one(catalog, new("b"))
    await catalog.close()
    catalog = await backend.open()
    waiting = await catalog.unsent(10)
    assert [(e.image_id, e.version, e.tenant, e.kind) for e in waiting] == [
        (first.id, 1, ANN, EventKind.UPSERT),
        (second.id, 1, ANN, EventKind.UPSERT),
    ]
    assert await catalog.unsent(1) == waiting[:1]
    assert await catalog.unsent_since() == clock.seconds - 1
    assert (await catalog.counts())["unsent"] == 2
    await catalog.mark_sent(waiting)
    assert await catalog.unsent(10) == [] and await catalog.unsent_since() is None
    (gone,) = await catalog.delete(ANN, [first.id])
    await catalog.mark_sent(waiting)  # an older event that is sent late does not count for the newer one
    assert [(e.version, e.kind) for e in await catalog.unsent(10)] == [(gone.version, EventKind.DELETE)]


async def test_what_an_older_version_let_go_is_sent_once_more(catalog: Catalog, clock: Clock) -> None:
    rows = [await one(catalog, new(key)) for key in "abcde"]
    await catalog.delete(ANN, [rows[3].id])
    await catalog.mark_sent(await catalog.unsent(10))
    clock.seconds += 60
    assert await catalog.retell(10) == 0 and await catalog.unsent(10) == [], "nobody forgot anything"
    async with catalog._database.writing() as connection:  # type: ignore[attr-defined]
        await connection.execute(insert(untold).values(up_to=rows[-1].id))
    later = await one(catalog, new("later"))
    await catalog.mark_sent(await catalog.unsent(10))
    told = []
    while looked_at := await catalog.retell(2):
        events = await catalog.unsent(10)
        assert await catalog.unsent_since() == clock.seconds if events else looked_at == 1
        await catalog.mark_sent(events)
        told.append([(event.image_id, event.version) for event in events])
    assert told == [[(rows[4].id, 1)], [(rows[1].id, 1), (rows[2].id, 1)], [(rows[0].id, 1)]]
    assert (await catalog.picture(ANN, later.id)).version == 1
    assert await catalog.retell(2) == 0 and await catalog.unsent(10) == []


async def test_what_is_put_off_comes_back_to_the_outbox_when_it_is_time(catalog: Catalog, clock: Clock) -> None:
    first, second = await one(catalog, new("a")), await one(catalog, new("b"))
    await catalog.mark_sent(await catalog.unsent(10))
    changed = await one(catalog, new("b", "new"))
    await catalog.mark_sent(await catalog.unsent(10))
    await catalog.postpone({first.id: first.version, second.id: second.version}, "The disk fails.", 60)
    assert await catalog.unsent(10) == [] and await catalog.unsent_since() is None
    assert (await catalog.picture(ANN, first.id)).reason == "The disk fails."
    assert (await catalog.picture(ANN, changed.id)).reason == "", "it has a newer version"
    clock.seconds += 61
    waiting = await catalog.unsent(10)
    assert [(e.image_id, e.version, e.kind) for e in waiting] == [(first.id, 1, EventKind.UPSERT)]
    await catalog.mark_sent(waiting)
    assert await catalog.unsent(10) == []
    await catalog.delete(ANN, [first.id])
    await catalog.postpone({first.id: first.version}, "late", 0)
    assert [e.kind for e in await catalog.unsent(10)] == [EventKind.DELETE]


async def test_an_event_is_sent_whatever_became_of_the_clock(catalog: Catalog, clock: Clock) -> None:
    first, second = await one(catalog, new("a")), await one(catalog, new("b"))
    await sent(catalog, second)
    (gone,) = await catalog.delete(ANN, [second.id])
    clock.seconds -= 86_400
    waiting = [(event.image_id, event.version) for event in await catalog.unsent(10)]
    assert waiting == [(first.id, 1), (second.id, gone.version)] and await catalog.unsent_since() is not None


async def test_a_dead_row_is_tried_again_by_whoever_sees_it(catalog: Catalog) -> None:
    first = await one(catalog, new("k"))
    await catalog.mark_sent(await catalog.unsent(10))
    await catalog.record_dead(first.id, first.version, "truncated")
    again = await one(catalog, new("k"))
    assert kind(again) is EventKind.UPSERT and (again.id, again.version) == (first.id, 2)
    row = await catalog.picture(ANN, first.id)
    assert (row.state, row.reason) == (PictureState.PENDING, "")
    assert kind(await one(catalog, new("k"))) is None, "what waits already is left alone"


async def test_an_embedding_that_was_never_asked_for_is_still_asked_for(catalog: Catalog) -> None:
    first = await one(catalog, new("k"))
    changed = await catalog.change(ANN, first.id, PictureChange(owner="x"))
    assert kind(changed) is EventKind.UPSERT
    assert [(e.version, e.kind) for e in await catalog.unsent(10)] == [(2, EventKind.UPSERT)]


async def test_what_the_indexer_learned_counts_for_its_version_only(catalog: Catalog) -> None:
    first = await one(catalog, new("k"))
    await embedded(catalog, first)
    await embedded(catalog, first)
    row = await catalog.picture(ANN, first.id)
    assert (row.state, row.width, row.height, row.phash) == (PictureState.INDEXED, 640, 480, 2**64 - 1)
    assert row.signature == SIGNATURE
    changed = await one(catalog, new("k", "new"))
    await embedded(catalog, first)
    await catalog.record_dead(first.id, first.version, "late")
    assert (await catalog.picture(ANN, first.id)).state is PictureState.PENDING
    await catalog.record_dead(changed.id, changed.version, "truncated")
    row = await catalog.picture(ANN, first.id)
    assert (row.state, row.reason) == (PictureState.DEAD, "truncated")
    await embedded(catalog, changed)
    row = await catalog.picture(ANN, first.id)
    assert (row.state, row.reason) == (PictureState.INDEXED, "")


@ALSO_AFTER_A_ROLLOUT
async def test_who_says_late_that_a_picture_died_kills_none_that_has_its_vector(catalog: Catalog) -> None:
    first = await one(catalog, new("k"))
    await embedded(catalog, first)
    assert not await catalog.record_dead(first.id, first.version, "late", SPACE.id)
    row = await catalog.picture(ANN, first.id)
    assert (row.state, row.reason) == (PictureState.INDEXED, "")
    assert await catalog.dead_in(SPACE.id, [first.id]) == {}
    assert await catalog.record_dead(first.id, first.version, "not for me", "another space")
    changed = await catalog.change(ANN, first.id, PictureChange(owner="x"))
    assert await catalog.record_dead(changed.id, changed.version, "truncated", SPACE.id), "of another version it may"
    assert (await catalog.picture(ANN, first.id)).state is PictureState.DEAD


async def test_the_same_bytes_are_found_in_a_space(catalog: Catalog) -> None:
    first, other = await catalog.upsert(ANN, [new("a", "bytes"), new("b", "other")])
    assert await catalog.embedded_with(SPACE.id, [sha("bytes")]) == {}
    await embedded(catalog, first, other)
    assert await catalog.embedded_with(SPACE.id, [sha("bytes"), sha("x")]) == {sha("bytes"): first.id}
    assert await catalog.embedded_with("another", [sha("bytes")]) == {}
    assert await catalog.embedded_with(SPACE.id, []) == {}
    await one(catalog, new("a", "changed"))
    assert await catalog.embedded_with(SPACE.id, [sha("bytes"), sha("changed")]) == {}


async def test_counts_by_state(catalog: Catalog) -> None:
    answers = await catalog.upsert(ANN, [new(str(i)) for i in range(5)])
    await embedded(catalog, answers[0], answers[1])
    await catalog.record_dead(answers[2].id, answers[2].version, "no picture")
    await catalog.delete(ANN, [answers[3].id])
    await sent(catalog, *answers[:3])
    assert await catalog.counts() == {"pending": 1, "indexed": 2, "dead": 1, "deleted": 1, "unsent": 2}


async def test_every_row_is_compared_in_its_bucket_and_found_by_its_place(catalog: Catalog) -> None:
    first, second = await catalog.upsert(ANN, [new("a"), replace(new("b"), uri="file:///b")])
    third = await one(catalog, new("a"), BOB)
    await catalog.delete(ANN, [first.id])
    rows = [row async for row in catalog.rows_of_buckets(0, ROW_BUCKETS - 1)]
    assert sorted((row.id, row.version, row.state) for row in rows) == [
        (first.id, 2, PictureState.DELETED),
        (second.id, 1, PictureState.PENDING),
        (third.id, 1, PictureState.PENDING),
    ]
    here = [row.id async for row in catalog.rows_of_buckets(row_bucket_of(second.id), row_bucket_of(second.id))]
    assert second.id in here and all(row_bucket_of(i) == row_bucket_of(second.id) for i in here)
    kept = [one async for one in catalog.kept_originals()]
    assert [(one.sha256, one.id, one.version) for one in kept] == [(sha("a"), third.id, 1)]
    assert [one async for one in catalog.kept_originals(after=sha("a"))] == []
    assert [row.id for row in await catalog.find_pictures(ANN, "a")] == [first.id]
    assert [row.id for row in await catalog.find_pictures(BOB, "a")] == [third.id]
    assert [row.id for row in await catalog.find_pictures(ANN, "file:///b")] == [second.id]
    assert await catalog.find_pictures(BOB, "file:///b") == []


async def test_bytes_are_known_by_the_oldest_live_picture_of_the_tenant(catalog: Catalog) -> None:
    first, second, dead = await catalog.upsert(ANN, [new("a"), replace(new("again"), sha256=sha("a")), new("dead")])
    await one(catalog, new("b"), BOB)
    await catalog.record_dead(dead.id, dead.version, "no picture")
    asked = [sha("a"), sha("b"), sha("dead"), sha("never")]
    assert await catalog.with_bytes(ANN, asked) == {sha("a"): first.id}
    await catalog.delete(ANN, [first.id])
    assert await catalog.with_bytes(ANN, asked) == {sha("a"): second.id}
    await catalog.delete(ANN, [second.id])
    assert await catalog.with_bytes(ANN, asked) == {}
    assert await catalog.with_bytes(ANN, []) == {}


async def test_a_place_is_found_however_many_other_tenants_have_it(catalog: Catalog) -> None:
    await catalog.upsert(BOB, [replace(new(str(number)), uri="file:///a") for number in range(150)])
    mine = await one(catalog, replace(new("mine"), uri="file:///a"))
    assert [row.id for row in await catalog.find_pictures(ANN, "file:///a")] == [mine.id]
    assert len(await catalog.find_pictures(BOB, "file:///a")) == 100


async def test_an_id_of_the_log_is_not_given_again(backend: Backend) -> None:
    catalog = await backend.open()
    await catalog.raise_ids_above(ImageId(1_000))
    first = await one(catalog, new("a"))
    assert first.id == 1_001
    await catalog.raise_ids_above(ImageId(500))
    await catalog.raise_ids_above(ImageId(0))
    assert (await one(catalog, new("b"))).id == 1_002
    for wrong in (-1, 2**63 - 1):
        with pytest.raises(InvalidQuery):
            await catalog.raise_ids_above(ImageId(wrong))


async def test_quality_stays_with_the_bytes_that_have_it(catalog: Catalog) -> None:
    await catalog.register_space(SPACE)
    good = Quality(0.75, 0.5)
    first, again, other = [await one(catalog, new(key, bytes)) for key, bytes in (("a", "x"), ("b", "x"), ("c", "y"))]
    seen = Embedded(first.id, first.version, 640, 480, 1, SIGNATURE, good)
    await catalog.record_embedded(SPACE.id, [seen])
    # Vectors that a shard had already, and what it knew of the bytes.
    known = [
        Embedded(row.id, row.version, 640, 480, 1, SIGNATURE, told) for row, told in ((again, good), (other, None))
    ]
    await catalog.record_embedded(SPACE.id, known)
    rows = await catalog.pictures([first.id, again.id, other.id])
    assert [rows[row.id].quality for row in (first, again, other)] == [good, good, None]

    changed = await catalog.change(ANN, first.id, PictureChange(tags=("t",)))
    await catalog.record_embedded(SPACE.id, [Embedded(first.id, changed.version, 640, 480, 1, SIGNATURE, good)])
    assert (await catalog.pictures([first.id]))[first.id].quality == good
    replaced = await one(catalog, new("a", "y"))
    await catalog.record_embedded(SPACE.id, [Embedded(first.id, replaced.version, 640, 480, 2, b"\x01\x02")])
    assert (await catalog.pictures([first.id]))[first.id].quality is None, "the new bytes' is not known"
