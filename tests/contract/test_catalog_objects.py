"""What every catalog keeps of objects in buckets."""

import asyncio
import random
from dataclasses import replace

from omma.catalog.inbox_object import KnownObject, SeenObject, StoredObject
from omma.catalog.interface import Catalog
from omma.catalog.picture import Change
from omma.records import EventKind
from tests.contract.catalogs import ANN, BOB, Backend, kind, new, sha


def seen(sequencer: str, content: str | None, key: str = "a") -> SeenObject:
    return SeenObject(key, sequencer, None if content is None else new(f"s3://inbox/{key}", content))


async def test_a_picture_follows_its_object_to_the_newest_event(catalog: Catalog) -> None:
    assert await catalog.object(ANN, "inbox", "a") is None
    (made,) = await catalog.follow_objects(ANN, "inbox", [seen("", "one")])
    assert (made.change, made.version) == (Change.CREATED, 1)
    (same,) = await catalog.follow_objects(ANN, "inbox", [seen("0055AED6DC90", "one")])
    assert (same.id, same.change) == (made.id, Change.SAME)
    for older in ("0055aed6dc8", "", "0055AED6DC8FFF"):
        assert await catalog.follow_objects(ANN, "inbox", [seen(older, None)]) == []
        assert await catalog.follow_objects(ANN, "inbox", [seen(older, "other")]) == []
    assert await catalog.object(ANN, "inbox", "a") == StoredObject("0055AED6DC90", made.id)
    (again,) = await catalog.follow_objects(ANN, "inbox", [seen("0055AED6DC9", "two")])
    assert (again.id, again.change, kind(again)) == (made.id, Change.CHANGED, EventKind.UPSERT)
    (gone,) = await catalog.follow_objects(ANN, "inbox", [seen("0055AED6DC91", None)])
    assert (gone.id, kind(gone)) == (made.id, EventKind.DELETE)
    assert await catalog.follow_objects(ANN, "inbox", [seen("0055AED6DC91", None)]) == []
    assert await catalog.follow_objects(ANN, "inbox", [seen("0055AED6DC90FF", "two")]) == []
    assert await catalog.object(ANN, "inbox", "a") == StoredObject("0055AED6DC91", None)
    assert await catalog.object(BOB, "inbox", "a") is None
    assert await catalog.object(ANN, "other", "a") is None


async def test_what_is_known_of_objects_is_told_for_a_page_of_them(catalog: Catalog) -> None:
    page = [seen("", "one", "a"), seen("1", "two", "b"), seen("2", None, "c")]
    page[0] = replace(page[0], picture=replace(new("s3://inbox/a", "one"), bytes=7, mtime_ns=5))
    assert len(await catalog.follow_objects(ANN, "inbox", page)) == 2
    known = await catalog.known_objects(ANN, "inbox", ["a", "b", "c", "d"])
    assert known.keys() == {"a", "b", "c"} and known["a"] == KnownObject("", 7, 5)
    assert known["b"].sequencer == "1" and known["c"] == KnownObject("2", None, None)
    assert await catalog.known_objects(BOB, "inbox", ["a"]) == {}


async def test_events_of_an_object_from_everywhere_leave_the_newest(backend: Backend) -> None:
    catalogs = [await backend.open() for _ in range(2)]
    events = [f"{i:04X}" for i in range(16)]
    random.Random(4).shuffle(events)
    await asyncio.gather(*(catalog.follow_objects(ANN, "inbox", [seen(e, e)]) for e in events for catalog in catalogs))
    stored = await catalogs[0].object(ANN, "inbox", "a")
    assert stored is not None and stored.sequencer == "000F" and stored.image_id is not None
    assert (await catalogs[0].picture(ANN, stored.image_id)).sha256 == sha("000F")
