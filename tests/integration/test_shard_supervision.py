"""Whatever a record holds, and whatever a part of a shard fails of: the others go on, and so does the part."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from omma.buckets import bucket_of
from omma.identity import ImageId
from omma.records import image_key
from omma.rpc.deadline import Deadline
from omma.telemetry.metrics import SHARD_FAILURES, SHARD_RECORDS_PASSED_OVER
from omma.v1 import records_pb2, types_pb2
from omma.vectors import normalise
from services.nn_shard.engine import Engine, Task, Work, segment_tasks
from services.nn_shard.training.sampling import LogSample
from services.nn_shard.training.trainer import Trainer
from tests.integration.shard_world import (
    ANN,
    DIM,
    SETTINGS,
    SPACE,
    World,
    caught_up,
    query,
    require_model,
    running,
    world,
)
from tests.waiting import eventually

__all__ = ["world"]

BAD = 5_000
"""Ids of the records that are wrong."""


def vectors_of(rows: Any, dtype: Any = "<f2") -> types_pb2.Vectors:
    data = np.asarray(rows, dtype)
    kind = types_pb2.DTYPE_FLOAT16 if data.dtype == np.float16 else types_pb2.DTYPE_FLOAT32
    return types_pb2.Vectors(data=data.tobytes(), dtype=kind, dim=data.shape[-1])


def with_vectors(rows: Any, dtype: Any = "<f2") -> Callable[[records_pb2.VectorRecord], None]:
    return lambda record: record.vectors.CopyFrom(vectors_of(rows, dtype))


def with_attributes(content: bytes) -> Callable[[records_pb2.VectorRecord], None]:
    return lambda record: setattr(record.payload, "attributes_json", content)


UNIT = np.eye(1, DIM)
WRONG: dict[str, tuple[str, Callable[[records_pb2.VectorRecord], Any]]] = {
    "a NaN": ("vector", with_vectors(UNIT * np.nan)),
    "an infinity": ("vector", with_vectors(np.where(UNIT > 0, np.inf, 0))),
    "float32 past float16": ("vector", with_vectors(UNIT * 1e9, "<f4")),
    "zeros": ("vector", with_vectors(UNIT * 0)),
    "twice as long": ("vector", with_vectors(UNIT * 2)),
    "one good region and one bad": (
        "vector",
        lambda r: (with_vectors([UNIT[0], UNIT[0] * np.nan])(r), r.boxes.add()),
    ),
    "another dim": ("vector", with_vectors(np.eye(1, DIM + 1))),
    "half a vector": ("vector", lambda r: setattr(r.vectors, "data", r.vectors.data[:-2])),
    "no dtype": ("vector", lambda r: setattr(r.vectors, "dtype", types_pb2.DTYPE_UNSPECIFIED)),
    "no vector": ("vector", lambda r: r.ClearField("vectors")),
    "300 regions": ("vector", lambda r: (with_vectors(np.tile(UNIT, (300, 1)))(r), r.boxes.extend([r.boxes[0]] * 299))),
    "no box": ("boxes", lambda r: r.ClearField("boxes")),
    "a box too many": ("boxes", lambda r: r.boxes.add()),
    "another space": ("space", lambda r: setattr(r, "space", "another-1-00000000")),
    "a version below zero": ("id", lambda r: setattr(r, "version", -3)),
    "a long tenant": ("tenant", lambda r: setattr(r, "tenant", "t" * 2_000)),
    "attributes that are no JSON": ("attributes", with_attributes(b"{")),
    "attributes that are a list": ("attributes", with_attributes(b"[]")),
    "attributes that nest too deep": ("attributes", with_attributes(b'{"a":' * 100_000)),
    "half a character": ("attributes", with_attributes(b'{"a":"\\ud83d"}')),
    "bytes that are no text": ("attributes", with_attributes(b'{"a":"\xff"}')),
    "NaN among the attributes": ("attributes", with_attributes(b'{"a":NaN}')),
    "1e999 among the attributes": ("attributes", with_attributes(b'{"a":[1e999]}')),
    "megabytes": ("size", with_attributes(json.dumps({"a": "x" * 2_000_000}).encode())),
}


def passed_over(reader: str) -> dict[str, float]:
    (metric,) = SHARD_RECORDS_PASSED_OVER.collect()
    return {
        one.labels["reason"]: one.value
        for one in metric.samples
        if one.name.endswith("_total") and one.labels["reader"] == reader
    }


async def send_wrong(world: World) -> dict[str, int]:
    """All that may be wrong with a record; how many of each reason."""
    counts: dict[str, int] = {}
    producer = await world.log.producer()
    for at, (reason, spoil) in enumerate(WRONG.values()):
        image_id = BAD + at
        message = records_pb2.VectorRecord.FromString(world.record(image_id).encode())
        spoil(message)
        at_bucket = bucket_of(image_id, SPACE.buckets)
        await producer.send(SPACE.vectors_topic, at_bucket, image_key(image_id), message.SerializeToString())
        counts[reason] = counts.get(reason, 0) + 1
    good = world.record(BAD + 900).encode()
    home = bucket_of(BAD + 900, SPACE.buckets)
    await producer.send(SPACE.vectors_topic, home, image_key(BAD + 901), good)
    await producer.send(SPACE.vectors_topic, (home + 1) % SPACE.buckets, image_key(BAD + 900), good)
    await producer.send(SPACE.vectors_topic, home, image_key(BAD + 902), b"\xff\xff\xff")
    await producer.close()
    return {**counts, "key": 1, "bucket": 1, "bytes": 1}


@pytest.mark.parametrize("pictures", [50, 700], ids=["without a codebook", "with one"])
async def test_wrong_records_are_passed_over_whole_counted_and_stop_nothing(
    world: World, caplog: pytest.LogCaptureFixture, pictures: int
) -> None:
    index = await world.register()
    await world.put(pictures)
    async with running(world.shard(index)) as shard:
        await shard.trainer.look()
        assert (shard.replica.loaded().codebook is not None) is (pictures > 600)
        before = passed_over("shard")
        counts = await send_wrong(world)
        await world.put(20, first=BAD + 1_000)
        await caught_up(world, shard)
        await require_model(world, shard, index)
        after = passed_over("shard")
        assert {reason: after[reason] - before.get(reason, 0) for reason in counts} == counts
        answer = await shard.client.search(
            query(index, normalise(np.ones(DIM)), k=1_000, filter='{"not":{"owner":"nobody"}}'), Deadline.after(5)
        )
        assert sorted(answer.hits.ids.tolist()) == sorted(world.live())
        assert answer.hits.scores.min() > -1
    assert "is passed over" in caplog.text
    async with running(world.shard(index, folder="replays")) as shard:
        await require_model(world, shard, index)


async def test_a_sample_of_the_log_holds_no_wrong_record(world: World) -> None:
    await world.register(2)
    await world.put(200)
    before = passed_over("sample")
    counts = await send_wrong(world)
    samples = [part for shard in (0, 1) async for part in LogSample(world.log, SPACE, shard, 2).read(10_000)]
    assert sum(map(len, samples)) == 200
    assert np.allclose(np.linalg.norm(np.concatenate(samples), axis=1), 1, atol=1e-2)
    after = passed_over("sample")
    assert sum(after.values()) - sum(before.values()) == sum(counts.values())


class Bug:
    """Fails with what is neither Omma's nor the system's, until it is mended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
        self.times = 0
        self.mended = False
        inner = getattr(owner, name)

        def fails(*given: Any, **named: Any) -> Any:
            if not self.mended:
                self.times += 1
                raise IndexError("a bug")
            return inner(*given, **named)

        monkeypatch.setattr(owner, name, fails)

    async def seen(self, times: int) -> None:
        await eventually(lambda: self.times >= times, 20)


def failures(part: str) -> float:
    return SHARD_FAILURES.labels(part, "unexpected")._value.get()


async def test_reading_goes_on_after_a_bug_and_readiness_says_so_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    index = await world.register()
    await world.put(50)
    async with running(world.shard(index)) as shard:
        before = failures("reading")
        bug = Bug(monkeypatch, Engine, "take_in")
        await world.put(10, first=100)
        async with asyncio.timeout(20):
            await shard.replica.until_healthy(False)
        assert bug.times == 3
        assert failures("reading") == before + 3
        assert not (await shard.client.stats(Deadline.after(5))).ready
        answer = await shard.client.search(query(index, normalise(np.ones(DIM)), exact=True), Deadline.after(5))
        assert len(answer.hits) == 10
        assert caplog.text.count("IndexError: a bug") >= 3
        bug.mended = True
        await caught_up(world, shard)
        await require_model(world, shard, index)
        async with asyncio.timeout(20):
            await shard.replica.until_healthy()


@pytest.mark.parametrize(
    ("part", "owner", "name"),
    [("sealing", Engine, "plan"), ("checkpoint", Engine, "checkpoint"), ("training", Trainer, "look")],
)
async def test_a_part_goes_on_after_a_bug(
    world: World, monkeypatch: pytest.MonkeyPatch, part: str, owner: type, name: str
) -> None:
    index = await world.register()
    before = failures(part)
    bug = Bug(monkeypatch, owner, name)
    async with running(world.shard(index)) as shard:
        await world.put(700)
        await bug.seen(2)
        await caught_up(world, shard)
        bug.mended = True
        async with asyncio.timeout(20):
            while shard.replica.loaded().codebook is None or not shard.replica.loaded().stamp:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await require_model(world, shard, index)
    assert failures(part) >= before + 2


async def test_a_replay_that_fails_halfway_begins_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    index = await world.register()
    await world.put(100)
    async with running(world.shard(index)) as shard:
        inner, failed = Engine.open, False

        def fails_once(*given: Any, **named: Any) -> Engine:
            nonlocal failed
            if not failed:
                failed = True
                raise OSError("the disk is away")
            return inner(*given, **named)

        monkeypatch.setattr(Engine, "open", fails_once)
        shard.replica._is_another_log = True
        await shard.replica.until_ready(False)
        async with asyncio.timeout(20):
            await shard.replica.until_ready()
        assert failed
        await require_model(world, shard, index)
        assert [one.image_id for one in await shard.client.fetch(ANN, [ImageId(1)], Deadline.after(5))] == [1]


async def test_a_log_full_of_wrong_records_fills_no_disk(world: World, caplog: pytest.LogCaptureFixture) -> None:
    index = await world.register()
    producer = await world.log.producer()
    await producer.send_many(SPACE.vectors_topic, [(0, b"%d" % at, b"\xff\xff") for at in range(500)])
    await producer.close()
    await world.put(10)
    settings = SETTINGS.model_copy(update={"poll_records": 1_000})
    with caplog.at_level(logging.ERROR):
        async with running(world.shard(index, settings=settings)) as shard:
            await require_model(world, shard, index)
    assert caplog.text.count("passed over") <= 11


async def test_a_merge_that_takes_long_stops_neither_reading_nor_checkpoints(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = await world.register()
    merging, let_go = threading.Event(), threading.Event()
    run = Task.run

    def slowly(task: Task) -> None:
        if task.kind is Work.MERGE and not let_go.is_set():
            merging.set()
            let_go.wait(60)
        run(task)

    monkeypatch.setattr(Task, "run", slowly)
    engine = SETTINGS.engine.model_copy(update={"train_rows": 100_000})
    settings = SETTINGS.model_copy(update={"engine": engine, "checkpoint_seconds": 3_600})
    bound = int(settings.max_head_segments * settings.engine.seal_rows)
    async with running(world.shard(index, settings=settings)) as shard:
        await world.put(300)
        assert await asyncio.to_thread(merging.wait, 30), "two segments or more are merged"
        try:
            await world.put(bound + 150, first=1_000)
            await caught_up(world, shard)
            await shard.maintenance.checkpoint()
            assert shard.replica.loaded().counts().head_rows <= bound
        finally:
            let_go.set()
        await require_model(world, shard, index)
    async with running(world.shard(index, settings=settings)) as shard:
        await require_model(world, shard, index)


async def test_readiness_says_when_reading_waits_for_a_sealing_that_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = await world.register()
    await world.put(10)
    async with running(world.shard(index)) as shard:
        bug = Bug(monkeypatch, segment_tasks, "write_segment")
        await world.put(100, first=100)
        await bug.seen(6)
        assert shard.replica.healthy, "there is room in the head"
        await world.put(1_000, first=1_000)
        async with asyncio.timeout(20):
            await shard.replica.until_healthy(False)
        bug.mended = True
        async with asyncio.timeout(40):
            await shard.replica.until_healthy()
        await caught_up(world, shard)
        await require_model(world, shard, index)
