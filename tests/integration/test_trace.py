"""Where a picture is, asked of one machine's storage and of the cluster's."""

from dataclasses import replace
from typing import Any

import pytest

from omma.blobs.interface import original_key
from omma.buckets import bucket_of, shard_of
from omma.catalog.picture import NewPicture
from omma.errors import Absent
from omma.identity import DEFAULT_TENANT, ImageId, Sha256, Tenant, Version
from omma.log.interface import TopicPartition
from omma.records import image_key
from services.gateway.pictures.search_log import search_log
from tests.indexer_world import SPACE
from tests.integration.truth_world import TruthWorld

BOB = Tenant("bob")


async def traced(world: TruthWorld, place: object, tenant: Tenant = DEFAULT_TENANT) -> dict[str, Any]:
    (document,) = await world.tracer.trace(tenant, str(place))
    return document


async def applied(world: TruthWorld) -> None:
    """Every replica has read the log to its end."""
    assert (await world.verifier.verify(full=True)).clean


async def test_a_picture_is_followed_from_blob_to_every_replica(world: TruthWorld) -> None:
    first, _ = await world.upload(b"a picture", b"another")
    await world.handled()
    await applied(world)
    document = await traced(world, first.id)
    assert document["bucket"] == document["vectors"]["partition"] == bucket_of(first.id, SPACE.buckets)
    assert document["row"]["state"] == "indexed"
    assert document["row"]["version"] == document["row"]["sent_version"] == 1
    assert document["blobs"]["original"] | {"place": ""} == {
        "place": "",
        "present": True,
        "bytes": 9,
        "sha256_right": True,
    }
    assert document["blobs"]["thumbnail"]["present"]
    assert [(one["version"], one["kind"]) for one in document["events"]["records"]] == [(1, "upsert")]
    assert [(one["version"], one["deleted"]) for one in document["vectors"]["records"]] == [(1, False)]
    assert document["shard"] == shard_of(first.id, 2, SPACE.buckets)
    assert [(one["replica"], one["version"]) for one in document["replicas"]] == [(0, 1), (1, 1)]
    for one, shard in zip(document["replicas"], world.shards[document["shard"]], strict=True):
        # A checkpoint may have sealed it meanwhile.
        folders = {path.name for path in (shard.replica.folder / "segments").iterdir()}
        assert one["segment"] in {"head", *folders}
    assert document["dead_letter"] is None
    # By its key and by its uri it is the same one.
    assert (await traced(world, "a picture"))["image_id"] == first.id
    assert (await traced(world, document["row"]["uri"]))["image_id"] == first.id


async def test_deleted_unreadable_damaged_and_ownerless_pictures(world: TruthWorld) -> None:
    deleted, dead, damaged = await world.upload(b"soon gone", b"bad one", b"damaged")
    await world.delete(deleted.id)
    await world.handled()
    row = await world.storage.catalog.picture(DEFAULT_TENANT, damaged.id)
    await world.storage.blobs.put(original_key(row.sha256), b"other bytes")
    record = await world.last_record(damaged.id)
    await world.write(replace(record, image_id=ImageId(9_000)), replace(record, image_id=ImageId(9_001), tenant=BOB))

    document = await traced(world, deleted.id)
    assert document["row"]["state"] == "deleted"
    assert document["vectors"]["records"][-1]["deleted"]
    assert not any(one["holds"] for one in document["replicas"])

    document = await traced(world, dead.id)
    assert (document["row"]["state"], document["dead_letter"]["reason"]) == ("dead", "It is cut off.")

    assert (await traced(world, damaged.id))["blobs"]["original"]["sha256_right"] is False

    document = await traced(world, 9_000)
    assert document["row"] is None
    assert document["vectors"]["records"][-1]["version"] == record.version
    with pytest.raises(Absent):
        await traced(world, 9_001)
    with pytest.raises(Absent):
        await traced(world, 9_002)


async def test_another_tenants_picture_is_absent(world: TruthWorld) -> None:
    (one,) = await world.upload(b"of the default tenant")
    await world.handled()
    for place in (one.id, "of the default tenant"):
        with pytest.raises(Absent):
            await traced(world, place, BOB)


async def test_a_number_is_an_id_and_a_key_and_neither_hides_the_other(world: TruthWorld) -> None:
    catalog = world.storage.catalog
    (bobs,) = await catalog.upsert(BOB, [NewPicture("of bob", Sha256("0" * 64), "file:///bob", 3)])
    (mine,) = await world.upload(str(bobs.id).encode())
    (both,) = await world.upload(str(mine.id).encode())
    await world.handled()
    assert (await traced(world, bobs.id))["image_id"] == mine.id
    assert [one["image_id"] for one in await world.tracer.trace(world.tenant, str(mine.id))] == [mine.id, both.id]


async def test_a_log_too_long_for_the_time_is_said_to_be_cut(world: TruthWorld) -> None:
    (one,) = await world.upload(b"one")
    await world.handled()
    record = await world.last_record(one.id)
    await world.write(*(replace(record, version=Version(2 + more)) for more in range(1_500)))
    at = TopicPartition(SPACE.vectors_topic, bucket_of(one.id, SPACE.buckets))
    found = await search_log(world.storage.log, at, image_key(one.id), seconds=0)
    assert found.cut
    assert found.read_to < found.end
    whole = await search_log(world.storage.log, at, image_key(one.id), seconds=20)
    assert not whole.cut
    assert whole.records[-1].offset == whole.read_to - 1
