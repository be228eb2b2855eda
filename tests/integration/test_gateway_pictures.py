"""The picture core on the embedded catalog, log and blobs."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image

from omma.blobs.folder import FolderBlobs
from omma.blobs.interface import original_key, thumbnail_key
from omma.blobs.originals import Originals
from omma.catalog.interface import Catalog
from omma.catalog.picture import PictureChange, PictureState
from omma.catalog.sqlite import open_sqlite_catalog
from omma.description import Description, RowLimits
from omma.errors import Absent, InvalidPicture, InvalidQuery, NotAllowed, Overloaded, TooLarge
from omma.identity import Tenant
from omma.images import PictureLimits, thumbnail_webp
from omma.log.interface import Log, Producer
from omma.log.sqlite import SqliteLog
from omma.outbox import Outbox, open_outbox
from omma.records import (
    IMAGES_TOPIC,
    EventKind,
    ImageEvent,
)
from omma.viewing import Viewer
from services.gateway.callers.viewing import looks
from services.gateway.pictures.core import PictureCore, Uploaded
from services.worker.relay import relay
from tests.hung_producer import HungProducer
from tests.pictures import encoded, scene

ANN, BOB = Tenant("ann"), Tenant("bob")
PICTURE = encoded(scene())


class Parts:
    """The embedded parts in one folder; effects in the order in which they happened."""

    def __init__(self, catalog: Catalog, log: Log, blobs: FolderBlobs, originals: Originals, outbox: Outbox) -> None:
        self.catalog = catalog
        self.log = log
        self.blobs = blobs
        self.originals = originals
        self.outbox = outbox
        self.executor = ThreadPoolExecutor(1)

    def core(self, outbox: Any = None, **options: Any) -> PictureCore:
        limits = {"picture_limits": PictureLimits(), "row_limits": RowLimits(tags=3, attributes_bytes=100), **options}
        return PictureCore(self.catalog, self.blobs, self.originals, outbox or self.outbox, self.executor, **limits)

    async def events(self) -> list[ImageEvent]:
        return [ImageEvent.decode(record.value or b"") async for record in self.log.scan(IMAGES_TOPIC)]


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    log = await SqliteLog.open(tmp_path / "log.db")
    blobs = FolderBlobs(tmp_path / "blobs")
    originals = Originals(blobs)
    parts = Parts(catalog, log, blobs, originals, await open_outbox(catalog, log))
    yield parts
    parts.executor.shutdown()
    await originals.close()
    await blobs.close()
    await log.close()
    await catalog.close()


async def test_an_upload_is_blob_row_and_event(parts: Parts) -> None:
    core = parts.core()
    uploaded = await core.upload(ANN, PICTURE, Description("sku-7", "ann", ("lamp",), attributes={"price": 4}))
    assert uploaded.sha256 == hashlib.sha256(PICTURE).hexdigest()
    assert not uploaded.duplicate
    assert await parts.blobs.get(original_key(uploaded.sha256)) == PICTURE
    row = await core.picture(ANN, uploaded.id)
    assert (row.key, row.tags, row.attributes, row.state) == ("sku-7", ("lamp",), {"price": 4}, PictureState.PENDING)
    (event,) = await parts.events()
    assert (event.image_id, event.version, event.kind) == (uploaded.id, uploaded.receipt.version, EventKind.UPSERT)
    assert await parts.catalog.unsent(10) == []


async def test_the_same_upload_again_is_a_duplicate_and_no_event(parts: Parts) -> None:
    core = parts.core()
    first = await core.upload(ANN, PICTURE, Description())
    again = await core.upload(ANN, PICTURE, Description())
    assert again.duplicate
    assert (again.id, again.receipt) == (first.id, first.receipt)
    assert len(await parts.events()) == 1
    tagged = await core.upload(ANN, PICTURE, Description(tags=("lamp",)))
    assert tagged.duplicate
    assert tagged.receipt.version > first.receipt.version
    other_bytes = await core.upload(ANN, encoded(scene(seed=1)), Description(external_id="k"))
    replaced = await core.upload(ANN, PICTURE, Description(external_id="k"))
    assert (replaced.id, replaced.duplicate) == (other_bytes.id, False)


async def test_uploads_that_come_together_are_each_what_they_would_be_alone(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = parts.core(max_concurrent_uploads=64)
    looks(Viewer("cecil"))
    await core.upload(ANN, PICTURE, Description("taken", private=True))
    looks(Viewer("ann"))
    transactions = 0
    upsert = parts.catalog.upsert

    async def counted(*given: Any, **options: Any) -> Any:
        nonlocal transactions
        transactions += 1
        return await upsert(*given, **options)

    monkeypatch.setattr(parts.catalog, "upsert", counted)
    several = [core.upload(ANN, PICTURE, Description(f"sku-{n}", tags=(f"t{n}",))) for n in range(24)]
    same = [core.upload(ANN, PICTURE, Description("same", tags=(f"t{n}",))) for n in range(4)]
    of_another = core.upload(ANN, PICTURE, Description("taken"))
    others = [core.upload(BOB, PICTURE, Description(f"sku-{n}")) for n in range(4)]
    done = await asyncio.gather(*several, *same, of_another, *others, return_exceptions=True)
    refused = done.pop(28)
    assert isinstance(refused, NotAllowed) and refused.field == "external_id"
    uploaded = cast(list[Uploaded], done)
    for n, one in enumerate(uploaded[:24]):
        row = await core.picture(ANN, one.id)
        assert (row.key, row.tags, one.duplicate) == (f"sku-{n}", (f"t{n}",), False)
    assert len({one.id for one in uploaded[24:28]}) == 1, "one row of one key"
    assert len({one.receipt.version for one in uploaded[24:28]}) == 4, "each wrote after the one before it"
    assert {(await core.picture(BOB, one.id)).tenant for one in uploaded[28:]} == {BOB}
    assert transactions < 40, "a refused one makes its turn go one by one, once"
    told = {(one.image_id, one.version) for one in await parts.events()}
    assert {(one.id, one.receipt.version) for one in uploaded} <= told
    assert await parts.catalog.unsent(100) == []


async def test_another_tenants_copy_is_its_own_picture_on_the_same_blob(parts: Parts) -> None:
    core = parts.core()
    ours, theirs = await core.upload(ANN, PICTURE, Description()), await core.upload(BOB, PICTURE, Description())
    assert not theirs.duplicate
    assert ours.id != theirs.id
    await core.delete(ANN, ours.id)
    with pytest.raises(Absent):
        await core.content(ANN, ours.id)
    assert [piece async for piece in (await core.content(BOB, theirs.id)).pieces] == [PICTURE]


async def test_writes_are_accepted_while_the_log_hangs_and_their_events_follow(parts: Parts) -> None:
    producer, now = HungProducer(await parts.log.producer()), 0.0
    outbox = Outbox(parts.catalog, cast(Producer, producer), 8, lambda: now)
    core = parts.core(outbox)
    async with asyncio.timeout(5):  # the first waits for a second, the others for nothing
        uploaded = await core.upload(ANN, PICTURE, Description())
        others = [await core.upload(ANN, encoded(scene(seed=seed)), Description()) for seed in range(1, 4)]
        await core.change(ANN, uploaded.id, PictureChange(tags=("lamp",)))
        await core.delete(ANN, others[0].id)
    assert producer.asked == 1 and await parts.events() == []
    assert len(await parts.catalog.unsent(10)) == 4
    now, producer.hangs = 2.0, False
    last = await core.upload(ANN, encoded(scene(seed=9)), Description())  # it finds out, beside the caller
    async with asyncio.timeout(10):
        while not await parts.events():  # noqa: ASYNC110  the log has no other way to be watched
            await asyncio.sleep(0.01)
    again = await core.upload(ANN, encoded(scene(seed=10)), Description())
    assert {event.image_id for event in await parts.events()} == {last.id, again.id}, "what comes now is sent at once"
    relaying = asyncio.create_task(relay(outbox, every_seconds=0.01))
    async with asyncio.timeout(10):
        while await parts.catalog.unsent(10):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    relaying.cancel()
    newest = {event.image_id: event.version for event in await parts.events()}
    assert newest == {uploaded.id: 2, **{one.id: 1 for one in others[1:]}, others[0].id: 2, last.id: 1, again.id: 1}


async def test_a_picture_that_cannot_be_read_leaves_nothing(parts: Parts) -> None:
    with pytest.raises(InvalidPicture):
        await parts.core().upload(ANN, PICTURE[:-2000], Description())
    with pytest.raises(InvalidQuery):
        await parts.core().upload(ANN, PICTURE, Description(tags=("a", "b", "c", "d")))
    with pytest.raises(TooLarge):
        await parts.core().upload(ANN, PICTURE, Description(attributes={"a": "b" * 100}))
    assert [key async for key in parts.blobs.keys("")] == []
    assert (await parts.catalog.list_pictures(ANN, None, None, 10)).count == 0
    assert await parts.events() == []


async def test_one_upload_too_many_is_refused(parts: Parts) -> None:
    core = parts.core(max_concurrent_uploads=0)
    with pytest.raises(Overloaded):
        await core.upload(ANN, PICTURE, Description())


async def test_a_thumbnail_is_drawn_once(parts: Parts) -> None:
    core = parts.core()
    uploaded = await core.upload(ANN, encoded(scene(600, 300)), Description())
    first = await core.thumbnail(ANN, uploaded.id)
    with Image.open(io.BytesIO(first.content)) as drawn:
        assert (drawn.format, drawn.size) == ("WEBP", (256, 128))
    assert await parts.blobs.get(thumbnail_key(uploaded.sha256)) == first.content
    kept = thumbnail_webp(scene(8, 8))
    await parts.blobs.put(thumbnail_key(uploaded.sha256), kept)
    assert (await core.thumbnail(ANN, uploaded.id)).content == kept


async def test_a_thumbnail_that_its_storage_cut_off_is_drawn_again(parts: Parts) -> None:
    core = parts.core()
    uploaded = await core.upload(ANN, encoded(scene(600, 300)), Description())
    key, drawn = thumbnail_key(uploaded.sha256), (await core.thumbnail(ANN, uploaded.id)).content
    for left in (b"", drawn[:4], drawn[:11], drawn[:-1], drawn[: len(drawn) // 2], bytes(len(drawn)), drawn + b"x"):
        await parts.blobs.put(key, left)
        assert (await core.thumbnail(ANN, uploaded.id)).content == drawn
        assert await parts.blobs.get(key) == drawn


async def test_what_the_caller_has_is_told_without_reading_it(parts: Parts) -> None:
    core = parts.core()
    uploaded = await core.upload(ANN, PICTURE, Description())
    etags = {}
    for call in (core.content, core.thumbnail):
        whole = await call(ANN, uploaded.id, frozenset({'"another"', ""}))
        assert whole.sha256 == uploaded.sha256 and (whole.pieces if call == core.content else whole.content)
        etags[call] = whole.etag
    for key in (original_key(uploaded.sha256), thumbnail_key(uploaded.sha256)):
        await parts.blobs.delete(key)
    for call, etag in etags.items():
        for known in ({etag}, {"*"}):
            assert (await call(ANN, uploaded.id, known)).content is None
        with pytest.raises(Absent):
            await call(BOB, uploaded.id, {"*"})
        with pytest.raises(Absent):
            await call(ANN, uploaded.id)


async def test_a_change_and_a_delete_raise_the_version_and_are_told(parts: Parts) -> None:
    core = parts.core()
    uploaded = await core.upload(ANN, PICTURE, Description(owner="ann", tags=("a",)))
    changed = await core.change(ANN, uploaded.id, PictureChange(tags=("b",)))
    row = await core.picture(ANN, uploaded.id)
    assert (row.owner, row.tags, row.version) == ("ann", ("b",), changed.version)
    deleted = await core.delete(ANN, uploaded.id)
    assert uploaded.receipt.version < changed.version < deleted.version
    assert [event.kind for event in await parts.events()] == [
        EventKind.UPSERT,
        EventKind.ATTRIBUTES,
        EventKind.DELETE,
    ]
    with pytest.raises(Absent):
        await core.delete(ANN, uploaded.id)
    with pytest.raises(Absent):
        await core.change(ANN, uploaded.id, PictureChange(owner="x"))


async def test_a_restore_whose_bytes_are_gone_is_none(parts: Parts) -> None:
    core = parts.core()
    uploaded = await core.upload(ANN, PICTURE, Description(tags=("a",)))
    with pytest.raises(Absent):
        await core.restore(ANN, uploaded.id)
    await core.delete(ANN, uploaded.id)
    # A collector with a shorter grace than this gateway's.
    await parts.blobs.delete(original_key(uploaded.sha256))
    for _ in range(2):
        with pytest.raises(Absent):
            await core.restore(ANN, uploaded.id)
        with pytest.raises(Absent):
            await core.picture(ANN, uploaded.id)
    again = await core.upload(ANN, PICTURE, Description())
    assert (again.id, (await core.picture(ANN, again.id)).tags) == (uploaded.id, ())
    assert await parts.blobs.size(original_key(uploaded.sha256)) == len(PICTURE)
