"""A model, then another number of shards, rolled out on a cluster of real parts over pictures whose events are older
than the log keeps what it does not compact, while it is searched and written to and its processes are killed.
"""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deploy import parts
from deploy.local import Cluster, Shape, cluster
from omma.backlog import indexer_group
from omma.log.kafka.log import KafkaLog
from omma.log.kafka.settings import KafkaSettings
from omma.records import IMAGES_TOPIC
from omma.rollouts.event import ROLLOUTS_TOPIC
from tests.e2e.rolling import Traffic, ids_in, ok, reaches, upload
from tests.e2e.two_models import A, B, register_two
from tests.kafka_weeks import compact_now, delete_all
from tests.part_fixtures import skip_without
from tests.waiting import eventually

PICTURES = 16
PATCHED = [3, 4]

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("models")
    register_two(folder / "models")
    settings = {"OMMA_WORKER__ROLLOUT_LOOK_SECONDS": "0.5", "OMMA_SHARD__CATALOG_SECONDS": "1"}
    # A busy machine would be taken for a bad candidate, or for a log that is away.
    settings |= {"OMMA_WORKER__JUDGE_SECONDS": "600", "OMMA_SHARD__STALE_SECONDS": "900"}
    shape = Shape(2, 1, gateways=2, model=A, models_dir=str(folder / "models"), triton=False, environment=settings)
    try:
        with cluster(shape) as running:
            yield running
    except parts.PartMissing as missing:
        skip_without(missing)


class Walk:
    """One rollout, stepped through; each step is followed by every gateway before the next."""

    def __init__(self, running: Cluster, client: httpx.AsyncClient, traffic: Traffic, begun: dict[str, Any]) -> None:
        self.running = running
        self.client = client
        self.traffic = traffic
        self.id: str = begun["id"]

    async def step(self, name: str, **body: Any) -> dict[str, Any]:
        moved: dict[str, Any] = await ok(self.client.post(f"/rollouts/{self.id}/{name}", json=body))
        await eventually(lambda: self.followed(moved["routing"]["epoch"]), 300)
        self.traffic.step += 1
        self.traffic.answered.clear()
        for user in range(20):
            await self.traffic.search(f"user {user}")
        return moved

    async def followed(self, epoch: int) -> bool:
        """By the gateways that run now; one that was killed is still among the followers for a minute."""
        seen = (await ok(self.client.get(f"/rollouts/{self.id}")))["routing"]["followers"]
        names = [f"{socket.gethostname()}:{one.server.pid}" for one in self.running.gateways]
        return all(seen.get(name, 0) >= epoch for name in names)

    def arms(self) -> set[tuple[str, str]]:
        return {(index, arm) for index, _, arm in self.traffic.answered}


async def test_a_model_is_rolled_out_and_then_resharded_without_embedding(running: Cluster) -> None:
    async with httpx.AsyncClient(base_url=running.rest, timeout=300) as client:
        live = {}
        for seed in range(PICTURES):
            made = await upload(client, seed)
            live[made["id"]] = made["receipt"]

        async def all_there() -> bool:
            answer = await client.post("/search", json={"image_id": 1, "k": 100, "exact": True, "timeout_ms": 60_000})
            return answer.is_success and len(answer.json()["results"]) == PICTURES - 1

        await eventually(all_there, 300)
        gone = await weeks_go_by(running, client, live)
        for path in ("/search", "/embed/text"):
            refused = await client.post(path, json={"text": "a lamp"})
            told = refused.json()
            assert (refused.status_code, told["kind"], told["field"]) == (409, "model_has_no_text_tower", "text")
        for body, field, said in [
            ({"model": B}, "model", f"model: {B}"),
            ({"index": "wide", "shards": 3}, "index", "{index: wide"),
        ]:
            refused = await client.post("/rollouts", json=body)
            assert (refused.status_code, refused.json()["field"]) == (404, field) and said in refused.json()["detail"]

        await asyncio.to_thread(running.add_index, "next", model=B, shards=2)
        # While a killed indexer is away a gateway says that what was just uploaded is not searchable yet.
        traffic = Traffic(client, live, pause_seconds=0.1, tolerated=frozenset({"stale_replica"}), gone=gone)
        task = asyncio.create_task(traffic.run())
        walk = Walk(running, client, traffic, await ok(client.post("/rollouts", json={"model": B})))
        running.indexer.server.kill()
        await reaches(client, walk.id, "shadow")
        running.worker.server.kill()
        running.indexes["next"].shards[1][0].server.kill()
        await step_to_canary(walk)
        running.gateways[1].server.kill()
        assert walk.arms() == {("main", "control"), ("next", "candidate")}
        await walk.step("promote", reason="better")
        assert walk.arms() == {("next", "")}
        assert await index_of(running.gateways[1].http_port) == "next"
        await walk.step("rollback", reason="worse")
        assert walk.arms() == {("main", "")}
        await walk.step("promote", reason="better after all")
        traffic.ended = True
        await task
        assert traffic.failed == []
        receipts = [*traffic.live.values(), *traffic.gone.values()][-256:]
        for index in ("main", "next"):
            assert await ids_in(client, index, receipts) == sorted(traffic.live)
            assert await tagged(client, index, "turn") == PATCHED
        old = next(one["space"] for one in (await ok(client.get("/indexes")))["indexes"] if one["id"] == "main")
        await walk.step("retire", yes=True)

        await asyncio.to_thread(running.add_index, "wide", model=B, shards=3)
        egs = running.indexes["next"].egs
        with running.supervisor.left_alone(egs):
            # Nothing can be embedded: vectors come from the log.
            begun = await ok(client.post("/rollouts", json={"index": "wide", "shards": 3}))
            egs.server.stop()
            walk = Walk(running, client, traffic, begun)
            await reaches(client, walk.id, "shadow")
            await walk.step("canary", share=100, force=True)
            await walk.step("promote")
            assert walk.arms() == {("wide", "")}
            assert await ids_in(client, "wide", []) == sorted(traffic.live)
        assert traffic.failed == []
        await is_cleared(running, old)
        await is_told(running, client)
        await asyncio.to_thread(running.remove_index, "main")
        assert await ids_in(client, "wide", []) == sorted(traffic.live)


async def weeks_go_by(running: Cluster, client: httpx.AsyncClient, live: dict[int, str]) -> dict[int, str]:
    """Some pictures are patched, one deleted and one erased; then nothing is left of any event but the last of each
    picture, and nothing of what is not compacted. Returns receipts of what is gone.
    """
    deleted, erased = sorted(live)[-2:]
    del live[erased]
    job = (await ok(client.post("/erase", json={"external_ids": [f"p{PICTURES - 1}"]})))["job_id"]

    async def is_erased() -> bool:
        return bool((await ok(client.get(f"/jobs/{job}")))["state"] == "done")

    await eventually(is_erased, 300)
    del live[deleted]
    gone = {deleted: (await client.delete(f"/images/{deleted}")).headers["omma-receipt"]}
    turns = 0

    async def write_on() -> None:
        nonlocal turns
        turns += 1
        for image_id in live:
            tags = ["turn"] if image_id in PATCHED else [f"other {turns}"]
            live[image_id] = (await ok(client.patch(f"/images/{image_id}", json={"tags": [f"before {turns}"]})))[
                "receipt"
            ]
            live[image_id] = (await ok(client.patch(f"/images/{image_id}", json={"tags": tags})))["receipt"]

    log = await KafkaLog.open(KafkaSettings(brokers=running.kafka.brokers))
    try:
        topics = await log.topics()
        assert [one.compacted for one in topics if one.name == IMAGES_TOPIC] == [True]
        await compact_now(running.kafka.brokers, log, IMAGES_TOPIC, write_on)
        await delete_all(running.kafka.brokers, [one.name for one in topics if not one.compacted])
    finally:
        await log.close()
    return gone


async def tagged(client: httpx.AsyncClient, index: str, tag: str) -> list[int]:
    asked = {"image_id": 1, "index": index, "k": 100, "exact": True, "near_duplicates": "keep", "timeout_ms": 60_000}
    found = await ok(client.post("/search", json={**asked, "filter": {"tags": tag}}))
    return sorted(hit["id"] for hit in found["results"])


async def step_to_canary(walk: Walk) -> None:
    """Once the candidate's killed shard is back: what it is asked meanwhile would count as degraded."""

    async def whole() -> bool:
        body = {"image_id": 2, "k": 1, "index": "next", "timeout_ms": 5_000}
        answer = await walk.client.post("/search", json=body)
        return answer.is_success and answer.json()["degraded"] == []

    await eventually(whole, 300)
    await walk.step("canary", share=50, force=True)


async def index_of(http_port: int) -> str:
    """Which index another gateway answers from, once it is back."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}", timeout=60) as client:

        async def ready() -> bool:
            try:
                return (await client.get("/readyz")).is_success
            except httpx.TransportError:
                return False

        await eventually(ready, 300)
        return str((await ok(client.post("/search", json={"image_id": 2, "k": 1, "timeout_ms": 60_000})))["index"])


async def is_told(running: Cluster, client: httpx.AsyncClient) -> None:
    """Each step of each rollout is in the log, in order; one that was told as the worker was killed may be twice."""
    every = (await ok(client.get("/rollouts")))["rollouts"]
    steps = {one["id"]: (await ok(client.get(f"/rollouts/{one['id']}")))["audit"] for one in every}
    wanted = {id: [(one["step"], one["by"], one["reason"], one["at_ms"]) for one in of] for id, of in steps.items()}
    log = await KafkaLog.open(KafkaSettings(brokers=running.kafka.brokers))
    try:

        async def told() -> bool:
            events = {one["id"]: one async for record in log.scan(ROLLOUTS_TOPIC) if (one := json.loads(record.value))}
            found: dict[str, list[tuple[Any, ...]]] = {id: [] for id in wanted}
            for one in events.values():
                found[one["rollout"]].append((one["step"], one["by"], one["reason"], one["at_ms"]))
            return found == wanted

        await eventually(told, 300)
    finally:
        await log.close()


async def is_cleared(running: Cluster, space: str) -> None:
    """Topic and group of the retired space are gone, and its shards serve no more."""
    log = await KafkaLog.open(KafkaSettings(brokers=running.kafka.brokers))
    try:

        async def cleared() -> bool:
            topics = {one.name for one in await log.topics()}
            return f"omma.vectors.{space}" not in topics and not await log.committed(indexer_group(space), IMAGES_TOPIC)

        await eventually(cleared, 300)
    finally:
        await log.close()
    for (shard,) in running.indexes["main"].shards:
        assert "index main is retired" in shard.server.log() and not list(shard.data_dir.glob("shards/main/*/*"))
