"""What the indexer makes of uploads, changes, deletes and what cannot be read."""

import asyncio
import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omma.backlog import backlog, indexer_group, wait_until_handled
from omma.blobs.interface import thumbnail_key
from omma.catalog.picture import Embedded, NewPicture, PictureChange, PictureState
from omma.dead_letters import DeadLetters
from omma.errors import OutOfTime, ReplicaDown
from omma.identity import DEFAULT_TENANT, Sha256
from omma.images.signature import VERSION, WHOLE_BYTES
from omma.log.interface import MAX_RECORD_BYTES, ProducerFenced
from omma.quality import Quality
from omma.records import DEAD_LETTERS_TOPIC, IMAGES_TOPIC
from omma.telemetry.metrics import INDEXED_PICTURES
from omma.trained_on import kept_middles
from omma.v1 import records_pb2
from tests.indexer_world import SPACE, World


async def test_an_upload_becomes_a_vector_a_row_and_a_thumbnail(world: World):
    (upload,) = await world.upload(b"one")
    record = (await world.indexed())[upload.id]
    row = await world.catalog.picture(DEFAULT_TENANT, upload.id)
    assert record.version == upload.version and record.vectors.shape == (1, 4)
    assert record.payload.sha256 == row.sha256 and (record.payload.width, record.payload.height) == (8, 6)
    assert row.state is PictureState.INDEXED and (row.width, row.height, row.phash) == (8, 6, 7)
    assert await world.blobs.get(thumbnail_key(row.sha256)) == b"thumbnail"


async def test_a_candidate_asks_for_nothing_that_the_live_index_has_told_of_the_bytes(world: World):
    """A thumbnail, a signature and what a picture looks like are no model's."""
    seen, unsigned, new = await world.upload(b"seen", b"unsigned", b"new")
    signature, quality = bytes([VERSION]).ljust(WHOLE_BYTES, b"s"), Quality(0.5, 0.25)
    told = partial(Embedded, width=8, height=6, phash=9, quality=quality)
    await world.catalog.record_embedded(
        "live", [told(seen.id, seen.version, signature=signature), told(unsigned.id, unsigned.version)]
    )
    records = await world.indexed()
    asked = {item.content: (item.thumbnail, item.signature) for item in world.embedder.items}
    assert asked == {b"seen": (False, False), b"unsigned": (True, True), b"new": (True, True)}
    assert (records[seen.id].signature, records[seen.id].payload.quality) == (signature, quality)
    assert (records[seen.id].phash, records[new.id].phash) == (9, 7), "what finds a copy is the same in both"
    row = await world.catalog.picture(DEFAULT_TENANT, seen.id)
    assert (row.signature, row.quality, row.state) == (signature, quality, PictureState.INDEXED)
    assert records[new.id].signature == b""


@pytest.mark.parametrize("says", [True, False])
async def test_what_the_model_was_trained_on_is_kept_for_those_who_have_no_model(world: World, says: bool):
    world.embedder.middles = np.diag([2, 2, 2, 2]).astype(np.float16) if says else None
    await world.upload(b"one")
    await world.indexed()
    kept = await kept_middles(world.blobs, SPACE.id, SPACE.dim)
    assert (kept is not None) == says
    assert kept is None or np.array_equal(kept, np.eye(4))


@pytest.mark.parametrize("step", ["ensure_topic", "subscribe"])
async def test_brokers_that_are_not_ready_yet_are_waited_for(world: World, monkeypatch: pytest.MonkeyPatch, step: str):
    """As Kafka under load: a topic was made and its partitions have no leaders yet."""
    ready = getattr(world.log, step)
    refusals = iter([ReplicaDown("No leaders yet."), OutOfTime("No answer.")])

    async def at_last(*args: Any) -> object:
        for refusal in refusals:
            raise refusal
        return await ready(*args)

    monkeypatch.setattr(world.log, step, at_last)
    (upload,) = await world.upload(b"one")
    assert upload.id in await world.indexed()


async def test_the_same_bytes_are_embedded_once_even_when_they_come_together(world: World):
    contents = [b"twin", b"other"] * 60
    numbers = iter(range(200))
    uploads = await world.upload(*contents, key=lambda _: str(next(numbers)))
    records = await world.indexed()
    assert len(records) == len(uploads) == 120
    assert world.embedder.embedded == {b"twin": 1, b"other": 1}


async def test_the_same_bytes_are_not_embedded_again_after_a_restart(world: World):
    (first,) = await world.upload(b"twin", key=lambda _: "a")
    await world.indexed()
    (second,) = await world.upload(b"twin", key=lambda _: "b")
    records = await world.indexed()
    assert world.embedder.embedded == {b"twin": 1}
    np.testing.assert_array_equal(records[first.id].vectors, records[second.id].vectors)


async def test_a_change_of_attributes_embeds_nothing_and_travels(world: World):
    (upload,) = await world.upload(b"one")
    await world.indexed()
    await world.send([await world.catalog.change(DEFAULT_TENANT, upload.id, PictureChange(tags=("red",)))])
    record = (await world.indexed())[upload.id]
    assert record.version == 2 and record.payload.tags == ("red",)
    assert world.embedder.embedded == {b"one": 1} and upload.id in world.shard.asked


async def test_vectors_of_older_bytes_are_never_taken_for_newer_ones(world: World):
    (upload,) = await world.upload(b"old", key=lambda _: "k")
    before = (await world.indexed())[upload.id]
    await world.upload(b"new", key=lambda _: "k")
    await world.send([await world.catalog.change(DEFAULT_TENANT, upload.id, PictureChange(tags=("red",)))])
    record = (await world.indexed())[upload.id]
    assert record.version == 3 and world.embedder.embedded == {b"old": 1, b"new": 1}
    assert not np.array_equal(before.vectors, record.vectors)


async def test_a_delete_is_a_record_with_a_body(world: World):
    (upload,) = await world.upload(b"one")
    await world.indexed()
    await world.send(await world.catalog.delete(DEFAULT_TENANT, [upload.id]))
    record = (await world.indexed())[upload.id]
    assert record.deleted and record.version == 2


async def test_what_cannot_be_read_is_a_dead_letter_with_the_reason(world: World):
    bad, good = await world.upload(b"bad picture", b"good picture")
    records = await world.indexed()
    letters = DeadLetters(world.catalog, world.log, world.outbox, world.handled)
    (letter,) = await letters.letters(DEFAULT_TENANT)
    assert (letter.image_id, letter.kind, letter.reason) == (bad.id, "invalid_picture", "It is cut off.")
    assert records[bad.id].deleted, "receipts of a dead picture must not wait for ever"
    assert not records[good.id].deleted
    row = await world.catalog.picture(DEFAULT_TENANT, bad.id)
    assert row.state is PictureState.DEAD and row.reason == "It is cut off."


async def test_a_missing_original_is_a_dead_letter_and_can_be_replayed(world: World, tmp_path: Path):
    file = tmp_path / "late.jpg"
    sha256 = Sha256(hashlib.sha256(b"late").hexdigest())
    new = NewPicture(file.as_uri(), sha256, file.as_uri(), 4, mtime_ns=1)
    (late,) = await world.send(await world.catalog.upsert(DEFAULT_TENANT, [new]))
    await world.indexed()
    letters = DeadLetters(world.catalog, world.log, world.outbox, world.handled)
    assert (await letters.show(DEFAULT_TENANT, late.id)).kind == "absent"

    file.write_bytes(b"late")
    assert await letters.replay(DEFAULT_TENANT, None, wait_seconds=0) == ([late.id], [])
    record = (await world.indexed())[late.id]
    assert not record.deleted and record.version > late.version, "its shard has a delete of the old version"
    assert await letters.letters(DEFAULT_TENANT) == []


async def test_a_file_that_changed_since_it_was_found_is_not_embedded_as_the_old_one(world: World, tmp_path: Path):
    file = tmp_path / "changed.jpg"
    file.write_bytes(b"now")
    sha256 = Sha256(hashlib.sha256(b"then").hexdigest())
    new = NewPicture(file.as_uri(), sha256, file.as_uri(), 4, mtime_ns=1)
    (upload,) = await world.send(await world.catalog.upsert(DEFAULT_TENANT, [new]))
    assert (await world.indexed())[upload.id].deleted and not world.embedder.embedded


async def test_a_refusing_embedder_is_asked_again_and_nothing_dies(world: World):
    uploads = await world.upload(b"busy", b"next")
    records = await world.indexed()
    assert not any(records[upload.id].deleted for upload in uploads) and len(records) == 2


async def test_a_record_that_is_no_event_holds_nothing_back(world: World):
    junk = b"\xff\xff\xff"
    longest = b"k" * (MAX_RECORD_BYTES - len(junk))
    records: list[tuple[int, bytes, bytes | None]] = [(0, key, junk) for key in (b"junk", b"", longest)]
    await (await world.log.producer()).send_many(IMAGES_TOPIC, [*records, (0, b"gone", None)])
    before = INDEXED_PICTURES.labels("unreadable")._value.get()
    (upload,) = await world.upload(b"one")
    assert not (await world.indexed())[upload.id].deleted
    assert await backlog(world.log, IMAGES_TOPIC, indexer_group(SPACE.id)) == 0
    assert INDEXED_PICTURES.labels("unreadable")._value.get() == before + 4
    letters = [records_pb2.DeadLetter.FromString(one.value or b"") async for one in world.log.scan(DEAD_LETTERS_TOPIC)]
    assert [one.reason for one in letters] == [f"omma.images[0]@{offset} is no event." for offset in range(4)]


async def test_an_indexer_that_was_broken_off_is_finished_by_the_next_exactly_once(world: World):
    uploads = await world.upload(*(f"picture {number}".encode() for number in range(300)))
    first = asyncio.create_task(world.indexer().run())
    while len(world.embedder.embedded) < 100:  # noqa: ASYNC110  what it waits for is the counter
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    records = await world.indexed()
    assert records.keys() == {upload.id for upload in uploads}
    assert {one.version for one in records.values()} == {1}


async def test_a_newer_indexer_fences_the_older(world: World):
    old = asyncio.create_task(world.indexer().run())
    await world.upload(*(f"first {number}".encode() for number in range(40)))
    await wait_until_handled(world.log, IMAGES_TOPIC, indexer_group(SPACE.id), every_seconds=0.01)
    for partition in range(8):
        await world.log.producer(f"omma.indexer.{SPACE.id}.{partition}")
    await world.upload(b"second")
    with pytest.raises(ProducerFenced):
        async with asyncio.timeout(10):
            await old
