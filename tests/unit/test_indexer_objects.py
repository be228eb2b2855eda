"""Pictures that follow objects, however events come: late, twice, out of order, beside a listing, in two processes."""

import asyncio
import hashlib
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omma.blobs.object_uri import place_of
from omma.blobs.objects import ListedObject, ObjectLook, ObjectPage, Objects
from omma.catalog.interface import Catalog
from omma.catalog.picture import PictureChange
from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import Absent, Corrupt, OmmaError, Overloaded, ReplicaDown, WrongState, may_pass
from omma.identity import DEFAULT_TENANT, Sha256
from omma.log.sqlite import SqliteLog
from omma.outbox import open_outbox
from omma.records import IMAGES_TOPIC, EventKind, ImageEvent
from services.worker.ingest.bucket import BucketIngest
from services.worker.ingest.follower import ObjectFollower, unread
from services.worker.ingest.inbox import Inbox, InboxPlace
from services.worker.jobs.progress import Progress
from services.worker.settings import WorkerSettings
from tests.clock import Clock
from tests.waiting import eventually

LIMIT = 20


def sha(content: bytes) -> Sha256:
    return Sha256(hashlib.sha256(content).hexdigest())


class FakeBucket(Objects):
    """Objects in memory; a look is held after it was taken until `gate` is set."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.looks: list[str] = []
        self.listed_after: list[str] = []
        self.barred: set[str] = set()
        self.faults: dict[str, OmmaError] = {}

    async def look(self, bucket: str, key: str, max_bytes: int) -> ObjectLook | None:
        self.looks.append(key)
        if key in self.barred:
            raise Absent("It may not be read.")
        if key in self.faults:
            raise self.faults[key]
        content = self.contents.get(key)
        await self.gate.wait()
        if content is None:
            return None
        return ObjectLook(len(content), _etag(content), sha(content) if len(content) <= max_bytes else None)

    async def read(self, bucket: str, key: str, max_bytes: int) -> bytes:
        return self.contents[key]

    async def page(self, bucket: str, prefix: str, after: str, limit: int) -> ObjectPage:
        self.listed_after.append(after)
        keys = sorted(key for key in self.contents if key.startswith(prefix) and key > after)
        page = tuple(ListedObject(key, len(self.contents[key]), _etag(self.contents[key])) for key in keys[:limit])
        return ObjectPage(page, len(keys) > limit)

    async def close(self) -> None:
        pass


def _etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


class World:
    """A bucket and the catalog that follows it."""

    def __init__(self, catalog: Catalog, log: SqliteLog, follower: ObjectFollower, bucket: FakeBucket) -> None:
        self.catalog = catalog
        self.log = log
        self.follower = follower
        self.bucket = bucket
        self.mutations = 0

    @classmethod
    async def open(cls, folder: Path) -> "World":
        catalog = await open_sqlite_catalog(folder / "catalog.db")
        log = await SqliteLog.open(folder / "log.db")
        bucket = FakeBucket()
        follower = ObjectFollower(catalog, await open_outbox(catalog, log), bucket, LIMIT)
        return cls(catalog, log, follower, bucket)

    async def close(self) -> None:
        await self.log.close()
        await self.catalog.close()

    def change(self, key: str, content: bytes | None) -> tuple[str, str]:
        """Put or delete; returns key and sequencer of its event."""
        self.mutations += 1
        if content is None:
            self.bucket.contents.pop(key, None)
        else:
            self.bucket.contents[key] = content
        return key, f"{self.mutations:04X}"

    async def heard(self, key: str, sequencer: str) -> None:
        await self.follower.heard(DEFAULT_TENANT, "in", {key: sequencer})

    def ingest(self, per_second: float = 1e6, **clock: Any) -> BucketIngest:
        async def nothing() -> int:
            return 0

        async def at_once() -> None:
            return None

        return BucketIngest(
            self.catalog,
            self.follower,
            self.bucket,
            backlog=nothing,
            indexed=at_once,
            max_backlog=9,
            per_second=per_second,
            **clock,
        )

    async def rows(self) -> dict[str, str]:
        """sha256 of the live rows, by the keys of their objects."""
        rows = (await self.catalog.list_pictures(DEFAULT_TENANT, None, None, 5_000)).pictures
        return {place_of(row.uri).key: row.sha256 for row in rows}

    def wanted(self) -> dict[str, str]:
        return {key: sha(content) for key, content in self.bucket.contents.items()}


@pytest.fixture
async def world(tmp_path: Path):
    world = await World.open(tmp_path)
    yield world
    await world.close()


CHANGES = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([None, b"1", b"2", b"3"])), min_size=1, max_size=7
)


@settings(max_examples=60)
@given(CHANGES, st.data())
def test_in_whatever_order_and_how_often_events_come_the_rows_end_as_the_objects_are(
    changes: list[tuple[str, bytes | None]], data: st.DataObject
) -> None:
    """Each event may come at any time after its change, and again; looks may be old by the time that they count."""

    async def run(folder: Path) -> None:
        world = await World.open(folder)
        pending: list[tuple[str, str]] = []
        late: list[asyncio.Task[None]] = []
        for change in changes:
            event = world.change(*change)
            pending += [event] * data.draw(st.integers(1, 2))
            for _ in range(data.draw(st.integers(0, 2))):
                if not pending:
                    break
                one = pending.pop(data.draw(st.integers(0, len(pending) - 1)))
                if data.draw(st.booleans()):
                    # Looked at now, and written only after the following changes: a process that stalls.
                    world.bucket.gate.clear()
                    late.append(asyncio.create_task(world.heard(*one)))
                    await asyncio.sleep(0.01)
                else:
                    world.bucket.gate.set()
                    await world.heard(*one)
            if data.draw(st.integers(0, 4)) == 0:
                world.bucket.gate.set()
                await world.ingest().run("s3://in", DEFAULT_TENANT, Progress())
        world.bucket.gate.set()
        for one in data.draw(st.permutations(pending)):
            await world.heard(*one)
        await asyncio.gather(*late)
        assert await world.rows() == world.wanted()
        await world.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def test_a_stalled_look_is_refused_once_a_newer_event_was_heard(world: World) -> None:
    old = world.change("a", b"old")
    held = world.bucket.gate
    held.clear()
    stalled = asyncio.create_task(world.heard(*old))
    async with asyncio.timeout(5):
        while not world.bucket.looks:  # noqa: ASYNC110  what it waits for is a list
            await asyncio.sleep(0.001)
    new = world.change("a", b"new")
    world.bucket.gate = asyncio.Event()
    world.bucket.gate.set()
    await world.heard(*new)
    held.set()
    await stalled
    assert await world.rows() == {"a": sha(b"new")}


async def test_an_event_that_comes_again_costs_no_look(world: World) -> None:
    event = world.change("a", b"1")
    for _ in range(3):
        await world.heard(*event)
    assert world.bucket.looks == ["a"]
    events = [ImageEvent.decode(one.value or b"") async for one in world.log.scan(IMAGES_TOPIC)]
    assert [event.kind for event in events] == [EventKind.UPSERT]


async def test_a_delete_of_an_old_version_leaves_the_object(world: World) -> None:
    await world.heard(*world.change("a", b"1"))
    world.mutations += 1
    await world.heard("a", f"{world.mutations:04X}")  # told of a delete, and there it still is
    assert await world.rows() == world.wanted()


async def test_what_is_too_large_or_barred_gets_a_row_that_dies_of_it(world: World) -> None:
    world.bucket.barred.add("c")
    await world.heard(*world.change("b", b"x" * (LIMIT + 1)))
    await world.heard(*world.change("c", b"1"))
    rows = await world.rows()
    assert rows["b"] == unread("s3://in/b", _etag(b"x" * (LIMIT + 1))) and rows.keys() == {"b", "c"}


async def test_a_bucket_is_listed_once_and_then_only_what_changed_is_read(world: World) -> None:
    for number in range(1_500):
        world.bucket.contents[f"p/{number:05}.jpg"] = b"%d" % number
    world.bucket.contents |= {"p/notes.txt": b"x", "p/folder/": b"", "q/other.jpg": b"x", "p/nameless": b"y"}
    progress = Progress()
    await world.ingest().run("s3://in/p/", DEFAULT_TENANT, progress)
    assert (progress.counts["created"], progress.counts["looked_at"], progress.counts["skipped"]) == (1_501, 1_501, 2)
    assert progress.counts["pictures"] == 1_501 and progress.cursor == "p/notes.txt"
    world.bucket.looks.clear()
    world.bucket.contents["p/00007.jpg"] = b"changed"
    again = Progress()
    await world.ingest().run("s3://in/p/", DEFAULT_TENANT, again)
    assert (again.counts["created"], again.counts["changed"], again.counts["unchanged"]) == (0, 1, 1_500)
    assert world.bucket.looks == ["p/00007.jpg"]


async def test_what_is_no_picture_of_a_bucket_is_told_by_kind(world: World) -> None:
    keys = ("a.jpg", "b.mp4", "c.mp4", "@eaDir/a.jpg/thumb.jpg", "x/#recycle/gone.jpg", "folder/", "d.cr2")
    world.bucket.contents = dict.fromkeys(keys, b"x")
    told = await world.ingest().run("s3://in", DEFAULT_TENANT, progress := Progress())
    kinds = {".mp4": 2, ".cr2": 1, "folder": 1, "folder #recycle": 1, "folder @eaDir": 1}
    assert (told, progress.counts["created"], progress.counts["skipped"]) == ({"skipped": kinds}, 1, 6)


async def test_a_dead_picture_of_a_bucket_is_told_and_tried_again_by_the_next_listing(world: World) -> None:
    world.bucket.contents["p/a.jpg"] = b"1"
    await world.ingest().run("s3://in/p", DEFAULT_TENANT, Progress())
    (row,) = (await world.catalog.list_pictures(DEFAULT_TENANT, None, None, 9)).pictures
    await world.catalog.record_dead(row.id, row.version, "cut off")
    told = await world.ingest().run("s3://in/p", DEFAULT_TENANT, progress := Progress())
    assert progress.counts["changed"] == 1 and told == {}
    (again,) = (await world.catalog.list_pictures(DEFAULT_TENANT, None, None, 9)).pictures
    await world.catalog.record_dead(row.id, again.version, "cut off")
    world.bucket.contents["p/a.jpg"] = b"1"
    world.bucket.barred.add("p/a.jpg")
    told = await world.ingest().run("s3://in/q", DEFAULT_TENANT, Progress())
    assert told == {}, "of another part of the bucket"


ODD_KEYS = ("", "nul\0.jpg", "half \ud83d.jpg", "x" * 1_025 + ".jpg", "界" * 340 + ".jpg")


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_a_key_that_no_row_can_have_keeps_no_other_waiting(world: World, key: str) -> None:
    good, sequencer = world.change("good.jpg", b"1")
    await world.follower.heard(DEFAULT_TENANT, "in", {key: "1", good: sequencer})
    assert await world.rows() == world.wanted() and world.bucket.looks == [good]
    world.bucket.contents[key] = b"2"
    told = await world.ingest().run("s3://in", DEFAULT_TENANT, progress := Progress())
    assert progress.counts["unchanged"] == 1 and progress.counts["unreadable"] == (1 if key else 0)
    assert key not in world.bucket.looks and json.dumps(told).encode()


async def test_what_was_said_of_an_object_is_there_again_when_the_object_is(world: World) -> None:
    await world.heard(*world.change("a", b"1"))
    (row,) = (await world.catalog.list_pictures(DEFAULT_TENANT, None, None, 9)).pictures
    await world.catalog.change(DEFAULT_TENANT, row.id, PictureChange(tags=("sea",)))
    await world.heard(*world.change("a", None))
    assert await world.rows() == {}
    await world.heard(*world.change("a", b"1"))
    assert (await world.catalog.picture(DEFAULT_TENANT, row.id)).tags == ("sea",)


async def test_an_ingest_goes_on_after_its_cursor(world: World) -> None:
    for number in range(9):
        world.bucket.contents[f"{number}.jpg"] = b"%d" % number
    progress = Progress("6.jpg", Counter(created=7, looked_at=7))
    await world.ingest().run("s3://in", DEFAULT_TENANT, progress)
    assert progress.counts["created"] == 9 and world.bucket.looks == ["7.jpg", "8.jpg"]


@pytest.mark.parametrize("asked", ["page", "look"])
async def test_a_bucket_that_only_asks_for_less_ends_its_job_after_an_hour(
    world: World, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, refused = Clock(), Overloaded("The object storage asks for less; try again.")

    async def slept(seconds: float) -> None:
        clock.seconds += seconds

    async def refuses(*_: object) -> NoReturn:
        raise refused

    world.change("a", b"1")
    ingest, began, progress = world.ingest(now=clock, sleep=slept), clock.seconds, Progress()
    with monkeypatch.context() as patched, pytest.raises(WrongState, match="for 60 minutes") as ended:
        patched.setattr(world.bucket, asked, refuses)
        await ingest.run("s3://in", DEFAULT_TENANT, progress)
    assert ended.value.__cause__ is refused and not may_pass(ended.value)
    assert 3_600 <= clock.seconds - began <= 3_660
    await ingest.run("s3://in", DEFAULT_TENANT, progress)
    assert await world.rows() == world.wanted(), "the next one goes on"


@pytest.mark.parametrize("fault", [ReplicaDown("It fails; try again."), Overloaded("It asks for less.")])
async def test_an_object_that_alone_always_fails_holds_no_other_for_ever(world: World, fault: OmmaError) -> None:
    """As MinIO does of one whose disks are damaged: 503, for ever."""
    clock = Clock()
    follower = ObjectFollower(world.catalog, await open_outbox(world.catalog, world.log), world.bucket, LIMIT, clock)
    bad, sequencer = world.change("bad.jpg", b"1")
    world.change("good.jpg", b"2")
    world.bucket.faults["bad.jpg"] = fault
    for _ in range(3):
        with pytest.raises(type(fault)):
            await follower.heard(DEFAULT_TENANT, "in", {bad: sequencer})
        clock.seconds += 100
    world.bucket.faults["good.jpg"] = fault
    with pytest.raises(type(fault)):  # nothing can be read: it waits, however long
        await follower.heard(DEFAULT_TENANT, "in", {bad: sequencer})
    del world.bucket.faults["good.jpg"]
    await follower.heard(DEFAULT_TENANT, "in", {bad: sequencer})
    assert await world.rows() == {"bad.jpg": unread("s3://in/bad.jpg", "")}
    world.bucket.faults.clear()
    await world.ingest().run("s3://in", DEFAULT_TENANT, Progress())
    assert await world.rows() == world.wanted(), "the next listing finds it mended"


async def test_an_object_that_comes_damaged_gets_a_row_that_dies_of_it(world: World) -> None:
    world.change("bad.jpg", b"1")
    world.change("good.jpg", b"2")
    world.bucket.faults["bad.jpg"] = Corrupt("It came with another checksum than it was put with.")
    await world.ingest().run("s3://in", DEFAULT_TENANT, Progress())
    assert await world.rows() == {"bad.jpg": unread("s3://in/bad.jpg", ""), "good.jpg": sha(b"2")}


async def test_an_inbox_waits_for_brokers_that_do_not_answer_yet(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    subscribe, refusals = world.log.subscribe, 2

    async def refused(*given: Any) -> Any:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise ReplicaDown("Kafka does not answer.")
        return await subscribe(*given)

    monkeypatch.setattr(world.log, "subscribe", refused)
    settings = WorkerSettings(retry_seconds=0.01, poll_seconds=0.01)
    inbox = asyncio.create_task(Inbox(world.log, world.follower, InboxPlace("in"), settings).run())
    await eventually(lambda: refusals < 0, 20)
    key, sequencer = world.change("a.jpg", b"1")
    told = {"bucket": {"name": "in"}, "object": {"key": key, "sequencer": sequencer}}
    notification = {"Records": [{"eventName": "ObjectCreated:Put", "s3": told}]}
    producer = await world.log.producer()
    await producer.send(settings.inbox_topic, 0, b"", json.dumps(notification).encode())

    async def there() -> bool:
        return await world.rows() == world.wanted()

    await eventually(there, 20)
    inbox.cancel()
    await asyncio.wait({inbox})


async def test_a_listing_mends_what_no_event_told_and_a_later_event_is_heard_all_the_same(world: World) -> None:
    await world.heard(*world.change("a.jpg", b"1"))
    untold = world.change("a.jpg", b"2")
    await world.ingest().run("s3://in", DEFAULT_TENANT, Progress())
    assert await world.rows() == world.wanted()
    await world.heard(*untold)
    await world.heard(*world.change("a.jpg", None))
    assert await world.rows() == {}
