"""Comparing and mending: every difference caused for real, on one machine's storage and on the cluster's."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from omma.blobs.interface import original_key
from omma.catalog.picture import PictureChange, PictureState
from omma.identity import ImageId, Version
from omma.records import deleted_record
from omma.telemetry.metrics import DIFFERENCES
from services.nn_shard.replica import Replica
from services.worker.jobs.progress import Progress
from services.worker.truth import DifferenceKind, rows
from services.worker.truth.collector import Collector
from tests.indexer_world import SPACE
from tests.integration.truth_world import TruthWorld


async def filled(world: TruthWorld, count: int = 40) -> list[int]:
    """Ids of live pictures, beside deleted, changed and unreadable ones."""
    uploaded = await world.upload(*(f"picture {number}".encode() for number in range(count)), b"bad picture")
    ids = [int(one.id) for one in uploaded]
    await world.delete(*ids[:3])
    change = await world.storage.catalog.change(world.tenant, ImageId(ids[3]), PictureChange(tags=("new",)))
    await world.outbox.send([change])
    await world.handled()
    return ids[3:-1]


async def test_what_was_used_as_it_should_be_does_not_differ(world: TruthWorld) -> None:
    await filled(world)
    quick = await world.verifier.verify()
    assert quick.clean
    assert quick.bucket_details < SPACE.buckets
    full = await world.verifier.verify(full=True)
    assert full.clean
    assert full.bucket_details == SPACE.buckets
    assert full.rows == {"indexed": 37, "deleted": 3, "dead": 1}


async def test_rows_and_log_that_differ_are_told_apart_and_mended_once(world: TruthWorld) -> None:
    ids = await filled(world)
    catalog = world.storage.catalog
    # An event that was lost after its row was marked as sent.
    (lost,) = await world.upload(b"never sent", send=False)
    assert lost.event is not None
    await catalog.mark_sent([lost.event])
    older, newer, gone, vanished = ids[:4]
    record = await world.last_record(newer)
    await world.write(replace(record, version=Version(9)))
    await world.write(replace(await world.last_record(gone), version=Version(1), deleted=True))
    # The row went on without its event.
    (changed,) = [await catalog.change(world.tenant, ImageId(older), PictureChange(owner="somebody"))]
    assert changed.event is not None
    await catalog.mark_sent([changed.event])
    seen = await catalog.picture(world.tenant, ImageId(older))
    assert seen.state is PictureState.INDEXED
    # A delete whose event was lost.
    (deleted,) = await catalog.delete(world.tenant, [ImageId(vanished)])
    assert deleted.event is not None
    await catalog.mark_sent([deleted.event])
    # A picture of a catalog that was younger, whose key is another one's by now.
    orphan = replace(record, image_id=ImageId(10_000), version=Version(4))
    await world.write(orphan)

    found = {
        "not_indexed": 1,
        "vector_newer": 1,
        "vector_older": 1,
        "vector_not_deleted": 1,
        "vector_without_row": 1,
    }
    full = await world.differences(full=True)
    # The log's last record of `gone` is a delete at the row's own version, as before a dead letter.
    assert full == found | {"no_vector": 1, **{k: full[k] for k in full if k.startswith("replica_")}}
    mended = await world.verifier.verify(repair=True)
    assert {kind.value for kind, count in mended.repaired.items() if count} == found.keys() - {"vector_without_row"} | {
        "no_vector"
    }
    await world.handled()
    assert await world.differences(full=True) == {"vector_without_row": 1}
    assert (await world.verifier.verify(bury=True)).repaired == {DifferenceKind.VECTOR_WITHOUT_ROW: 1}
    assert await world.differences(full=True) == {}
    versions = await world.versions()
    assert not (await world.verifier.verify(repair=True)).repaired
    assert await world.versions() == versions
    (new,) = await world.upload(b"after the repair")
    assert new.id > 10_000
    assert DIFFERENCES.labels(DifferenceKind.NO_VECTOR)._value.get() == 0


async def test_a_replica_that_differs_is_named_and_its_repair_is_replay(world: TruthWorld) -> None:
    ids = await filled(world)
    shard = world.shards[0][1]
    engine = shard.replica.loaded()
    held = [image_id for image_id in ids if engine.version_of(image_id) is not None]
    lacks, extra, other = held[0], 20_000, held[1]
    while not shard.replica._owns(extra):
        extra += 1
    record = await world.last_record(held[2])
    engine.apply(
        [
            deleted_record(ImageId(lacks), Version(5), world.tenant, SPACE.id, SPACE.dim),
            replace(record, image_id=ImageId(extra)),
            replace(record, image_id=ImageId(other), version=Version(7)),
        ]
    )
    report = await world.verifier.verify()
    assert {k.value: n for k, n in report.counts.items()} == {
        "replica_lacks": 1,
        "replica_extra": 1,
        "replica_other_version": 1,
    }
    documents = [one for said in report.document()["differences"] for one in said["examples"]]
    assert {(one["shard"], one["replica"]) for one in documents} == {(0, 1)}
    assert report.bucket_details < SPACE.buckets
    assert not (await world.verifier.verify(repair=True)).repaired


async def test_originals_without_row_and_rows_without_original(world: TruthWorld) -> None:
    ids = await filled(world)
    catalog, blobs = world.storage.catalog, world.storage.blobs
    row = await catalog.picture(world.tenant, ImageId(ids[0]))
    await blobs.delete(original_key(row.sha256))
    sha256, _ = await world.storage.originals.put(b"no row names this")
    report = await world.verifier.verify()
    assert {k.value: n for k, n in report.counts.items()} == {"row_without_blob": 1}
    (missing,) = (said["examples"] for said in report.document()["differences"])
    assert missing == [{"image_id": ids[0], "row_version": row.version, "sha256": row.sha256}]
    # Three that can be restored, and the one that no row names.
    assert (report.originals, report.waiting) == (41, 4)
    await catalog.note_orphans([sha256])
    await world.age(world.storage.deleted_grace_seconds + 3_601)
    late = await world.verifier.verify()
    assert late.counts == {DifferenceKind.ROW_WITHOUT_BLOB: 1, DifferenceKind.BLOB_WITHOUT_ROW: 4}
    await Collector(catalog, blobs, world.storage.deleted_grace_seconds).collect(Progress())
    after = await world.verifier.verify()
    assert (after.counts, after.waiting) == ({DifferenceKind.ROW_WITHOUT_BLOB: 1}, 0)


async def test_what_is_on_its_way_is_no_difference(world: TruthWorld) -> None:
    await filled(world)
    before = len(world.uploaded)
    stop = asyncio.Event()

    async def traffic() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            uploaded = await world.upload(*(f"{number} {each}".encode() for each in range(5)))
            if number % 2:
                await world.delete(uploaded[0].id)

    async with asyncio.TaskGroup() as group:
        group.create_task(traffic())
        for full in (False, True):
            report = await world.verifier.verify(full=full)
            assert report.document()["differences"] == []
            assert report.clean
        stop.set()
    assert len(world.uploaded) >= before + 10


async def test_a_replica_that_is_away_is_said_so(world: TruthWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(world)
    away = world.shards[1][0].replica
    monkeypatch.setattr(Replica, "ready", property(lambda one: one is not away and one._health.ready))
    report = await world.verifier.verify()
    assert not report.clean
    assert [(one["shard"], one["replica"]) for one in report.replicas] == [(1, 0)]


async def test_rows_that_a_catalog_lost_are_made_again_from_the_log(world: TruthWorld) -> None:
    catalog = world.storage.catalog
    uploaded = await world.upload(*(f"picture {number}".encode() for number in range(12)))
    ids = [int(one.id) for one in uploaded]
    for image_id in ids[:8]:
        words = PictureChange(tags=("since", str(image_id)), owner="ann", attributes={"n": image_id})
        await world.outbox.send([await catalog.change(world.tenant, ImageId(image_id), words)])
    await world.delete(ids[2])
    await world.handled()
    before = await catalog.pictures([ImageId(i) for i in ids])
    assert (await world.verifier.verify()).clean
    # A backup of before the changes: half of the rows are not there, of others an older version.
    await world.lose(ids[4:], older=ids[:4])
    assert await world.differences() == {"vector_newer": 4, "vector_without_row": 8}

    report = await world.verifier.verify(repair=True)
    assert report.repaired == {DifferenceKind.VECTOR_NEWER: 4, DifferenceKind.VECTOR_WITHOUT_ROW: 8}
    assert (await world.verifier.verify(full=True)).clean
    after = await catalog.pictures([ImageId(i) for i in ids])
    live = [ImageId(i) for i in ids if i != ids[2]]
    assert {i: after[i] for i in live} == {i: before[i] for i in live}
    # What was deleted since stays deleted, and can be restored.
    assert after[ImageId(ids[2])].state is PictureState.DELETED
    await catalog.restore(world.tenant, ImageId(ids[2]), 3_600)
    (new,) = await world.upload(b"after the repair")
    assert new.id > max(ids)
    (same,) = await world.upload(b"picture 9")
    assert same.id == ids[9], "the key is the picture's"


async def test_a_comparison_goes_on_where_another_worker_left_it(world: TruthWorld) -> None:
    ids = await filled(world)
    await world.storage.blobs.delete(
        original_key((await world.storage.catalog.picture(world.tenant, ImageId(ids[0]))).sha256)
    )
    whole = await world.verifier.verify(full=True)
    kept: list[tuple[str, dict[str, int]]] = []

    class Watched(Progress):
        """Keeps every place that it is told."""

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name == "cursor":
                kept.append((str(value), dict(getattr(self, "counts", {}))))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "_PICTURES_AT_ONCE", 5)
        await world.verifier.verify(full=True, progress=Watched())
    assert len(kept) > 5
    for cursor, counts in kept:
        again = await world.verifier.verify(full=True, progress=Progress(cursor, Counter(counts)))
        assert (again.counts, again.rows, again.originals) == (whole.counts, whole.rows, whole.originals)
        assert again.bucket_details == SPACE.buckets
