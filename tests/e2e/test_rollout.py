"""A model is rolled out in one process while it is searched and written to: every step, there and back."""

import asyncio
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.rolled_folder import Folder
from tests.e2e.rolling import Traffic, ids_in, ok, reaches, upload
from tests.e2e.two_models import A, B, register_two
from tests.waiting import eventually

PICTURES = 24


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    register_two(tmp_path / "models")
    return Folder(tmp_path)


async def test_a_model_is_rolled_out_and_back_under_traffic(folder: Folder) -> None:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(folder.up())
        live = {}
        for seed in range(PICTURES):
            made = await upload(client, seed)
            live[made["id"]] = made["receipt"]
        (old,) = (await ok(client.get("/indexes")))["indexes"]
        traffic = Traffic(client, live)
        running = asyncio.create_task(traffic.run())
        begun = await ok(client.post("/rollouts", json={"model": B, "reason": "to see"}))
        rollout, new = begun["id"], begun["candidate"]["id"]
        assert begun["state"] == "building" and begun["figures"]["preflight"]["embedded"] >= PICTURES
        assert begun["figures"]["preflight"]["words"] is False

        async def step(name: str, **body: Any) -> dict[str, Any]:
            moved: dict[str, Any] = await ok(client.post(f"/rollouts/{rollout}/{name}", json=body))
            await eventually(lambda: followed(moved["routing"]["epoch"]), 300)
            traffic.step += 1
            traffic.answered.clear()
            for user in range(40):
                await traffic.search(f"user {user}")
            return moved

        async def followed(epoch: int) -> bool:
            seen = (await ok(client.get(f"/rollouts/{rollout}")))["routing"]["followers"]
            return all(one >= epoch for one in seen.values())

        await reaches(client, rollout, "shadow")
        refused = await client.post(f"/rollouts/{rollout}/canary", json={"share": 5})
        assert (refused.status_code, refused.json()["kind"], refused.json()["field"]) == (409, "wrong_state", "gates")
        await step("canary", share=50, force=True)
        spaces = {one["id"]: one["space"] for one in (await ok(client.get("/indexes")))["indexes"]}
        assert all(spaces[index] == space for index, space, _ in traffic.answered)
        assert {(index, arm) for index, _, arm in traffic.answered} == {(old["id"], "control"), (new, "candidate")}
        patient = {"image_id": 2, "k": 3, "user_id": "user 1", "timeout_ms": 60_000}
        page = await ok(client.post("/search", json=patient))
        await step("promote", reason="better")
        assert {index for index, _, _ in traffic.answered} == {new}
        later = {**patient, "cursor": page["next_cursor"]}
        assert (await ok(client.post("/search", json=later)))["index"] == page["index"]
        await step("rollback", reason="worse")
        assert {index for index, _, _ in traffic.answered} == {old["id"]}
        await step("promote", reason="better after all")
        assert {index for index, _, _ in traffic.answered} == {new}
        traffic.ended = True
        await running
        assert traffic.failed == []
        for index in (old["id"], new):
            receipts = [*traffic.live.values(), *traffic.gone.values()]
            assert await ids_in(client, index, receipts[-256:]) == sorted(traffic.live)
        early = await client.post(f"/rollouts/{rollout}/retire", json={})
        assert (early.status_code, early.json()["field"]) == (409, "yes")
        retired = await step("retire", yes=True)
        assert (retired["state"], retired["control"]["state"], retired["allowed"]) == ("retired", "retired", [])
        assert [one["step"] for one in retired["audit"]] == [
            "start", "shadow", "canary", "promote", "rollback", "promote", "retire"
        ]  # fmt: skip
        assert (retired["audit"][0]["by"], retired["audit"][1]["by"]) == ("owner", "omma")
        expired = {**later, "cursor": page["next_cursor"]}
        if page["index"] == old["id"]:
            assert (await client.post("/search", json=expired)).json()["kind"] == "cursor_expired"
        assert (await client.post("/search", json={"image_id": 2, "index": old["id"]})).status_code == 404

        async def cleared() -> bool:
            return not (folder.path / "data" / "shards" / old["id"]).exists()

        await eventually(cleared, 300)
    # The model that answers now is the one that is opened; the other one may go.
    async with folder.up(B) as again:
        assert (await ok(again.get("/health")))["indexes"][0]["id"] == new
        assert await ids_in(again, new, []) == sorted(traffic.live)


async def test_another_model_in_the_settings_is_built_beside_and_goes_on_after_a_restart(folder: Folder) -> None:
    async with folder.up() as client:
        receipts = [(await upload(client, seed))["receipt"] for seed in range(6)]
    async with folder.up(B) as client:
        (rollout,) = (await ok(client.get("/rollouts")))["rollouts"]
        assert (rollout["model"], rollout["control"]["state"]) == (B, "live")
        asked = {"image_id": 1, "k": 3, "receipts": receipts, "timeout_ms": 60_000}
        found = await ok(client.post("/search", json=asked))
        assert found["index"] == rollout["control"]["id"]
    async with folder.up(B) as client:
        (again,) = (await ok(client.get("/rollouts")))["rollouts"]
        assert again["id"] == rollout["id"], "one that runs is not begun twice"
        await reaches(client, rollout["id"], "shadow")
        gone = await ok(client.post(f"/rollouts/{rollout['id']}/abort", json={"reason": "enough"}))
        assert (gone["state"], gone["candidate"]["state"]) == ("aborted", "retired")


async def test_two_models_answer_one_page_and_a_click_counts_for_who_brought_the_hit(folder: Folder) -> None:
    async with folder.up() as client:
        receipts = [(await upload(client, seed))["receipt"] for seed in range(12)]
        (old,) = (await ok(client.get("/indexes")))["indexes"]
        assert len(await ids_in(client, old["id"], receipts)) == 12
        begun = await ok(client.post("/rollouts", json={"model": B, "mode": "interleave"}))
        await reaches(client, begun["id"], "shadow")
        moved = await ok(client.post(f"/rollouts/{begun['id']}/canary", json={"share": 100, "force": True}))
        assert moved["mode"] == "interleave"
        body = {"image_id": 2, "k": 5, "user_id": "ann", "near_duplicates": "keep", "timeout_ms": 60_000}

        async def answers() -> bool:
            return bool("variant" in await ok(client.post("/search", json=body)))

        await eventually(answers, 300)
        found = await ok(client.post("/search", json=body))
        assert found["variant"] == {"rollout": begun["id"], "arm": "interleaved"}
        spaces = {begun["candidate"]["id"]: begun["candidate"]["space"], old["id"]: old["space"]}
        assert all(spaces[hit["index"]] == hit["space"] for hit in found["results"])
        later = await ok(client.post("/search", json={**body, "k": 100, "cursor": found["next_cursor"]}))
        assert sorted(hit["id"] for hit in [*found["results"], *later["results"]]) == [1, *range(3, 13)]
        ranked = []
        for index in spaces:
            alone = await ok(client.post("/search", json={**body, "index": index}))
            ranked.append([hit["id"] for hit in alone["results"]])
        for hit in found["results"]:
            click = {"user_id": "ann", "query_image_id": 2, "displayed_image_id": hit["id"], "rank": 1}
            clicked = await client.post("/click", json={**click, "query_id": found["query_id"]})
            assert clicked.status_code == 204
            assert (hit["arm"] == "both") == all(hit["id"] in of for of in ranked)
        alike = {one for one, other in zip(*ranked, strict=True) if one == other}
        of_one = sum(hit["id"] not in alike for hit in found["results"])

        async def credited() -> bool:
            canary = (await ok(client.get(f"/rollouts/{begun['id']}")))["canary"]
            return bool(canary and canary.get("credited") == of_one)

        await eventually(credited, 300)


async def test_an_experiment_compares_two_ways_to_search_and_the_better_one_stays(folder: Folder) -> None:
    async with folder.up() as client:
        await upload(client, 1)
        for body, status, name in [
            ({"name": "x"}, 422, "arm"),
            ({"name": "x", "arm": {}}, 422, "arm"),
            ({"name": "x", "arm": {"policy": "nobody"}}, 422, "policy"),
            ({"name": "x", "arm": {"effort": 11}}, 422, "arm.effort"),
            ({"name": "x", "arm": {"duplicate_bits": 65}}, 422, "arm.duplicate_bits"),
            ({"name": "x", "arm": {"speed": 1}}, 422, "arm.speed"),
            ({"name": "x", "arm": {"effort": 4}, "share": 0}, 422, "share"),
            ({"name": "a/b", "arm": {"effort": 4}}, 422, "name"),
        ]:
            answer = await client.post("/experiments", json=body)
            assert (answer.status_code, answer.json()["field"]) == (status, name), answer.text
        assert await ok(client.get("/experiments")) == {"experiments": [], "defaults": {}}
        arm = {"policy": "diverse", "duplicate_bits": 12}
        begun = await ok(client.post("/experiments", json={"name": "diverse", "arm": arm, "share": 100}))
        assert (begun["state"], begun["arms"]) == ("running", {"control": {}, "candidate": arm})
        assert begun["allowed"] == ["promote", "stop"]
        for step, asked in (
            ("canary", {"share": 5}),
            ("canary", {"share": 5, "force": True}),
            ("retire", {"yes": True}),
        ):
            other = await client.post(f"/rollouts/{begun['id']}/{step}", json=asked)
            assert (other.status_code, other.json()["kind"], other.json()["field"]) == (409, "wrong_state", "state")
        kept = await ok(client.get("/experiments/diverse"))
        assert (kept["share"], kept["changed_at_ms"]) == (100, begun["changed_at_ms"])
        second = await client.post("/rollouts", json={"model": B})
        assert (second.status_code, second.json()["field"]) == (409, "rollout")
        assert "Experiment diverse runs" in second.json()["detail"]
        assert (await ok(client.get("/rollouts")))["rollouts"] == []
        body = {"image_id": 1, "k": 3, "explain": True}

        async def searched_by(policy: str) -> bool:
            return bool((await ok(client.post("/search", json=body)))["explain"]["policy"] == policy)

        await eventually(lambda: searched_by("diverse@2"), 300)
        assert (await ok(client.post("/search", json=body)))["variant"] == {"rollout": begun["id"], "arm": "candidate"}
        bad = await client.post("/experiments/diverse/promote", json={"arm": "third"})
        assert (bad.status_code, bad.json()["field"]) == (422, "arm")
        promoted = await ok(client.post("/experiments/diverse/promote", json={"arm": "candidate", "reason": "better"}))
        assert (promoted["state"], promoted["allowed"]) == ("promoted", ["stop"])
        assert (await ok(client.get("/experiments")))["defaults"] == arm
        again = {"name": "again", "arm": arm}
        assert (await client.post("/experiments", json=again)).json()["field"] == "arm", "as every search does"
    async with folder.up() as client:

        async def answers() -> bool:
            found = await ok(client.post("/search", json={"image_id": 1, "k": 3, "explain": True}))
            return bool(found["explain"]["policy"] == "diverse@2" and "variant" not in found)

        await eventually(answers, 300)
        stopped = await ok(client.post("/experiments/diverse/stop", json={"reason": "not after all"}))
        assert (stopped["state"], stopped["allowed"]) == ("stopped", [])
        assert [one["step"] for one in stopped["audit"]] == ["start", "promote", "rollback"]
        refused = await client.post("/experiments/diverse/promote")
        assert (refused.status_code, refused.json()["kind"]) == (409, "wrong_state")
        assert (await client.post("/experiments/none/stop")).status_code == 404


async def test_shards_are_changed_without_embedding_anything(folder: Folder) -> None:
    async with folder.up() as client:
        receipts = [(await upload(client, seed))["receipt"] for seed in range(8)]
        (old,) = (await ok(client.get("/indexes")))["indexes"]
        assert len(await ids_in(client, old["id"], receipts)) == 8
        before = _embedded(await client.get("/metrics"))
        begun = await ok(client.post("/rollouts", json={"index": "wide.2", "shards": 2}))
        assert begun["figures"]["preflight"]["embedded"] == 0
        await reaches(client, begun["id"], "shadow")
        await ok(client.post(f"/rollouts/{begun['id']}/canary", json={"share": 100, "force": True}))
        await ok(client.post(f"/rollouts/{begun['id']}/promote"))

        async def answers() -> bool:
            return bool((await ok(client.post("/search", json={"image_id": 1, "k": 3})))["index"] == "wide.2")

        await eventually(answers, 300)
        assert len(await ids_in(client, "wide.2", receipts)) == 8
        assert _embedded(await client.get("/metrics")) == before


def _embedded(metrics: httpx.Response) -> list[str]:
    return [line for line in metrics.text.splitlines() if line.startswith("omma_embed_items_total")]


def damaged(models: Path) -> str:
    """A model of the registry whose file is not its checksum's."""
    entry = models / "tiny" / "3.0.0"
    shutil.copytree(models / "tiny" / "2.0.0", entry)
    manifest = entry / "manifest.json"
    manifest.write_text(manifest.read_text().replace("2.0.0", "3.0.0"))
    with (entry / "image.onnx").open("ab") as file:
        file.write(b"\0")
    return "tiny@3.0.0"


async def test_what_cannot_be_rolled_out_is_refused_and_changes_nothing(folder: Folder) -> None:
    async with folder.up() as client:
        await upload(client, 1)
        before = ((await client.get("/indexes")).json(), (await client.get("/spaces")).json())
        for body, status, name in [
            ({}, 422, "model"),
            ({"model": A}, 409, "model"),
            ({"model": "nobody@1.0.0"}, 404, "model"),
            ({"model": damaged(folder.path / "models")}, 409, "model"),
            ({"model": B, "shards": 2}, 422, "model"),
            ({"shards": 2}, 422, "index"),
            ({"index": "a/b", "shards": 2}, 422, "index"),
            ({"index": "x", "shards": 0}, 422, "shards"),
            ({"index": "x", "shards": 257}, 422, "shards"),
            ({"index": "x", "shards": 1}, 422, "index"),
            ({"index": "x", "factory": "Flat"}, 422, "factory"),
            ({"index": "x", "factory": "OPQ4_8,IVF{nlist},PQ8x8"}, 422, "factory"),
            ({"index": before[0]["indexes"][0]["id"], "codebook": "retrain"}, 409, "index"),
            ({"model": B, "mode": "mixed"}, 422, "mode"),
            ({"model": B, "speed": 1}, 422, "speed"),
        ]:
            answer = await client.post("/rollouts", json=body)
            assert (answer.status_code, answer.json().get("field")) == (status, name), answer.text
        assert ((await client.get("/indexes")).json(), (await client.get("/spaces")).json()) == before
        rollout = (await ok(client.post("/rollouts", json={"model": B})))["id"]
        await ok(client.post(f"/rollouts/{rollout}/pause", json={}))
        for path, sent, status, name in [
            ("promote", {}, 409, "state"),
            ("rollback", {}, 409, "state"),
            ("retire", {"yes": True}, 409, "state"),
            ("canary", {"share": 5}, 409, "state"),
            ("canary", {"share": 0}, 422, "share"),
            ("canary", {"share": 101}, 422, "share"),
            ("canary", {"share": "NaN"}, 422, "share"),
            ("canary", {}, 422, "share"),
            ("pause", {"reason": "x" * 1_001}, 422, "reason"),
        ]:
            answer = await client.post(f"/rollouts/{rollout}/{path}", json=sent)
            assert (answer.status_code, answer.json().get("field")) == (status, name), answer.text
        second = await client.post("/rollouts", json={"index": "x", "shards": 2})
        assert (second.status_code, second.json()["field"]) == (409, "rollout")
        assert (await client.post("/rollouts/none/promote", json={})).status_code == 404
        shown = await ok(client.get(f"/rollouts/{rollout}"))
        assert (shown["state"], shown["allowed"]) == ("paused", ["resume", "abort"])
        await ok(client.post(f"/rollouts/{rollout}/abort", json={}))
