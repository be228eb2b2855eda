"""A whole rollout over pictures whose events are older than what the log keeps, and a week more within each state."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from omma.log.interface import TopicSpec
from omma.log.sqlite import SqliteLog
from omma.records import IMAGES_TOPIC
from tests.e2e.rolled_folder import Folder
from tests.e2e.rolling import ids_in, ok, reaches
from tests.e2e.two_models import B, register_two
from tests.pictures import encoded, scene
from tests.waiting import eventually

PICTURES = 12


class Aged:
    """A data folder that is away for longer than any topic keeps what it does not compact, and its last receipts."""

    def __init__(self, path: Path) -> None:
        register_two(path / "models")
        self.folder = Folder(path)
        self.receipts: list[str] = []

    async def weeks_go_by(self) -> None:
        """What the folder's housekeeping does by then."""
        later = 2 * TopicSpec(IMAGES_TOPIC, 1).retention_seconds
        log = await SqliteLog.open(self.folder.path / "data" / "log.db", clock=lambda: time.time() + later)
        await log.compact()
        events = [one.key async for one in log.scan(IMAGES_TOPIC)]
        assert len(events) == len(set(events)), "the last one of each picture"
        await log.close()

    async def post(self, client: httpx.AsyncClient, name: str, picture: int) -> int:
        made = await ok(
            client.post("/images", files={"image": bytes_of(picture)}, data={"external_id": name, "owner": name})
        )
        self.receipts.append(made["receipt"])
        return int(made["id"])

    async def delete(self, client: httpx.AsyncClient, image_id: int) -> None:
        self.receipts.append((await client.delete(f"/images/{image_id}")).headers["omma-receipt"])

    async def patch(self, client: httpx.AsyncClient, image_id: int, *tags: str) -> None:
        self.receipts.append((await ok(client.patch(f"/images/{image_id}", json={"tags": tags})))["receipt"])


def bytes_of(picture: int) -> bytes:
    return encoded(scene(64, 48, picture))


async def erase(client: httpx.AsyncClient, owner: str) -> None:
    job = (await ok(client.post("/erase", json={"owner": owner})))["job_id"]

    async def done() -> bool:
        return bool((await ok(client.get(f"/jobs/{job}")))["state"] == "done")

    await eventually(done, 300)


async def nearest(client: httpx.AsyncClient, index: str, picture: int) -> dict[str, Any]:
    """Of these bytes, in this index."""
    asked = {"k": 1, "index": index, "exact": "true", "timeout_ms": 60_000, "near_duplicates": "keep"}
    found = await ok(client.post("/search", files={"image": bytes_of(picture)}, data=asked))
    return dict(found["results"][0])


async def tagged(client: httpx.AsyncClient, index: str, tag: str) -> list[int]:
    body = {"image_id": 1, "k": 100, "index": index, "exact": True, "filter": {"tags": tag}, "timeout_ms": 60_000}
    return sorted(hit["id"] for hit in (await ok(client.post("/search", json=body)))["results"])


async def answers(client: httpx.AsyncClient, index: str) -> None:
    """Once its gateway follows the last step, and its shards are up: after a start only the live one's are."""

    async def so() -> bool:
        return (await client.post("/search", json={"image_id": 1, "k": 1, "index": index})).is_success

    await eventually(so, 300)


@pytest.mark.timeout(600)
async def test_a_rollout_over_weeks_lacks_nothing_and_brings_nothing_back(tmp_path: Path) -> None:
    aged = Aged(tmp_path)
    folder = aged.folder
    async with folder.up() as client:
        ids = [await aged.post(client, f"p{at}", at) for at in range(PICTURES)]
        (old,) = (one["id"] for one in (await ok(client.get("/indexes")))["indexes"])
        patched, replaced, deleted, returned, erased = ids[2:7]
        await aged.patch(client, patched, "first")
        await aged.patch(client, patched, "last")
        assert await aged.post(client, f"p{ids.index(replaced)}", 103) == replaced
        await aged.delete(client, deleted)
        await aged.delete(client, returned)
        back = await aged.post(client, f"p{ids.index(returned)}", 105)
        await erase(client, f"p{ids.index(erased)}")
        live = sorted({*ids, back} - {deleted, erased} - ({returned} - {back}))

        async def is_whole(client: httpx.AsyncClient, index: str) -> None:
            await answers(client, index)
            assert await ids_in(client, index, aged.receipts) == live
            assert (await tagged(client, index, "first"), await tagged(client, index, "last")) == ([], [patched])
            for picture, image_id in ((103, replaced), (105, back), (2, patched)):
                hit = await nearest(client, index, picture)
                assert (hit["id"], hit["score"] > 0.999) == (image_id, True)
            for picture, image_id in ((3, replaced), (4, deleted), (6, erased)):
                assert (await nearest(client, index, picture))["score"] < 0.999, f"{image_id} as it was"
            for image_id in (deleted, erased):
                assert (await client.get(f"/images/{image_id}")).status_code == 404

        await is_whole(client, old)
    await aged.weeks_go_by()

    async with folder.up() as client:
        begun = await ok(client.post("/rollouts", json={"model": B}))
        rollout, new = begun["id"], begun["candidate"]["id"]
        await ok(client.post(f"/rollouts/{rollout}/pause"))
    await aged.weeks_go_by()

    async with folder.up() as client:
        await ok(client.post(f"/rollouts/{rollout}/resume"))
        await reaches(client, rollout, "shadow")
        shown = await ok(client.get(f"/rollouts/{rollout}"))
        assert (shown["figures"]["build"]["live"], shown["figures"]["build"]["missing"]) == (len(live), 0)
        await is_whole(client, new)
        await ok(client.post(f"/rollouts/{rollout}/canary", json={"share": 100, "force": True}))
    await aged.weeks_go_by()

    async with folder.up() as client:
        await answers(client, new)
        found = await ok(client.post("/search", json={"image_id": 1, "k": 3, "user_id": "ann"}))
        assert (found["index"], found["variant"]["arm"]) == (new, "candidate")
        await ok(client.post(f"/rollouts/{rollout}/promote"))
        # What is written while the old index only reads along is in it after all that time, too.
        live.append(await aged.post(client, "later", 200))
        for index in (new, old):
            await is_whole(client, index)
    await aged.weeks_go_by()

    async with folder.up(B) as client:
        await ok(client.post(f"/rollouts/{rollout}/rollback"))
        await is_whole(client, old)
        live.append(await aged.post(client, "later still", 201))
        await ok(client.post(f"/rollouts/{rollout}/promote"))
    await aged.weeks_go_by()

    async with folder.up(B) as client:
        for index in (old, new):
            await is_whole(client, index)
        retired = await ok(client.post(f"/rollouts/{rollout}/retire", json={"yes": True}))
        assert retired["state"] == "retired"
    await aged.weeks_go_by()

    async with folder.up(B) as client:
        await is_whole(client, new)
