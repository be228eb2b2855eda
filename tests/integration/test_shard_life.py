"""A shard on the real log, blobs and catalog: whatever happens to process and files, it holds what the log says."""

import asyncio
import logging
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from omma.blobs.folder import FolderBlobs
from omma.buckets import bucket_of
from omma.catalog.interface import Catalog
from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import InvalidQuery, ReplicaDown, WrongSpace, WrongState
from omma.hits import Degraded, Payload
from omma.identity import ImageId, Receipt, Tenant, Version
from omma.index import Index, IndexId, IndexState
from omma.log.interface import TopicSpec
from omma.log.sqlite import SqliteLog
from omma.records import VectorRecord, deleted_record, image_key
from omma.rpc.deadline import Deadline
from omma.space import Space, SpaceId
from omma.vectors import Float32, normalise
from services.nn_shard.client import ShardQuery
from services.nn_shard.engine import Checkpoint, EngineSettings
from services.nn_shard.settings import ShardSettings
from services.nn_shard.shard import Shard

DIM = 16
SPACE = Space(SpaceId("model-1-abcdef01"), "model", "0" * 64, DIM, buckets=8)
ANN = Tenant("ann")
SETTINGS = ShardSettings(
    engine=EngineSettings(seal_rows=64, train_rows=600, train_sample_rows=2_000),
    poll_records=50,
    maintenance_seconds=0.02,
    checkpoint_seconds=0.05,
    catalog_seconds=0.05,
    log_retry_seconds=0.01,
)


@dataclass
class World:
    """The parts, and a model of what the log says: newest record by picture."""

    folder: Path
    catalog: Catalog
    log: SqliteLog
    blobs: FolderBlobs
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    model: dict[int, VectorRecord] = field(default_factory=dict)

    def index(self, shards: int = 1) -> Index:
        return Index(IndexId(f"{SPACE.id}.{shards}"), SPACE.id, "OPQ8_16,IVF{nlist},PQ8x8", shards, IndexState.LIVE)

    async def register(self, shards: int = 1) -> Index:
        await self.catalog.register_space(SPACE)
        index = self.index(shards)
        await self.catalog.register_index(index)
        return index

    async def put(self, count: int, *, first: int = 1) -> None:
        await self.send([self.record(image_id) for image_id in range(first, first + count)])

    def record(self, image_id: int, version: int = 1, tenant: Tenant = ANN, regions: int = 1) -> VectorRecord:
        vectors = normalise(self.random.standard_normal((regions, DIM))).astype(np.float16)
        boxes = np.tile(np.array([[0, 0, 10, 10]], np.int32), (regions, 1))
        payload = Payload(uri=f"file:///{image_id}@{version}", owner=f"o{image_id % 3}")
        return VectorRecord(ImageId(image_id), Version(version), tenant, SPACE.id, vectors, boxes, image_id, payload)

    def delete(self, image_id: int, version: int) -> VectorRecord:
        return deleted_record(ImageId(image_id), Version(version), ANN, SPACE.id, DIM)

    async def send(self, records: list[VectorRecord]) -> None:
        producer = await self.log.producer()
        await producer.send_many(
            SPACE.vectors_topic,
            [(bucket_of(one.image_id, SPACE.buckets), image_key(one.image_id), one.encode()) for one in records],
        )
        await producer.close()
        for one in records:
            before = self.model.get(one.image_id)
            if before is None or before.version < one.version:
                self.model[one.image_id] = one

    def live(self) -> dict[int, VectorRecord]:
        return {image_id: one for image_id, one in self.model.items() if not one.deleted}

    def shard(self, index: Index, shard: int = 0, settings: ShardSettings = SETTINGS, folder: str = "shard") -> Shard:
        return Shard(
            folder=self.folder / folder,
            space=SPACE,
            index=index,
            shard=shard,
            log=self.log,
            blobs=self.blobs,
            catalog=self.catalog,
            settings=settings,
            holder=folder,
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    log = await SqliteLog.open(tmp_path / "log.db")
    blobs = FolderBlobs(tmp_path / "blobs")
    world = World(tmp_path, catalog, log, blobs)
    await log.ensure_topic(TopicSpec(SPACE.vectors_topic, SPACE.buckets, compacted=True))
    yield world
    await blobs.close()
    await log.close()
    await catalog.close()


@asynccontextmanager
async def running(shard: Shard) -> AsyncIterator[Shard]:
    """Ready inside; ended as a service ends it, with a last checkpoint."""
    task = asyncio.create_task(shard.run())
    try:
        ready = asyncio.create_task(shard.replica.until_ready())
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        if task.done():
            await task
        assert ready.done()
        yield shard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def query(index: Index, vector: Float32, k: int = 10, **options: object) -> ShardQuery:
    return ShardQuery(tenant=ANN, index=index.id, space=SPACE.id, query=vector, k=k, **options)  # type: ignore[arg-type]


async def require_model(world: World, shard: Shard, index: Index) -> None:
    """Every live picture is there once, with its newest version and vectors, and nothing else is."""
    live = world.live()
    vector = normalise(np.ones(DIM))
    answer = await shard.client.search(query(index, vector, k=len(world.model) + 1, exact=True), Deadline.after(10))
    assert sorted(answer.hits.ids.tolist()) == sorted(live)
    by_id = dict(zip(answer.hits.ids.tolist(), answer.hits.scores.tolist(), strict=True))
    for image_id, record in live.items():
        assert by_id[image_id] == pytest.approx(float(record.vectors[0].astype(np.float32) @ vector), abs=1e-4)
    fetched = await shard.client.fetch(ANN, [ImageId(one) for one in live], Deadline.after(10))
    assert {one.image_id: one.version for one in fetched} == {one.image_id: one.version for one in live.values()}


async def caught_up(world: World, shard: Shard) -> None:
    """Wait for the last write of every picture, as a caller with its receipt does."""
    receipts = [Receipt(one.image_id, one.version) for one in world.model.values()]
    assert await shard.replica.receipts.wait(receipts, Deadline.after(30))


async def test_holds_what_the_log_says_after_any_number_of_restarts(world: World) -> None:
    index = await world.register()
    choose = random.Random(3)
    for turn in range(4):
        async with running(world.shard(index)) as shard:
            await world.put(150, first=1 + 100 * turn)
            changed = choose.sample(sorted(world.model), 40)
            await world.send(
                [
                    world.record(one, world.model[one].version + 1, regions=2)
                    if choose.random() < 0.5
                    else world.delete(one, world.model[one].version + 1)
                    for one in changed
                ]
            )
            await caught_up(world, shard)
            await require_model(world, shard, index)


async def test_a_clean_restart_reads_nothing_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    index = await world.register()
    await world.put(200)
    async with running(world.shard(index)):
        pass
    async with running(world.shard(index)) as shard:
        assert sum(shard.replica.next_offsets.values()) == 200
        applied = shard.replica.loaded().counts()
        assert applied.head_rows == 0
        await require_model(world, shard, index)


async def test_a_process_killed_at_any_moment_starts_from_what_its_folder_holds(world: World) -> None:
    """What kill -9 leaves is the folder as it is; copies of it taken at many moments stand for many kills."""
    index = await world.register()
    copies: list[Path] = []
    async with running(world.shard(index)) as shard:
        for turn in range(6):
            await world.put(90, first=1 + 60 * turn)
            await caught_up(world, shard)
            copy = world.folder / f"killed-{turn}"
            await asyncio.to_thread(_copy_as_it_is, world.folder / "shard", copy)
            copies.append(copy)
    for copy in copies:
        async with running(world.shard(index, folder=copy.name)) as shard:
            await require_model(world, shard, index)


def _copy_as_it_is(folder: Path, copy: Path) -> None:
    """The manifest first: what it names stays until the next one is written, so retry when that happened meanwhile."""
    manifest = folder / "engine" / "manifest.json"
    while True:
        before = manifest.read_bytes() if manifest.exists() else b""
        shutil.rmtree(copy, ignore_errors=True)
        try:
            shutil.copytree(folder, copy)
        except shutil.Error:
            continue
        if before == (manifest.read_bytes() if manifest.exists() else b""):
            return


async def test_files_of_another_log_are_not_used(world: World, caplog: pytest.LogCaptureFixture) -> None:
    index = await world.register()
    await world.put(100)
    async with running(world.shard(index)):
        pass
    await world.log.close()
    (world.folder / "log.db").unlink()
    world.log = await SqliteLog.open(world.folder / "log.db")
    world.model.clear()
    await world.log.ensure_topic(TopicSpec(SPACE.vectors_topic, SPACE.buckets, compacted=True))
    await world.put(30, first=500)
    with caplog.at_level(logging.WARNING):
        async with running(world.shard(index)) as shard:
            await require_model(world, shard, index)
    assert "the log is replayed" in caplog.text


@pytest.mark.parametrize("which", ["one", "every"])
async def test_a_damaged_segment_is_rebuilt_from_the_log(
    world: World, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    index = await world.register()
    await world.put(200)
    await world.send([world.delete(one, 2) for one in range(1, 30)])
    async with running(world.shard(index)):
        pass
    files = sorted(path for path in (world.folder / "shard/engine/segments").rglob("*") if path.is_file())
    assert files
    for file in files if which == "every" else files[:1]:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0xFF
        file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        async with running(world.shard(index)) as shard:
            await require_model(world, shard, index)
    assert "rebuilt from the log" in caplog.text


async def test_a_manifest_that_cannot_be_read_means_a_full_replay(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    index = await world.register()
    await world.put(100)
    async with running(world.shard(index)):
        pass
    (world.folder / "shard" / "engine" / "manifest.json").write_text("{")
    async with running(world.shard(index)) as shard:
        await require_model(world, shard, index)
    assert "the log is replayed" in caplog.text


async def test_an_offset_that_the_log_does_not_have_means_a_full_replay(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """While it follows: as after the log's disk was restored from an older copy."""
    index = await world.register()
    await world.put(100)
    async with running(world.shard(index)) as shard:
        shard.replica._next_offsets = dict.fromkeys(shard.replica.next_offsets, 10_000)
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(shard.replica.follow())
                await shard.replica.until_ready(False)
                await shard.replica.until_ready()
                await require_model(world, shard, index)
                raise InvalidQuery("stop")
    assert "Replaying" in caplog.text


async def test_a_snapshot_restores_into_an_empty_folder(world: World) -> None:
    index = await world.register()
    await world.put(300)
    async with running(world.shard(index)) as shard:
        assert await shard.maintenance.snapshot()
        await world.put(20, first=400)
        await caught_up(world, shard)
    async with running(world.shard(index, folder="other")) as shard:
        assert shard.replica.loaded().stamp  # from the snapshot, not from the log's beginning
        await require_model(world, shard, index)


async def test_a_damaged_snapshot_is_refused_and_the_older_one_used(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    index = await world.register()
    await world.put(100)
    async with running(world.shard(index)) as shard:
        assert await shard.maintenance.snapshot()
        older = {path async for path in world.blobs.keys("snapshots/")}
        await world.put(100, first=101)
        await caught_up(world, shard)
        assert await shard.maintenance.snapshot()
        newer = [path async for path in world.blobs.keys("snapshots/") if path not in older and "/files/" in path]
        assert newer
        content = bytearray(await world.blobs.get(newer[0]))
        content[0] ^= 0xFF
        await world.blobs.put(newer[0], bytes(content))
    with caplog.at_level(logging.INFO):
        async with running(world.shard(index, folder="other")) as shard:
            await require_model(world, shard, index)
    assert "is not used" in caplog.text
    assert "Restored" in caplog.text


async def test_old_snapshots_and_files_that_none_names_are_deleted(world: World) -> None:
    index = await world.register()
    settings = SETTINGS.model_copy(update={"keep_snapshots": 2})
    async with running(world.shard(index, settings=settings)) as shard:
        for turn in range(5):
            await world.put(70, first=1 + 70 * turn)
            await caught_up(world, shard)
            assert await shard.maintenance.snapshot()
        keys = [key async for key in world.blobs.keys("snapshots/")]
        assert len([key for key in keys if "/manifests/" in key]) == 2
        manifests = [Checkpoint.from_json(await world.blobs.get(key)) for key in keys if "/manifests/" in key]
        named = {file.sha256 for manifest in manifests for file in manifest.files()}
        assert {key.rsplit("/", 1)[1] for key in keys if "/files/" in key} == named
    async with running(world.shard(index, folder="other")) as shard:
        await require_model(world, shard, index)


async def test_a_search_with_a_receipt_sees_the_write(world: World) -> None:
    index = await world.register()
    async with running(world.shard(index)) as shard:
        record = world.record(5)
        asked = query(
            index, record.vectors[0].astype(np.float32), k=1, receipts=(Receipt(ImageId(5), Version(1)),), exact=True
        )
        searching = asyncio.create_task(shard.client.search(asked, Deadline.after(20)))
        await asyncio.sleep(0)
        await world.send([record])
        answer = await searching
        assert answer.hits.ids.tolist() == [5]
        assert not answer.degraded


async def test_a_receipt_that_does_not_come_in_time_is_said_and_the_answer_still_comes(world: World) -> None:
    index = await world.register()
    await world.put(20)
    async with running(world.shard(index)) as shard:
        asked = query(index, normalise(np.ones(DIM)), receipts=(Receipt(ImageId(5), Version(2)),))
        answer = await shard.client.search(asked, Deadline.after(0.3))
        assert answer.degraded == {Degraded.RECEIPT_PENDING}
        assert len(answer.hits) == 10


async def test_the_codebook_is_trained_once_and_adopted_by_every_shard(world: World) -> None:
    index = await world.register(shards=2)
    settings = SETTINGS.model_copy(update={"catalog_seconds": 3_600})  # looks only when it is told to
    async with (
        running(world.shard(index, 0, settings, "a")) as a,
        running(world.shard(index, 1, settings, "b")) as b,
    ):
        await world.put(900)
        await caught_up(world, a)
        await caught_up(world, b)
        async with asyncio.timeout(60):
            while not (a.replica.loaded().codebook and b.replica.loaded().codebook):
                await asyncio.gather(a.trainer.look(), b.trainer.look())
        published = [key async for key in world.blobs.keys("codebooks/")]
        row = next(one for one in await world.catalog.indexes() if one.id == index.id)
        codebooks = {shard.replica.loaded().codebook.id for shard in (a, b)}  # type: ignore[union-attr]
        assert published == [f"codebooks/{row.codebook}"]
        assert codebooks == {row.codebook}
        for image_id, record in list(world.live().items())[:20]:
            asked = query(index, record.vectors[0].astype(np.float32), k=1)
            answers = [await shard.client.search(asked, Deadline.after(10)) for shard in (a, b)]
            assert any(answer.hits.ids.tolist() == [image_id] for answer in answers)
    async with running(world.shard(index, 0, folder="a")) as a:
        assert a.replica.loaded().codebook is not None
        assert a.replica.loaded().counts().head_rows == 0


async def test_a_query_for_something_else_is_refused(world: World) -> None:
    index = await world.register()
    await world.put(5)
    unit = normalise(np.ones(DIM))
    shard = world.shard(index)
    with pytest.raises(ReplicaDown):
        await shard.client.search(query(index, unit), Deadline.after(1))
    async with running(shard):
        asked = query(index, unit)
        for wrong, error in (
            ({"index": "other.1"}, WrongState),
            ({"space": "other"}, WrongSpace),
            ({"query": unit[:4]}, InvalidQuery),
            ({"query": 2 * unit}, InvalidQuery),
            ({"query": np.full(DIM, np.nan, np.float32)}, InvalidQuery),
            ({"k": 0}, InvalidQuery),
            ({"effort": 11}, InvalidQuery),
            ({"filter": "{"}, InvalidQuery),
        ):
            with pytest.raises(error):
                await shard.client.search(replace(asked, **wrong), Deadline.after(5))  # type: ignore[arg-type]


async def test_excluded_pictures_and_other_tenants_are_left_out(world: World) -> None:
    index = await world.register()
    await world.put(30)
    await world.send([world.record(one, tenant=Tenant("bob")) for one in range(100, 110)])
    async with running(world.shard(index)) as shard:
        unit = normalise(np.ones(DIM))
        every = await shard.client.search(query(index, unit, k=40, exact=True), Deadline.after(5))
        assert set(every.hits.ids.tolist()) == set(range(1, 31))
        best = tuple(every.hits.ids[:2].tolist())
        rest = await shard.client.search(query(index, unit, k=5, exact=True, exclude_ids=best), Deadline.after(5))
        assert rest.hits.ids.tolist() == every.hits.ids[2:7].tolist()
        assert await shard.client.fetch(ANN, [ImageId(100)], Deadline.after(5)) == []
        assert len(await shard.client.fetch(None, [ImageId(100)], Deadline.after(5))) == 1


async def test_a_record_that_is_none_stops_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    index = await world.register()
    producer = await world.log.producer()
    await producer.send(SPACE.vectors_topic, 0, b"x", b"\xff\xff\xff")
    await producer.close()
    await world.put(10)
    async with running(world.shard(index)) as shard:
        await require_model(world, shard, index)
    assert "is no vector record" in caplog.text
