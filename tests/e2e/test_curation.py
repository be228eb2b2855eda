"""Curation on a running Omma: feedback, from the page's call to what training and `omma eval` read."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from omma import AsyncClient
from omma.errors import Absent, InvalidQuery
from omma.trained_on import distances_to
from omma.vectors import normalise
from services.egs.registry import load_model
from services.standalone.cli import command_line
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.pictures import encoded, scene

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Collection:
    """A folder of pictures, ingested. ids: by file name."""

    url: str
    folder: Path
    ids: dict[str, int]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def collection(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Collection]:
    home = tmp_path_factory.mktemp("curation")
    folder = home / "pictures"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.jpg").write_bytes(encoded(scene(seed=number)))
    settings = StandaloneSettings(data_dir=home / "data", http_port=0, grpc_port=0)
    async with serving(settings) as (_, address), httpx.AsyncClient(base_url=address.url, timeout=60) as rest:
        job = (await rest.post("/images/ingest", json={"folder": str(folder)})).json()["job_id"]
        async with asyncio.timeout(60):
            while (await rest.get(f"/jobs/{job}")).json()["state"] != "done":  # noqa: ASYNC110  another task's work
                await asyncio.sleep(0.05)
        rows = (await rest.get("/images")).json()["images"]
        yield Collection(address.url, folder, {row["uri"].rpartition("/")[2]: row["id"] for row in rows})


async def omma(monkeypatch: pytest.MonkeyPatch, collection: Collection, *arguments: str) -> str:
    monkeypatch.setenv("OMMA_URL", collection.url)
    done = await asyncio.to_thread(CliRunner().invoke, command_line(), arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


async def test_what_people_say_becomes_judgments_and_pairs(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = collection.ids
    async with AsyncClient(collection.url) as client:
        answer = await client.search(image_id=ids["0.jpg"], near_duplicates="keep", timeout_ms=20_000)
        await client.feedback(ids["1.jpg"], "relevant", query_id=answer.query_id)
        await client.feedback(ids["2.jpg"], "relevant", query_image_id=ids["0.jpg"])
        await client.feedback(ids["2.jpg"], "irrelevant", query_image_id=ids["0.jpg"], note="another lamp")
        await client.feedback(ids["3.jpg"], "reviewed")
        with pytest.raises(Absent):
            await client.feedback(10**12, "relevant")
    async with httpx.AsyncClient(base_url=collection.url) as rest, asyncio.timeout(30):
        first: dict[str, str] = {}
        while "query_image_id" not in first:  # its impression is on its way through the log
            page = (await rest.get("/feedback", params={"limit": 3})).json()
            following = (await rest.get("/feedback", params={"limit": 3, "cursor": page["next_cursor"]})).json()
            [first] = following["feedback"]
    assert [one["action"] for one in page["feedback"]] == ["reviewed", "irrelevant", "relevant"]
    assert page["feedback"][1]["note"] == "another lamp" and "next_cursor" not in following
    assert first["query_image_id"] == ids["0.jpg"]

    await omma(monkeypatch, collection, "feedback", "judgments", str(tmp_path / "said.jsonl"))
    grades = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    assert [(one["picture"].rpartition("/")[2], one["grade"]) for one in grades] == [("1.jpg", 5), ("2.jpg", 0)]
    await omma(monkeypatch, collection, "feedback", "pairs", str(tmp_path / "p.csv"), "--root", str(collection.folder))
    rows = list(csv.reader((tmp_path / "p.csv").read_text().splitlines()))
    assert rows == [["first", "second", "source"], ["0.jpg", "1.jpg", "feedback"], ["0.jpg", "2.jpg", "apart"]]
    assert "another lamp" in await omma(monkeypatch, collection, "feedback", "list", "--json")
    evaluated = await omma(
        monkeypatch, collection, "eval", str(collection.folder), "--judgments", str(tmp_path / "said.jsonl"), "--json"
    )
    assert json.loads(evaluated)


async def test_pictures_in_clusters_at_once_or_as_a_job(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = sorted(collection.ids.values())
    async with httpx.AsyncClient(base_url=collection.url, timeout=60) as rest:
        asked = {"threshold": 1.0, "linkage": "average"}
        found = await rest.post("/search/cluster", json=asked, params={"wait_seconds": 60})
        assert found.status_code == 200, found.text
        alone = [{"ids": [id], "representative": id} for id in ids]
        told = found.json()
        assert [{name: one[name] for name in ("ids", "representative")} for one in told["clusters"]] == alone
        assert told["not_found"] == 0
        asked = {"image_ids": [*ids[:2], 10**12], "threshold": -1}
        some = (await rest.post("/search/cluster", json=asked, params={"wait_seconds": 60})).json()
        assert ([set(one["ids"]) for one in some["clusters"]], some["not_found"]) == ([set(ids[:2])], 1)
        later = await rest.post("/search/cluster", json={"filter": {"owner": "nobody"}}, params={"wait_seconds": 0})
        assert later.status_code in (200, 202)
        for bad, field in (
            ({"linkage": "single"}, "linkage"),
            ({"threshold": 2}, "threshold"),
            ({"limit": 10_001}, "limit"),
            ({"image_ids": [0]}, "image_ids"),
            ({"filter": {"nobody": 1}}, "filter"),
            ({"image_ids": ids, "filter": {"owner": "ann"}}, "filter"),
            ({"image_ids": ids, "filter": {}}, "filter"),
        ):
            refused = await rest.post("/search/cluster", json=bad)
            assert refused.status_code == 422 and refused.json()["field"].startswith(field), refused.text
    async with AsyncClient(collection.url) as client:
        with pytest.raises(InvalidQuery, match="either image_ids or filter") as refusal:
            await client.clusters(ids, filter={"owner": "ann"})
        assert refusal.value.field == "filter"
    monkeypatch.setenv("OMMA_URL", collection.url)
    both = ["clusters", str(ids[0]), "--filter", '{"owner": "ann"}']
    told = await asyncio.to_thread(CliRunner().invoke, command_line(), both)
    assert told.exit_code != 0 and "either image_ids or filter" in told.output
    for threshold in (0.0, -1.0):
        async with AsyncClient(collection.url) as client:
            by_sdk = await client.clusters(threshold=threshold)
        asked_for = ["clusters", "--json", "--threshold", str(threshold)]
        by_command = await asyncio.to_thread(CliRunner().invoke, command_line(), asked_for)
        assert len(json.loads(by_command.output)["clusters"]) == len(by_sdk["clusters"])


async def test_what_stands_apart_is_measured_and_listed(collection: Collection) -> None:
    async with (
        httpx.AsyncClient(base_url=collection.url, timeout=60) as rest,
        AsyncClient(collection.url) as client,
        asyncio.timeout(60),
    ):
        job = (await rest.post("/qa/anomalies")).json()["job_id"]
        while (told := (await rest.get(f"/jobs/{job}")).json())["state"] != "done":  # noqa: ASYNC110  another task's
            await asyncio.sleep(0.05)
        assert told["result"]["scored"] == len(collection.ids)
        expected = {}
        for id in collection.ids.values():
            nearest = await client.search(image_id=id, k=3, exact=True, near_duplicates="keep", timeout_ms=20_000)
            expected[id] = [1 - hit.score for hit in nearest]
        middles = load_model(StandaloneSettings().egs.models_dir, "omma-mini").trained_on()
        assert middles is not None
        wanted: dict[str, dict[int, float]] = {
            "distance": {id: far[0] for id, far in expected.items()},
            "density": {id: sum(far) / len(far) for id, far in expected.items()},
            "training": {},
        }
        for name, id in collection.ids.items():
            files = {"image": (collection.folder / name).read_bytes()}
            vector = np.array((await rest.post("/embed/image", files=files)).json()["vector"], np.float32)
            wanted["training"][id] = float(distances_to(normalise(middles), vector[np.newaxis])[0])
        for by, other in (("distance", "density"), ("density", "training"), ("training", "distance")):
            listed: list[dict[str, object]] = []
            cursor = ""
            while True:
                page = (await rest.get("/qa/anomalies", params={"by": by, "limit": 2, "cursor": cursor})).json()
                listed += page["images"]
                if (cursor := page.get("next_cursor", "")) == "":
                    break
                refused = await rest.get("/qa/anomalies", params={"by": other, "cursor": cursor})
                assert (refused.status_code, refused.json()["field"]) == (422, "cursor")
            scores = {one["id"]: one["score"] for one in listed}
            assert scores == pytest.approx(wanted[by], abs=2e-3)
            assert list(scores.values()) == sorted(scores.values(), reverse=True)
            assert all(len(one["reasons"]) == 3 for one in listed)  # type: ignore[arg-type]
        await client.feedback(int(str(listed[0]["id"])), "reviewed")
        left = (await rest.get("/qa/anomalies", params={"by": "training"})).json()["images"]
        assert [one["id"] for one in left] == [one["id"] for one in listed[1:]]
