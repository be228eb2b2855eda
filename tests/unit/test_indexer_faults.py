"""Whose fault it is: a record's own ends it at once, the machine's ends nothing, and neither stops anybody else."""

import asyncio
import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from omma.blobs.interface import original_key
from omma.catalog.picture import Embedded, NewPicture, PictureChange, PictureState, Upserted
from omma.dead_letters import DeadLetters
from omma.description import RowLimits
from omma.errors import InvalidPicture, Kind, Overloaded
from omma.identity import DEFAULT_TENANT, Sha256
from services.indexer.commit import Committer
from services.indexer.deaths import fate_of
from services.indexer.settings import IndexerSettings
from services.indexer.sources import Dead, Later, Seen
from services.indexer.taken import UPLOADS
from tests.indexer_world import SPACE, World, vectors_in

SETTINGS = IndexerSettings(
    poll_seconds=0.02, retry_seconds=0.01, batch_pictures=5, deaths_window=20, patience_seconds=0.05, put_off_seconds=1
)


async def referenced(world: World, file: Path, content: bytes) -> Upserted:
    file.write_bytes(content)  # noqa: ASYNC240
    sha256 = Sha256(hashlib.sha256(content).hexdigest())
    new = NewPicture(file.as_uri(), sha256, file.as_uri(), len(content), mtime_ns=1)
    (made,) = await world.send(await world.catalog.upsert(DEFAULT_TENANT, [new]))
    return made


class Reads:
    """os.open, of which those of some files fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fail: dict[str, int] = {}
        self.failed = 0
        self._open = os.open
        monkeypatch.setattr(os, "open", self)

    def __call__(self, path, flags, *args, **kwargs) -> int:
        number = self.fail.get(Path(os.fsdecode(path)).name)
        if number is not None:
            self.failed += 1
            raise OSError(number, os.strerror(number))
        return self._open(path, flags, *args, **kwargs)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
async def test_a_fault_of_the_machine_kills_nothing_and_passes(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = await referenced(world, tmp_path / "a.jpg", b"before")
    await world.indexed()
    reads = Reads(monkeypatch)
    reads.fail["a.jpg"] = number
    after = await referenced(world, tmp_path / "a.jpg", b"after")
    (other,) = await world.upload(b"other")
    running = asyncio.create_task(world.indexer(SETTINGS.model_copy(update={"patience_seconds": 60})).run())
    async with asyncio.timeout(20):
        while reads.failed < 3 or other.id not in await vectors_in(world.log):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    found = (await vectors_in(world.log))[after.id]
    assert (found.deleted, found.version) == (False, before.version), "what was there is still found"
    assert (await world.catalog.picture(DEFAULT_TENANT, after.id)).state is PictureState.PENDING
    reads.fail.clear()
    async with asyncio.timeout(20):
        await world.handled()
    running.cancel()
    await asyncio.wait({running})
    assert (await vectors_in(world.log))[after.id].version == after.version
    assert await DeadLetters(world.catalog, world.log, world.outbox, world.handled).letters(DEFAULT_TENANT) == []


async def test_one_file_on_a_bad_sector_holds_no_offset_for_ever(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Reads(monkeypatch)
    reads.fail["bad.jpg"] = errno.EIO
    bad = await referenced(world, tmp_path / "bad.jpg", b"sound")
    running = asyncio.create_task(world.indexer(SETTINGS).run())
    numbers = iter(range(10_000))
    async with asyncio.timeout(20):
        while not (await world.catalog.picture(DEFAULT_TENANT, bad.id)).reason:
            # Its neighbours are read, so it is this file's trouble and not its disk's.
            await referenced(world, tmp_path / f"{next(numbers)}.jpg", b"%d" % next(numbers))
            await asyncio.sleep(0.02)
        await world.handled()
    row = await world.catalog.picture(DEFAULT_TENANT, bad.id)
    assert row.state is PictureState.PENDING and "Input/output error" in row.reason
    reads.fail.clear()
    async with asyncio.timeout(20):
        while bad.id not in await vectors_in(world.log):
            await world.outbox.send_unsent()  # as the relay does
            await asyncio.sleep(0.05)
        await world.handled()
    running.cancel()
    await asyncio.wait({running})
    row = await world.catalog.picture(DEFAULT_TENANT, bad.id)
    assert (row.state, row.reason, row.version) == (PictureState.INDEXED, "", 1)


async def test_an_original_of_which_its_storage_says_what_nobody_foresaw_holds_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As S3 does of one that was archived: the client's own error, no kind of ours."""
    get, archived = world.blobs.get, True

    async def refused(key: str, max_bytes: int | None = None) -> bytes:
        if archived and key == original_key(hashlib.sha256(b"archived").hexdigest()):
            raise RuntimeError("InvalidObjectState")
        return await get(key, max_bytes)

    monkeypatch.setattr(world.blobs, "get", refused)
    (bad,) = await world.upload(b"archived")
    running = asyncio.create_task(world.indexer(SETTINGS).run())
    numbers = iter(range(10_000))
    async with asyncio.timeout(20):
        while not (await world.catalog.picture(DEFAULT_TENANT, bad.id)).reason:
            await world.upload(b"%d" % next(numbers), b"%d" % next(numbers))
            await asyncio.sleep(0.02)
        await world.handled()
    assert (await world.catalog.picture(DEFAULT_TENANT, bad.id)).state is PictureState.PENDING
    archived = False
    async with asyncio.timeout(20):
        while bad.id not in await vectors_in(world.log):
            await world.outbox.send_unsent()  # as the relay does
            await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.wait({running})


async def test_an_original_that_is_away_buries_no_vector_of_its_bytes(world: World, tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    picture = await referenced(world, file, b"content")
    await world.indexed()
    file.rename(tmp_path / "away")
    world.shard.log = await _empty(tmp_path)  # the shard cannot say: only the file could be embedded again
    await world.send([await world.catalog.change(DEFAULT_TENANT, picture.id, PictureChange(tags=("new",)))])
    running = asyncio.create_task(world.indexer(SETTINGS.model_copy(update={"patience_seconds": 60})).run())
    async with asyncio.timeout(20):
        while len(world.shard.asked) < 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)  # what it must not do takes no time to show
    assert not (await vectors_in(world.log))[picture.id].deleted
    (tmp_path / "away").rename(file)
    async with asyncio.timeout(20):
        await world.handled()
    running.cancel()
    await asyncio.wait({running})
    await world.shard.log.close()
    found = (await vectors_in(world.log))[picture.id]
    assert found.payload.tags == ("new",) and found.version == 2


@pytest.mark.parametrize("fails_at", [1, 2])
@pytest.mark.parametrize("in_shard", [False, True])
async def test_what_was_told_of_a_vector_that_no_log_may_have_is_looked_at_once_more(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_shard: bool, fails_at: int
) -> None:
    """An indexer told the catalog and died before it wrote the log, or another one was faster."""
    file = tmp_path / "a.jpg"
    picture = await referenced(world, file, b"content")
    if in_shard:
        await world.indexed()
        world.shard.log = await _empty(tmp_path)  # for now it cannot say
        await world.send([picture])
    else:
        told = Embedded(picture.id, picture.version, width=8, height=6, phash=7)
        await world.catalog.record_embedded(SPACE.id, [told])
    file.write_bytes(b"other")
    transact, tries = Committer._transact, 0

    async def fails_once(self: Committer, *args: Any, **options: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == fails_at:
            raise Overloaded("The log is away.")
        await transact(self, *args, **options)

    monkeypatch.setattr(Committer, "_transact", fails_once)
    found = await world.indexed()
    assert tries > fails_at and [one.version for one in found.values() if not one.deleted] == [1] * in_shard
    if in_shard:
        await world.shard.log.close()
        world.shard.log = world.log
    letters = DeadLetters(world.catalog, world.log, world.outbox, world.handled)
    assert await letters.letters(DEFAULT_TENANT) == []
    for _ in range(2):
        await world.outbox.send_unsent()  # as the relay does
        record = (await world.indexed())[picture.id]
        row = await world.catalog.picture(DEFAULT_TENANT, picture.id)
        assert (record.version, row.version, record.deleted) == (2, 2, not in_shard)
        assert row.state is (PictureState.INDEXED if in_shard else PictureState.DEAD)
        assert len(await letters.letters(DEFAULT_TENANT)) == (0 if in_shard else 1)


async def _empty(tmp_path: Path):
    from omma.log.interface import TopicSpec
    from omma.log.sqlite import SqliteLog

    log = await SqliteLog.open(tmp_path / "empty.db")
    await log.ensure_topic(TopicSpec(SPACE.vectors_topic, SPACE.buckets, compacted=True))
    return log


async def test_a_row_that_no_record_can_say_dies_alone_and_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256, uri = await world.originals.put(b"poison")
    with monkeypatch.context() as patch:
        patch.setattr(RowLimits, "check", lambda self, said: None)  # a row of an earlier version, or of another's hand
        new = NewPicture("poison", sha256, uri, 6, tags=("half \ud83d",), attributes={"caption": "\ud83d"})
        (poison,) = await world.send(await world.catalog.upsert(DEFAULT_TENANT, [new]))
    (good,) = await world.upload(b"good")
    records = await world.indexed()
    assert records[poison.id].deleted and not records[good.id].deleted
    assert (await world.catalog.picture(DEFAULT_TENANT, poison.id)).state is PictureState.DEAD
    (letter,) = await DeadLetters(world.catalog, world.log, world.outbox, world.handled).letters(DEFAULT_TENANT)
    assert letter.image_id == poison.id and "UnicodeEncodeError" in letter.reason


async def test_a_row_too_large_for_a_record_dies_alone_and_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256, uri = await world.originals.put(b"large")
    with monkeypatch.context() as patch:
        patch.setattr(RowLimits, "check", lambda self, said: None)
        new = NewPicture("large", sha256, uri, 5, attributes={"caption": "x" * 2_000_000})
        (large,) = await world.send(await world.catalog.upsert(DEFAULT_TENANT, [new]))
    (good,) = await world.upload(b"good")
    records = await world.indexed()
    assert records[large.id].deleted and not records[good.id].deleted


async def test_a_folder_of_damaged_pictures_holds_nobody(world: World, tmp_path: Path) -> None:
    for number in range(100):
        await referenced(world, tmp_path / f"{number}.jpg", b"bad %d" % number)
    (upload,) = await world.upload(b"good")
    records = await world.indexed()
    counts = await world.catalog.counts()
    assert (counts["dead"], counts["indexed"]) == (100, 1) and not records[upload.id].deleted


async def test_a_folder_that_is_away_is_held_and_uploads_are_not(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(100):
        await referenced(world, folder / f"{number}.jpg", b"picture %d" % number)
    folder.rename(tmp_path / "away")
    told = list[bool]()
    indexer = world.indexer(SETTINGS.model_copy(update={"deaths_pause_seconds": 2.0}))

    async def on_held(held: bool) -> None:
        told.append(held)

    indexer._on_held = on_held
    running = asyncio.create_task(indexer.run())
    async with asyncio.timeout(20):
        while not told:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        (upload,) = await world.upload(b"good")
        while upload.id not in await vectors_in(world.log):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert told == [True], "the folder is still held"
        (tmp_path / "away").rename(folder)
        await world.handled()
    running.cancel()
    await asyncio.wait({running})
    assert (await world.catalog.counts())["dead"] < 25 and told == [True, False]


def test_what_a_deploy_can_cause_goes_by_where_it_comes_from() -> None:
    def fate(place: str, kind: Kind, *, reading: bool = False):
        error = InvalidPicture("")
        error.kind = kind
        return fate_of(place, Dead(error, reading))

    assert fate(UPLOADS, Kind.INVALID_PICTURE) is Kind.INVALID_PICTURE, "it was read when it was taken in"
    assert fate("file://", Kind.INVALID_PICTURE) is fate("s3://b", Kind.TOO_LARGE) is None
    assert fate("file://", Kind.CORRUPT, reading=True) is None, "the file was changed"
    assert fate("file://", Kind.CORRUPT) is Kind.CORRUPT, "the model fails on it"
    assert fate("file://", Kind.ABSENT, reading=True) is Kind.ABSENT
    assert fate_of("file://", Later(InvalidPicture(""))) is None
    assert fate_of("file://", Seen(None, None, 0, 1, 1)) is None  # type: ignore[arg-type]
