"""What every catalog keeps. A backend joins by one more parameter of the fixture."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from omma.catalog.interface import (
    ApiKey,
    Catalog,
    Change,
    Embedded,
    Interaction,
    InteractionType,
    KnownObject,
    LoggedInteraction,
    NewPicture,
    Page,
    PictureChange,
    PictureState,
    Role,
    SeenObject,
    StoredObject,
    Upserted,
)
from omma.catalog.job import JobState
from omma.catalog.postgres import open_postgres_catalog
from omma.catalog.postgres_settings import PostgresSettings
from omma.catalog.schema import DAY_MS
from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import Absent, InvalidQuery, Overloaded, WrongSpace, WrongState
from omma.filters import parse_filter
from omma.identity import ImageId, Sha256, Tenant, Version
from omma.index import Index, IndexId, IndexState
from omma.records import EventKind
from omma.space import Space, SpaceId
from tests import parts
from tests.databases import empty, shared_database

ANN, BOB = Tenant("ann"), Tenant("bob")
SPACE = Space(SpaceId("mini-1-abcdef01"), "mini", "f" * 64, 256)
INDEX = Index(IndexId("mini-1-abcdef01.1"), SPACE.id, "Flat", 1, IndexState.BUILDING)


class Clock:
    """Seconds since 1970 that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def __call__(self) -> float:
        return self.seconds


class Backend:
    """A catalog that can be left and opened again."""

    def __init__(self, open_catalog: Callable[[], Awaitable[Catalog]]) -> None:
        self._open_catalog = open_catalog
        self._opened: list[Catalog] = []

    async def open(self) -> Catalog:
        self._opened.append(await self._open_catalog())
        return self._opened[-1]

    async def close(self) -> None:
        for catalog in self._opened:
            await catalog.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def database(postgres: parts.Postgres) -> Iterator[str]:
    with shared_database(postgres) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Backend]:
    if request.param == "sqlite":
        path = tmp_path / "catalog.db"
        backend = Backend(lambda: open_sqlite_catalog(path, clock=clock))
        yield backend
        await backend.close()
    else:
        url = request.getfixturevalue("database")
        settings = PostgresSettings(url=SecretStr(url), connections=4)
        backend = Backend(lambda: open_postgres_catalog(settings, clock=clock))
        yield backend
        await backend.close()
        await empty(url)


@pytest.fixture
async def catalog(backend: Backend) -> Catalog:
    return await backend.open()


def sha(content: str) -> Sha256:
    return Sha256(hashlib.sha256(content.encode()).hexdigest())


def new(key: str, content: str = "") -> NewPicture:
    return NewPicture(key=key, sha256=sha(content or key), uri=f"omma:{sha(content or key)}", bytes=10)


async def one(catalog: Catalog, picture: NewPicture, tenant: Tenant = ANN) -> Upserted:
    (answer,) = await catalog.upsert(tenant, [picture])
    return answer


def kind(answer: Upserted) -> EventKind | None:
    if answer.event is not None:
        assert (answer.event.image_id, answer.event.version) == (answer.id, answer.version)
    return answer.event and answer.event.kind


async def sent(catalog: Catalog, *answers: Upserted) -> None:
    await catalog.mark_sent([answer.event for answer in answers if answer.event is not None])


async def embedded(catalog: Catalog, *answers: Upserted, space: str = SPACE.id) -> None:
    await catalog.record_embedded(space, [Embedded(a.id, a.version, 640, 480, 2**64 - 1) for a in answers])


async def test_a_new_picture_is_a_row_that_waits(catalog: Catalog, clock: Clock) -> None:
    given = replace(
        new("k"), owner="ann", tags=("a", "b"), source_url="https://example.org/x", attributes={"n": 1, "ä": [True]}
    )
    answer = await one(catalog, given)
    assert (answer.change, answer.version, kind(answer)) == (Change.CREATED, 1, EventKind.UPSERT)
    row = await catalog.picture(ANN, answer.id)
    assert (row.id, row.tenant, row.key, row.version, row.state) == (answer.id, ANN, "k", 1, PictureState.PENDING)
    assert (row.owner, row.tags, row.attributes) == (given.owner, given.tags, given.attributes)
    assert (row.source_url, row.sha256, row.uri, row.bytes) == (given.source_url, given.sha256, given.uri, 10)
    assert (row.created_at_ms, row.width, row.height, row.phash) == (int(clock.seconds * 1000), 0, 0, 0)


async def test_the_same_again_changes_nothing(catalog: Catalog) -> None:
    first = await one(catalog, new("k"))
    again = await one(catalog, new("k"))
    assert again == Upserted(first.id, Version(1), Change.SAME, None)


async def test_what_an_upsert_leaves_empty_stays_as_it_was(catalog: Catalog) -> None:
    known = replace(new("k"), owner="ann", tags=("a",), source_url="https://example.org/x", attributes={"n": 1})
    first = await one(catalog, known)
    assert (await one(catalog, new("k"))).change is Change.SAME
    await one(catalog, replace(new("k"), tags=("b",)))
    await one(catalog, new("k", "other bytes"))
    row = await catalog.picture(ANN, first.id)
    assert (row.version, row.owner, row.tags, row.attributes) == (3, "ann", ("b",), {"n": 1})
    assert row.source_url == known.source_url
    await catalog.change(ANN, first.id, PictureChange(tags=()))
    assert (await catalog.picture(ANN, first.id)).tags == ()


async def test_other_bytes_ask_for_an_embedding(catalog: Catalog) -> None:
    first = await one(catalog, new("k", "old"))
    await sent(catalog, first)
    await embedded(catalog, first)
    changed = await one(catalog, new("k", "new"))
    assert (changed.id, changed.version, changed.change) == (first.id, 2, Change.CHANGED)
    assert kind(changed) is EventKind.UPSERT
    row = await catalog.picture(ANN, first.id)
    assert (row.state, row.width, row.sha256) == (PictureState.PENDING, 0, sha("new"))


async def test_other_words_embed_nothing_again(catalog: Catalog) -> None:
    version = 1
    first = await one(catalog, new("k"))
    await sent(catalog, first)
    await embedded(catalog, first)
    given = new("k")
    for field, value in {
        "owner": "bob",
        "tags": ("t",),
        "attributes": {"a": 1},
        "source_url": "https://example.org",
        "uri": "file:///moved",
    }.items():
        given = replace(given, **{field: value})
        answer = await one(catalog, given)
        await sent(catalog, answer)
        version += 1
        assert (answer.version, answer.change, kind(answer)) == (version, Change.CHANGED, EventKind.ATTRIBUTES)
    assert (await one(catalog, replace(given, attributes={"a": True}))).change is Change.CHANGED
    row = await catalog.picture(ANN, first.id)
    assert (row.state, row.width, row.phash) == (PictureState.INDEXED, 640, 2**64 - 1)


async def test_a_new_mtime_moves_the_reference_only(catalog: Catalog) -> None:
    given = replace(new("k"), uri="file:///k", mtime_ns=1)
    first = await one(catalog, given)
    assert await one(catalog, replace(given, mtime_ns=2)) == Upserted(first.id, Version(1), Change.SAME, None)
    assert (await catalog.picture(ANN, first.id)).mtime_ns == 2


async def test_a_batch_answers_in_order_and_the_last_of_a_key_wins(catalog: Catalog) -> None:
    await catalog.upsert(ANN, [new("b")])
    answers = await catalog.upsert(ANN, [new("c"), new("a", "1"), new("b"), new("a", "2")])
    assert [answer.change for answer in answers] == [Change.CREATED, Change.CREATED, Change.SAME, Change.CREATED]
    assert answers[1].id == answers[3].id
    rows = await catalog.pictures([answer.id for answer in answers])
    assert [rows[answer.id].key for answer in answers] == ["c", "a", "b", "a"]
    assert rows[answers[1].id].sha256 == sha("2")
    assert await catalog.upsert(ANN, []) == []


async def test_a_deleted_picture_is_absent_but_keeps_its_version(catalog: Catalog) -> None:
    first = await one(catalog, replace(new("k"), tags=("secret",)))
    await embedded(catalog, first)
    missing = ImageId(first.id + 1)
    (gone,) = await catalog.delete(ANN, [first.id, missing, first.id])
    assert (gone.id, gone.version, kind(gone)) == (first.id, 2, EventKind.DELETE)
    assert await catalog.delete(ANN, [first.id]) == []
    with pytest.raises(Absent):
        await catalog.picture(ANN, first.id)
    with pytest.raises(Absent):
        await catalog.change(ANN, first.id, PictureChange(owner="x"))
    row = (await catalog.pictures([first.id]))[first.id]
    assert (row.state, row.version, row.tags) == (PictureState.DELETED, 2, ())
    assert (await catalog.list_pictures(ANN, None, None, 10)).count == 0
    assert await catalog.embedded_with(SPACE.id, [sha("k")]) == {}


async def test_a_deleted_key_comes_back_as_the_same_picture(catalog: Catalog) -> None:
    first = await one(catalog, new("k"))
    await embedded(catalog, first)
    await catalog.delete(ANN, [first.id])
    back = await one(catalog, new("k"))
    assert (back.id, back.version, back.change, kind(back)) == (first.id, 3, Change.CHANGED, EventKind.UPSERT)
    row = await catalog.picture(ANN, first.id)
    assert (row.state, row.width, row.phash) == (PictureState.PENDING, 0, 0)


async def test_change_replaces_only_what_is_given(catalog: Catalog) -> None:
    first = await one(catalog, replace(new("k"), owner="ann", tags=("a",), attributes={"x": 1}))
    await sent(catalog, first)
    answer = await catalog.change(ANN, first.id, PictureChange(tags=("b", "c")))
    assert (answer.version, answer.change, kind(answer)) == (2, Change.CHANGED, EventKind.ATTRIBUTES)
    row = await catalog.picture(ANN, first.id)
    assert (row.version, row.owner, row.tags, row.attributes) == (2, "ann", ("b", "c"), {"x": 1})
    same = await catalog.change(ANN, first.id, PictureChange(tags=("b", "c"), owner="ann"))
    assert same == Upserted(first.id, Version(2), Change.SAME, None)
    assert (await catalog.change(ANN, first.id, PictureChange(attributes={}, owner=""))).version == 3


async def test_tenants_never_meet(catalog: Catalog) -> None:
    hers = await one(catalog, new("k"), ANN)
    his = await one(catalog, new("k"), BOB)
    assert hers.id != his.id
    with pytest.raises(Absent):
        await catalog.picture(BOB, hers.id)
    with pytest.raises(Absent):
        await catalog.change(BOB, hers.id, PictureChange(owner="bob"))
    assert await catalog.delete(BOB, [hers.id]) == []
    assert [p.id for p in (await catalog.list_pictures(BOB, None, None, 10)).pictures] == [his.id]
    assert set(await catalog.pictures([hers.id, his.id])) == {hers.id, his.id}


@pytest.mark.parametrize("image_id", [0, -1, 2**63, 2**70])
async def test_an_id_that_none_has_is_absent(catalog: Catalog, image_id: int) -> None:
    with pytest.raises(Absent):
        await catalog.picture(ANN, ImageId(image_id))
    assert await catalog.delete(ANN, [ImageId(image_id)]) == []


async def test_pages_hold_every_picture_once(catalog: Catalog) -> None:
    await catalog.upsert(ANN, [replace(new(f"{i:02}"), tags=("even",) if i % 2 == 0 else ()) for i in range(25)])
    pages: list[Page] = []
    cursor: str | None = None
    while not pages or cursor:
        pages.append(await catalog.list_pictures(ANN, None, cursor, 10))
        cursor = pages[-1].cursor
    assert [len(page.pictures) for page in pages] == [10, 10, 5]
    assert {page.count for page in pages} == {25}
    ids = [picture.id for page in pages for picture in page.pictures]
    assert ids == sorted(set(ids)) and len(ids) == 25
    even = await catalog.list_pictures(ANN, parse_filter({"tags": "even"}), None, 13)
    assert (even.count, len(even.pictures), even.cursor) == (13, 13, None)


async def test_a_count_goes_only_so_far(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omma.catalog.pictures._COUNTED_AT_MOST", 3)
    await catalog.upsert(ANN, [new(str(i)) for i in range(3)])
    exact = await catalog.list_pictures(ANN, None, None, 10)
    await catalog.upsert(ANN, [new("more")])
    capped = await catalog.list_pictures(ANN, None, None, 10)
    assert [(page.count, page.capped, len(page.pictures)) for page in (exact, capped)] == [(3, False, 3), (3, True, 4)]


@pytest.mark.parametrize("cursor", ["", "x", "ä", "AAAA", "__________8", "-" * 11, "A" * 1000])
async def test_a_cursor_that_it_did_not_make_is_refused(catalog: Catalog, cursor: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        await catalog.list_pictures(ANN, None, cursor, 10)
    assert caught.value.field == "cursor"


async def test_referenced_files_under_a_prefix(catalog: Catalog) -> None:
    def file(key: str) -> NewPicture:
        return replace(new(key), uri=key, mtime_ns=5)

    keys = ["file:///a/1", "file:///a/%25/2", "file:///A/1", "file:///ab/1"]
    answers = await catalog.upsert(ANN, [*map(file, keys), new("file:///a/uploaded")])
    await catalog.upsert(BOB, [file("file:///a/1")])
    found = {row.key: row async for row in catalog.referenced_files(ANN, "file:///a/")}
    assert set(found) == {"file:///a/1", "file:///a/%25/2"}
    assert (found["file:///a/1"].id, found["file:///a/1"].mtime_ns) == (answers[0].id, 5)
    await catalog.delete(ANN, [answers[0].id])
    assert [row.key async for row in catalog.referenced_files(ANN, "file:///a/%")] == ["file:///a/%25/2"]
    assert [row.key async for row in catalog.referenced_files(ANN, "file:///a/1")] == []


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
    assert (await catalog.counts())["unsent"] == 2
    await catalog.mark_sent(waiting)
    assert await catalog.unsent(10) == []
    (gone,) = await catalog.delete(ANN, [first.id])
    await catalog.mark_sent(waiting)  # an older event that is sent late does not count for the newer one
    assert [(e.version, e.kind) for e in await catalog.unsent(10)] == [(gone.version, EventKind.DELETE)]


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


async def test_spaces_are_registered_once(catalog: Catalog) -> None:
    await catalog.register_space(SPACE)
    await catalog.register_space(SPACE)
    assert await catalog.spaces() == [SPACE]
    for other in (replace(SPACE, dim=128), replace(SPACE, signature="0" * 64), replace(SPACE, buckets=512)):
        with pytest.raises(WrongSpace):
            await catalog.register_space(other)


async def test_an_index_walks_but_never_changes(catalog: Catalog) -> None:
    with pytest.raises(WrongState):
        await catalog.register_index(INDEX)
    await catalog.register_space(SPACE)
    await catalog.register_index(INDEX)
    await catalog.set_index_state(INDEX.id, IndexState.LIVE)
    assert await catalog.adopt_codebook(INDEX.id, "c" * 64)
    assert not await catalog.adopt_codebook(INDEX.id, "d" * 64)
    await catalog.register_index(INDEX)
    walked = replace(INDEX, state=IndexState.LIVE, codebook="c" * 64)
    assert await catalog.indexes() == [walked]
    with pytest.raises(WrongState):
        await catalog.register_index(replace(INDEX, shards=2))
    for call in (catalog.set_index_state("x", IndexState.LIVE), catalog.adopt_codebook("x", "c")):
        with pytest.raises(Absent):
            await call


async def test_one_index_is_live(catalog: Catalog) -> None:
    await catalog.register_space(SPACE)
    ids = [IndexId(f"{SPACE.id}.{n}") for n in range(3)]
    for index_id in ids[:2]:
        await catalog.register_index(replace(INDEX, id=index_id))
        await catalog.set_index_state(index_id, IndexState.LIVE)
    await catalog.register_index(replace(INDEX, id=ids[2], state=IndexState.LIVE))
    states = {index.id: index.state for index in await catalog.indexes()}
    assert [states[i] for i in ids] == [IndexState.RETIRED, IndexState.RETIRED, IndexState.LIVE]


async def test_a_lease_has_one_holder(catalog: Catalog, clock: Clock) -> None:
    assert await catalog.acquire_lease("train", "a", 10)
    assert not await catalog.acquire_lease("train", "b", 10)
    clock.seconds += 9
    assert await catalog.acquire_lease("train", "a", 10)
    clock.seconds += 9
    assert not await catalog.acquire_lease("train", "b", 10)
    clock.seconds += 1
    assert await catalog.acquire_lease("train", "b", 10)
    await catalog.release_lease("train", "a")
    assert not await catalog.acquire_lease("train", "a", 10)
    await catalog.release_lease("train", "b")
    assert await catalog.acquire_lease("train", "a", 10)


async def test_keys_are_revoked_by_a_prefix_that_fits_one(catalog: Catalog) -> None:
    first = ApiKey("ab12", "one", ANN, Role.READ, 1)
    second = ApiKey("ab34", "two", BOB, Role.ADMIN, 2)
    for key in (first, second):
        await catalog.add_api_key(key)
    assert await catalog.api_keys() == [first, second]
    with pytest.raises(InvalidQuery):
        await catalog.revoke_api_key("ab")
    for prefix in ("zz", "", "%"):
        with pytest.raises(Absent):
            await catalog.revoke_api_key(prefix)
    assert await catalog.revoke_api_key("ab1") == replace(first, revoked=True)
    assert await catalog.api_keys() == [replace(first, revoked=True), second]


def shown(offset: int, ts_ms: int, partition: int = 0, **more: Any) -> LoggedInteraction:
    given = {"user_id": "u", "query_image_id": 0, "rank": 1, "type": InteractionType.IMPRESSION, "query_id": "q"}
    one = Interaction(tenant=ANN, displayed_image_id=ImageId(offset + 1), ts_ms=ts_ms, **{**given, **more})
    return LoggedInteraction(partition, offset, one)


async def ids(catalog: Catalog, since_ms: int = 0, until_ms: int = 2**62, tenant: Tenant = ANN) -> list[int]:
    return [one.displayed_image_id async for one in catalog.interactions(tenant, since_ms, until_ms)]


async def test_interactions_are_read_back_as_they_were_in_the_order_of_time(catalog: Catalog, clock: Clock) -> None:
    now = int(clock.seconds * 1000)
    batch = [
        shown(0, now + 2, user_id="ünï\t\n\\N", query_image_id=2**63 - 1, rank=2**31 - 1),
        shown(1, now, type=InteractionType.CLICK, query_id=""),
        shown(2, now - DAY_MS),
    ]
    assert await catalog.add_interactions("log", batch) == 3
    assert [one async for one in catalog.interactions(ANN, 0, 2**62)] == [
        batch[2].interaction,
        batch[1].interaction,
        batch[0].interaction,
    ]
    assert await ids(catalog, now, now + 2) == [2]
    assert await ids(catalog, tenant=BOB) == []


async def test_a_batch_that_comes_twice_is_there_once(backend: Backend, clock: Clock) -> None:
    now = int(clock.seconds * 1000)
    catalog = await backend.open()
    batch = [shown(i, now, partition=i % 2) for i in range(6)]
    assert await catalog.add_interactions("log", batch[:4]) == 4
    other = await backend.open()
    assert await other.add_interactions("log", batch) == 2
    assert await catalog.add_interactions("log", batch) == 0
    assert await catalog.add_interactions("log", []) == 0
    assert await ids(catalog) == [1, 2, 3, 4, 5, 6]
    assert await catalog.add_interactions("another log", batch[:1]) == 1


async def test_two_consumers_of_one_partition_add_each_interaction_once(backend: Backend, clock: Clock) -> None:
    now = int(clock.seconds * 1000)
    catalogs = [await backend.open() for _ in range(3)]
    batches = [[shown(i, now) for i in range(first, first + 40)] for first in (0, 20, 40)]
    for batch in batches:
        await asyncio.gather(*(catalog.add_interactions("log", batch) for catalog in catalogs))
    assert await ids(catalogs[0]) == list(range(1, 81))


async def test_interactions_come_in_pages_and_none_is_lost_between_two(catalog: Catalog, clock: Clock) -> None:
    now = int(clock.seconds * 1000)
    await catalog.add_interactions("log", [shown(i, now + i // 800) for i in range(2_401)])
    assert await ids(catalog) == list(range(1, 2_402))


async def test_days_of_interactions_are_dropped_whole(catalog: Catalog, clock: Clock) -> None:
    clock.seconds = 1_700_000_000 // 86_400 * 86_400 + 3_600
    now = int(clock.seconds * 1000)
    days = [0, 1, 2, 3, 200]
    await catalog.add_interactions("log", [shown(i, now - day * DAY_MS) for i, day in enumerate(days)])
    await catalog.roll_interactions(2)
    assert await ids(catalog) == [3, 2, 1]
    clock.seconds += 86_400
    await catalog.roll_interactions(2)
    await catalog.roll_interactions(2)
    assert await ids(catalog) == [2, 1]
    assert await catalog.add_interactions("log", [shown(9, now + 86_400_000)]) == 1


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


async def test_a_job_is_run_by_one_and_taken_over_when_that_one_is_silent(backend: Backend, clock: Clock) -> None:
    catalog, other = await backend.open(), await backend.open()
    added = await catalog.add_job(ANN, "s3://b/p", 9)
    assert (added.state, added.cursor, added.counts) == (JobState.WAITING, "", {})
    taken = await catalog.take_job("one", 10, ())
    assert taken is not None and (taken.id, taken.state) == (added.id, JobState.RUNNING)
    assert await other.take_job("two", 10, ()) is None
    assert await catalog.take_job("one", 10, {taken.id}) is None
    assert await catalog.keep_job(taken.id, "one", 10, "k", {"created": 3})
    clock.seconds += 11
    over = await other.take_job("two", 10, ())
    assert over is not None and (over.id, over.cursor, over.counts) == (taken.id, "k", {"created": 3})
    assert not await catalog.keep_job(taken.id, "one", 10, "l", {}), "the silent one is not let back in"
    assert not await catalog.end_job(taken.id, "one", JobState.DONE)
    assert await other.end_job(over.id, "two", JobState.DONE)
    done = await catalog.job(ANN, over.id)
    assert (done.state, done.cursor, done.finished_at_ms) == (JobState.DONE, "k", int(clock.seconds * 1000))
    with pytest.raises(Absent):
        await catalog.job(BOB, over.id)


async def test_whoever_is_started_again_takes_its_own_job_at_once(catalog: Catalog) -> None:
    added = await catalog.add_job(ANN, "/p", 9)
    assert await catalog.take_job("one", 60, ()) is not None
    again = await catalog.take_job("one", 60, ())
    assert again is not None and again.id == added.id
    assert await catalog.end_job(added.id, "one", JobState.WAITING)
    handed_on = await catalog.take_job("two", 60, ())
    assert handed_on is not None and handed_on.id == added.id


async def test_a_source_has_one_unfinished_job_and_its_next_goes_on_where_that_was_broken_off(
    backend: Backend, clock: Clock
) -> None:
    catalogs = [await backend.open() for _ in range(2)]
    added = await asyncio.gather(*(catalogs[i % 2].add_job(ANN, "s3://b", 9) for i in range(6)))
    assert len({job.id for job in added}) == 1
    catalog = catalogs[0]
    await catalog.take_job("one", 60, ())
    await catalog.keep_job(added[0].id, "one", 60, "k", {"created": 3})
    cancelled = await catalog.cancel_job(ANN, added[0].id)
    assert cancelled.state is JobState.CANCELLED
    assert not await catalog.keep_job(added[0].id, "one", 60, "l", {})
    clock.seconds += 1
    following = await catalog.add_job(ANN, "s3://b", 9)
    assert following.id != added[0].id and (following.cursor, following.counts) == ("k", {"created": 3})
    await catalog.take_job("one", 60, ())
    await catalog.end_job(following.id, "one", JobState.DONE)
    clock.seconds += 1
    assert (await catalog.add_job(ANN, "s3://b", 9)).cursor == ""
    with pytest.raises(Overloaded):
        await catalog.add_job(BOB, "s3://b", 1)


async def test_finished_jobs_are_forgotten_but_for_some(catalog: Catalog, clock: Clock) -> None:
    ids = []
    for number in range(4):
        clock.seconds += 1
        ids.append((await catalog.add_job(ANN, f"/{number}", 9)).id)
        await catalog.cancel_job(ANN, ids[-1])
    waiting = await catalog.add_job(ANN, "/w", 9)
    await catalog.forget_jobs(2)
    assert (await catalog.job(ANN, waiting.id)).state is JobState.WAITING
    assert (await catalog.job(ANN, ids[2])).source == "/2"
    with pytest.raises(Absent):
        await catalog.job(ANN, ids[1])


async def test_every_row_is_summed_up_and_found_by_its_place(catalog: Catalog) -> None:
    first, second = await catalog.upsert(ANN, [new("a"), replace(new("b"), uri="file:///b")])
    third = await one(catalog, new("a"), BOB)
    await catalog.delete(ANN, [first.id])
    rows = [row async for row in catalog.summaries()]
    assert [(row.id, row.tenant, row.version, row.state, row.sha256) for row in rows] == [
        (first.id, ANN, 2, PictureState.DELETED, sha("a")),
        (second.id, ANN, 1, PictureState.PENDING, sha("b")),
        (third.id, BOB, 1, PictureState.PENDING, sha("a")),
    ]
    assert [row.id async for row in catalog.summaries(after=second.id)] == [third.id]
    assert [row.id for row in await catalog.find_pictures("a")] == [first.id, third.id]
    assert [row.id for row in await catalog.find_pictures("file:///b")] == [second.id]
    assert await catalog.find_pictures("c") == []


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


async def test_a_row_overtakes_what_was_seen_of_it(catalog: Catalog) -> None:
    live, gone = await catalog.upsert(ANN, [new("a"), new("b")])
    await catalog.delete(ANN, [gone.id])
    await embedded(catalog, live)
    await sent(catalog, live)
    answers = await catalog.overtake({live.id: Version(7), gone.id: Version(1), ImageId(99): Version(1)})
    assert [(a.id, a.version, kind(a)) for a in answers] == [
        (live.id, 8, EventKind.UPSERT),
        (gone.id, 3, EventKind.DELETE),
    ]
    assert {(e.image_id, e.version) for e in await catalog.unsent(9)} == {(live.id, 8), (gone.id, 3)}
    assert (await catalog.picture(ANN, live.id)).state is PictureState.PENDING


async def test_writers_of_one_key_lose_no_version(backend: Backend) -> None:
    catalogs = [await backend.open() for _ in range(3)]
    keys = ["a", "b", "c"]

    async def write(catalog: Catalog, writer: int) -> None:
        for turn in range(5):
            order = random.Random(f"{writer}.{turn}").sample(keys, 3)
            await catalog.upsert(ANN, [new(key, f"{writer}.{turn}") for key in order])

    await asyncio.gather(*(write(catalog, writer) for writer, catalog in enumerate(catalogs * 2)))
    rows = (await catalogs[0].list_pictures(ANN, None, None, 10)).pictures
    assert sorted((row.key, row.version) for row in rows) == [(key, 30) for key in keys]


async def test_deletes_and_changes_cross_without_waiting_for_each_other(backend: Backend) -> None:
    catalogs = [await backend.open() for _ in range(3)]
    made = await catalogs[0].upsert(ANN, [new(str(i)) for i in range(20)])
    ids = [answer.id for answer in made]
    work = [
        catalogs[0].upsert(ANN, [new(str(i), "other") for i in reversed(range(20))]),
        catalogs[1].delete(ANN, ids[::-1]),
        catalogs[2].mark_sent([answer.event for answer in reversed(made) if answer.event]),
        catalogs[1].record_embedded(SPACE.id, [Embedded(a.id, a.version, 1, 1, 1) for a in reversed(made)]),
        catalogs[0].overtake(dict.fromkeys(reversed(ids), Version(1))),
    ]
    await asyncio.gather(*work)
    versions = {picture.version for picture in (await catalogs[0].pictures(ids)).values()}
    assert versions <= {3, 4} and len(versions) == 1


async def test_of_two_that_make_an_index_live_one_is(backend: Backend) -> None:
    catalogs = [await backend.open() for _ in range(2)]
    await catalogs[0].register_space(SPACE)
    made = [replace(INDEX, id=IndexId(f"{SPACE.id}.{n}"), state=IndexState.LIVE) for n in range(6)]
    await asyncio.gather(*(catalogs[n % 2].register_index(index) for n, index in enumerate(made)))
    await asyncio.gather(*(catalogs[n % 2].set_index_state(one.id, IndexState.LIVE) for n, one in enumerate(made)))
    assert [index.state for index in await catalogs[0].indexes()].count(IndexState.LIVE) == 1
