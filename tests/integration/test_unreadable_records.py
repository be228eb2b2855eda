"""A record that nobody can read stops nobody who reads its topic: comparisons, repairs, traces, lists of the dead."""

from dataclasses import replace

from omma.buckets import bucket_of
from omma.catalog.picture import PictureState
from omma.dead_letters import DeadLetters
from omma.identity import ImageId, Version
from omma.records import DEAD_LETTERS_TOPIC, IMAGES_TOPIC, image_key
from omma.telemetry.metrics import SHARD_RECORDS_PASSED_OVER
from services.worker.truth import DifferenceKind
from tests.indexer_world import SPACE
from tests.integration.truth_world import TruthWorld

JUNK = b"\xff no record"


async def write(world: TruthWorld, topic: str, partition: int, *records: tuple[bytes, bytes]) -> None:
    producer = await world.storage.log.producer()
    await producer.send_many(topic, [(partition, key, value) for key, value in records])
    await producer.close()


async def spoil(world: TruthWorld, image_id: int) -> None:
    """Behind the picture's vectors: what is no record under its key, under one that is none, and another's record."""
    others = replace(await world.last_record(image_id), image_id=ImageId(10_000), version=Version(7))
    junk = [(image_key(image_id), JUNK), (b"odd", JUNK), (b"", JUNK), (image_key(image_id), others.encode())]
    await write(world, SPACE.vectors_topic, bucket_of(image_id, SPACE.buckets), *junk)


def passed_over() -> float:
    counted = [SHARD_RECORDS_PASSED_OVER.labels("verify", reason) for reason in ("bytes", "key")]
    return sum(one._value.get() for one in counted)


async def test_what_cannot_be_read_in_a_topic_of_vectors_is_passed_over_by_comparisons(world: TruthWorld) -> None:
    (picture, other) = await world.upload(b"a picture", b"another")
    await world.handled()
    await spoil(world, picture.id)
    before = passed_over()
    report = await world.verifier.verify(full=True)
    assert report.clean, "shards have what was there before"
    assert passed_over() == before + 4
    assert (await world.verifier.verify(repair=True)).clean

    await world.lose([picture.id, other.id], older=[])
    assert await world.differences() == {"vector_without_row": 2}
    repaired = await world.verifier.verify(repair=True)
    assert repaired.repaired == {DifferenceKind.VECTOR_WITHOUT_ROW: 2}
    assert (await world.storage.catalog.picture(world.tenant, picture.id)).state is PictureState.INDEXED


async def test_a_repair_makes_the_other_rows_where_one_record_has_another_dimension(world: TruthWorld) -> None:
    picture, other = await world.upload(b"a picture", b"another")
    await world.handled()
    longer = replace(await world.last_record(picture.id), version=Version(9))
    longer = replace(longer, vectors=longer.vectors.repeat(2, axis=1))
    await world.write(longer)
    await world.lose([other.id], older=[])
    report = await world.verifier.verify(repair=True)
    assert report.repaired[DifferenceKind.VECTOR_WITHOUT_ROW] == 1
    assert (await world.storage.catalog.picture(world.tenant, other.id)).state is PictureState.INDEXED


async def test_a_trace_tells_of_records_that_cannot_be_read(world: TruthWorld) -> None:
    (picture,) = await world.upload(b"a picture")
    await world.handled()
    await spoil(world, picture.id)
    partitions = {spec.name: spec.partitions for spec in await world.storage.log.topics()}[IMAGES_TOPIC]
    await write(world, IMAGES_TOPIC, bucket_of(picture.id, partitions), (image_key(picture.id), JUNK))
    await world.handled()
    (document,) = await world.tracer.trace(world.tenant, str(picture.id))
    assert [one.get("version", "unreadable") for one in document["events"]["records"]] == [1, "unreadable"]
    assert [one.get("version", "unreadable") for one in document["vectors"]["records"]] == [1, "unreadable", 7]
    await world.lose([picture.id], older=[])
    (document,) = await world.tracer.trace(world.tenant, str(picture.id))
    assert document["row"] is None and len(document["vectors"]["records"]) == 3


async def test_letters_that_cannot_be_read_hide_no_other(world: TruthWorld) -> None:
    (dead,) = await world.upload(b"bad picture")
    await world.handled()
    await write(world, DEAD_LETTERS_TOPIC, 0, (b"odd", JUNK), (image_key(9), JUNK))
    storage = world.storage
    (letter,) = await DeadLetters(storage.catalog, storage.log, world.outbox, world.handled).letters(world.tenant)
    assert (letter.image_id, letter.kind) == (dead.id, "invalid_picture")
