"""What people say of pictures, and what is found out about many of them."""

from random import Random
from typing import Any

import pytest

from services.standalone.sample.catalogue import COLOURS, samples
from tests.e2e.contract_world import PICTURES, World
from tests.pictures import encoded, scene

pytestmark = pytest.mark.timeout(600)


def test_people_and_curation(world: World) -> None:
    ids = world.ids
    query_id = world.search(image_id=ids[0])["query_id"]
    click = {"user_id": "u", "query_image_id": ids[0], "displayed_image_id": ids[1], "rank": 1}
    world.ok("POST", "/click", 204, json=click)
    world.ok("POST", "/click", 204, json={**click, "query_id": query_id})
    for action in ("relevant", "irrelevant", "duplicate", "different", "anomaly", "reviewed"):
        said = {"image_id": ids[1], "action": action, "note": "n", "query_image_id": ids[0]}
        world.ok("POST", "/feedback", 204, json=said)
    made = world.rest.post(
        "/search/cluster", json={"image_ids": ids, "limit": 100, "linkage": "average", "threshold": 0.5}
    )
    assert made.status_code in (200, 202), made.text
    clusters = (made.json() if made.status_code == 200 else world.job(made.json()["job_id"])["result"])["clusters"]
    assert sorted(id for one in clusters for id in one["ids"]) == sorted(ids)
    assert all(one["representative"] in one["ids"] for one in clusters)
    measured = world.ok("POST", "/qa/anomalies", 202)
    assert world.job(measured["job_id"])["state"] == "done"
    for by in ("distance", "density", "training"):
        found = world.ok("GET", "/qa/anomalies", params={"by": by, "limit": 3})
        assert found["images"] and {"id", "score", "reasons"} <= found["images"][0].keys()
    groups = world.ok("GET", "/duplicates")["groups"]
    assert all({"ids", "keep", "distances"} == one.keys() for one in groups)
    world.ok("POST", "/duplicates/merge", 204, json={"keep": ids[0], "ids": [ids[2]]})
    assert any({ids[0], ids[2]} <= set(one["ids"]) for one in world.ok("GET", "/duplicates")["groups"])
    world.ok("POST", "/duplicates/split", 204, json={"keep": ids[0], "ids": [ids[2]]})
    assert not any({ids[0], ids[2]} <= set(one["ids"]) for one in world.ok("GET", "/duplicates")["groups"])


def test_keywords_of_a_picture(world: World) -> None:
    """Of its neighbours' tags at once, of the text tower when the words are embedded."""
    picture = encoded(scene(seed=0))
    asked = {"files": {"image": picture}, "data": {"timeout_ms": 30_000, "near_duplicates": "keep"}}
    found = {one["keyword"]: one for one in world.ok("POST", "/search/similar", **asked)["keywords"]}
    assert found["scene"]["confidence"] > 0.8 and found["scene"]["from"] == ["neighbours"]

    def told() -> Any:
        keywords = world.ok("POST", "/search/similar", **asked)["keywords"]
        return [one for one in keywords if "words" in one["from"]]

    assert all(0 < one["confidence"] <= 1 for one in world.until(told))
    of_stored = world.ok("GET", f"/image/{world.ids[0]}")["keywords"]
    assert {teller for one in of_stored for teller in one["from"]} == {"neighbours", "words"}


def test_tags_that_nobody_gave_stand_apart_and_come_only_when_asked_for(world: World) -> None:
    path = f"/images/{world.ids[0]}"
    before = world.ok("GET", path)
    assert "auto_tags" not in before
    asked = {"words": ["clock", "balloon", "candle", "lamp", "bridge", "car"], "least_confidence": 0.2}
    told = world.job(world.ok("POST", "/qa/auto-tags", 202, json=asked)["job_id"])
    assert told["state"] == "done" and told["result"]["looked_at"] >= PICTURES, told
    tagged = world.ok("GET", path)
    scene_tag = next(one for one in tagged["auto_tags"] if one["tag"] == "scene")
    assert scene_tag["confidence"] > 0.8 and scene_tag["from"] == ["neighbours"]
    assert all(one["confidence"] >= 0.2 for one in tagged["auto_tags"])
    rows = [world.ok("GET", f"/images/{id}") for id in world.ids]
    words = [one for row in rows for one in row["auto_tags"] if one["from"] == ["words"]]
    assert words and {one["tag"] for one in words} <= set(asked["words"])
    assert {name: one for name, one in tagged.items() if name != "auto_tags"} == before
    world.ok("DELETE", "/qa/auto-tags", 204)
    assert world.ok("GET", path) == before


def test_a_cluster_without_tags_is_named_by_the_models_words(world: World) -> None:
    drawn = [one for one in samples(seed=7) if one.tags[1] == "umbrella"][:3]
    made = []
    for one in drawn:
        picture = encoded(one.draw(Random(one.seed), COLOURS[one.colour]).finished())
        made.append(world.ok("POST", "/images", 201, files={"image": picture}))
    ids = [one["id"] for one in made]
    receipts = [one["receipt"] for one in made]
    world.search(image_id=ids[0], receipts=receipts, timeout_ms=60_000)

    def named() -> Any:
        asked = {"image_ids": ids, "threshold": 0.0}
        answer = world.rest.post("/search/cluster", json=asked)
        told = answer.json() if answer.status_code == 200 else world.job(answer.json()["job_id"])["result"]
        return told["not_found"] == 0 and told["clusters"]

    (cluster,) = world.until(named)
    assert (set(cluster["ids"]), cluster["label"]) == (set(ids), "umbrella")
    for id in ids:
        world.ok("DELETE", f"/images/{id}", 204)
