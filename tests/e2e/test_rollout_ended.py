"""What a process holds of an index goes when the index is given up or retired: its model, threads and shards."""

import asyncio
import gc
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

from services.egs.embedder import OnnxEmbedder
from services.nn_shard.maintenance import Maintenance
from tests.e2e.rolled_folder import Folder
from tests.e2e.rolling import ids_in, ok, reaches, upload
from tests.e2e.two_models import B, register_two
from tests.waiting import eventually


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    register_two(tmp_path / "models")
    return Folder(tmp_path)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> "weakref.WeakSet[OnnxEmbedder]":
    """Those that this process opens from here on and still holds, threads and sessions."""
    known: weakref.WeakSet[OnnxEmbedder] = weakref.WeakSet()
    make = OnnxEmbedder.__init__

    def noted(self: OnnxEmbedder, *given: Any, **named: Any) -> None:
        make(self, *given, **named)
        known.add(self)

    monkeypatch.setattr(OnnxEmbedder, "__init__", noted)
    return known


async def only_left(models: "weakref.WeakSet[OnnxEmbedder]", space: str) -> None:
    """Wait until this space's model is the only one."""

    async def is_so() -> bool:
        await asyncio.sleep(0.3)
        gc.collect()
        return [one.space.id for one in models] == [space]

    await eventually(is_so, 90)


def embedding_threads() -> int:
    return sum(one.name.startswith("egs-") for one in threading.enumerate())


async def test_a_model_whose_space_has_no_index_left_is_closed(
    folder: Folder, models: "weakref.WeakSet[OnnxEmbedder]"
) -> None:
    others_threads = embedding_threads()  # of tests before this one
    async with folder.up() as client:
        receipts = [(await upload(client, seed))["receipt"] for seed in range(4)]
        (old,) = (await ok(client.get("/indexes")))["indexes"]
        assert len(await ids_in(client, old["id"], receipts)) == 4
        threads = embedding_threads()
        given_up = await ok(client.post("/rollouts", json={"model": B}))
        await reaches(client, given_up["id"], "shadow")
        assert len(models) == 2 and embedding_threads() > threads
        await ok(client.post(f"/rollouts/{given_up['id']}/abort"))

        async def begins() -> dict[str, Any] | None:
            """None while the files of the index that was given up are being cleared."""
            answer = await client.post("/rollouts", json={"model": B})
            assert answer.is_success or "is being cleared" in answer.text, answer.text
            return answer.json() if answer.is_success else None

        await only_left(models, old["space"])
        assert embedding_threads() == threads
        begun = await eventually(begins, 60)
        assert begun is not None
        await reaches(client, begun["id"], "shadow")
        await ok(client.post(f"/rollouts/{begun['id']}/canary", json={"share": 100, "force": True}))
        await ok(client.post(f"/rollouts/{begun['id']}/promote"))
        await ok(client.post(f"/rollouts/{begun['id']}/retire", json={"yes": True}))
        await only_left(models, begun["candidate"]["space"])
        assert embedding_threads() == threads
        assert (await upload(client, 9))["receipt"]
        found = await ok(client.post("/search", json={"image_id": 1, "k": 3}))
        assert found["index"] == begun["candidate"]["id"]
    assert embedding_threads() == others_threads


async def test_an_index_whose_end_has_a_bug_is_stopped_all_the_same(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with folder.up() as client:
        await upload(client, 1)
        threads = embedding_threads()
        begun = await ok(client.post("/rollouts", json={"model": B}))
        await reaches(client, begun["id"], "shadow")
        stop = Maintenance.stop

        async def with_a_bug(self: Maintenance) -> None:
            await stop(self)
            raise RuntimeError("no fault that is foreseen")

        monkeypatch.setattr(Maintenance, "stop", with_a_bug)
        await ok(client.post(f"/rollouts/{begun['id']}/abort"))
        await eventually(lambda: embedding_threads() == threads, 60)
        monkeypatch.undo()
        assert (await upload(client, 2))["receipt"]
