"""What can be looked for, of what, and what an answer may be asked."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from omma.buckets import bucket_of
from omma.identity import ImageId
from tests.e2e.contract_world import ANSWER, HIT, PICTURES, WEB_HOST, World, left_out
from tests.hostile_web import HostileWeb, hostile_web
from tests.pictures import encoded, oriented, scene

pytestmark = pytest.mark.timeout(600)


def test_arithmetic() -> None:
    assert [bucket_of(ImageId(id), 256) for id in (1, 2, 123)] == [229, 138, 196]


def test_what_can_be_looked_for(world: World) -> None:
    ids = world.ids
    picture = {"image": encoded(scene(seed=3))}
    by_file = world.ok("POST", "/search", files=picture, data={"timeout_ms": 30_000})
    assert by_file.keys() >= ANSWER and by_file["results"][0]["id"] == ids[3]
    assert all(hit.keys() >= HIT for hit in by_file["results"])
    assert by_file["coverage"].keys() == {"fraction", "shards_answered", "shards_total"}
    assert by_file["coverage"]["fraction"] == 1 and not left_out(by_file)
    scores = [hit["score"] for hit in by_file["results"]]
    assert scores == sorted(scores, reverse=True) and scores[-1] >= -1 and scores[0] <= 1.001
    by_id = world.search(image_id=ids[3])
    assert ids[3] not in [hit["id"] for hit in by_id["results"]]
    by_words = world.ok("GET", "/search", params={"text": "lamp", "timeout_ms": 30_000})
    assert by_words["results"] and by_words["space"] == by_id["space"]
    made = world.ok("POST", "/embed/image", files=picture)
    by_vector = world.search(vector=made["vector"], space=made["space"])
    assert by_vector["results"][0]["id"] == ids[3]
    words = world.ok("POST", "/embed/text", json={"text": "lamp"})
    assert len(words["vector"]) == len(made["vector"]) and words["space"] == made["space"]
    mixed = {"timeout_ms": 30_000, "text": "lamp", "image_weight": 1, "text_weight": -0.2}
    assert world.ok("POST", "/search", files=picture, data=mixed)["results"]
    queries = [
        {"image_id": ids[0], "weight": 2, "bbox": [0, 0, 160, 100]},
        {"text": "lamp", "weight": -0.5},
        {"vector": made["vector"], "weight": 1},
    ]
    assert world.search(queries=queries, space=made["space"])["results"]
    batch = world.ok("POST", "/search/batch", json={"searches": [{"image_id": ids[0], "timeout_ms": 30_000}] * 64})
    assert len(batch["answers"]) == 64
    world.refused(422, "searches", "POST", "/search/batch", json={"searches": [{"image_id": ids[0]}] * 65})
    told = world.refused(422, "space", "POST", "/search", json={"vector": made["vector"]})
    assert told["kind"]
    for url in ("http://127.0.0.1/a.jpg", "http://[::1]/a.jpg", "http://169.254.169.254/a", "http://10.0.0.1/a"):
        world.refused(403, "image_url", "POST", "/search", json={"image_url": url})


@pytest.fixture(scope="module")
def web() -> Iterator[HostileWeb]:
    with hostile_web(lambda seed: encoded(scene(seed=seed)), WEB_HOST) as running:
        yield running


def test_a_picture_of_the_web_is_looked_for(world: World, web: HostileWeb) -> None:
    url = f"{web.url}/good/3"
    by_url = world.search(image_url=url)["results"]
    by_file = world.ok("POST", "/search", files={"image": encoded(scene(seed=3))}, data={"timeout_ms": 30_000})
    assert by_url[0]["id"] == world.ids[3] and by_url == by_file["results"]
    half = {"bbox": "0,0,0.5,0.5", "bbox_unit": "fraction", "near_duplicates": "keep"}
    of_url = [hit for hit in world.search(image_url=url, **half)["results"] if hit["id"] != world.ids[3]]
    of_stored = world.search(image_id=world.ids[3], **half)["results"]
    scores = [{hit["id"]: hit["score"] for hit in results} for results in (of_url, of_stored)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)
    assert world.search(queries=[{"image_url": url, "weight": 2}, {"text": "lamp", "weight": -0.5}])["results"]
    world.refused(403, "image_url", "POST", "/search", json={"image_url": f"{web.url}/inside/0"})


def test_a_box_is_of_the_upright_picture(world: World) -> None:
    ids = world.ids
    pixels = world.search(image_id=ids[0], bbox="0,0,160,100")
    fraction = world.search(image_id=ids[0], bbox="0,0,0.5,0.5", bbox_unit="fraction")
    scores = [[hit["score"] for hit in one["results"]] for one in (pixels, fraction)]
    assert np.allclose(*scores, atol=1e-3)
    clipped = world.search(image_id=ids[0], bbox="0,0,99999,99999")
    assert clipped["results"]
    world.refused(422, "bbox", "POST", "/search", json={"image_id": ids[0], "bbox": "5000,5000,6000,6000"})
    world.refused(422, "bbox", "POST", "/search", json={"image_id": ids[0], "bbox": "5,5,5,5"})
    stored = [oriented(scene(seed=0), orientation, "PNG") for orientation in (1, 6)]
    asked = {"bbox": "20,10,300,120", "timeout_ms": 30_000, "near_duplicates": "keep"}
    upright, turned = (world.ok("POST", "/search", files={"image": one}, data=asked)["results"] for one in stored)
    assert [(hit["id"], hit["score"]) for hit in upright] == [(hit["id"], hit["score"]) for hit in turned]


def test_k_and_cursors(world: World) -> None:
    asked = {"image_id": world.ids[0], "near_duplicates": "keep"}
    seen: list[int] = []
    page = world.search(**asked, k=3)
    while True:
        seen += [hit["id"] for hit in page["results"]]
        if "next_cursor" not in page:
            break
        page = world.search(**asked, k=3, cursor=page["next_cursor"])
    whole = world.search(**asked, k=1000)
    assert seen == [hit["id"] for hit in whole["results"]] and len(seen) == PICTURES - 1
    first = world.search(**asked, k=3)
    other = {"image_id": world.ids[1], "near_duplicates": "keep", "k": 3, "cursor": first["next_cursor"]}
    world.refused(422, "cursor", "POST", "/search", json=other)
    listed: list[int] = []
    following: dict[str, Any] = {"limit": 3, "filter": '{"tags": "scene"}'}
    while True:
        some = world.ok("GET", "/images", params=following)
        listed += [one["id"] for one in some["images"]]
        if "next_cursor" not in some:
            break
        following["cursor"] = some["next_cursor"]
    assert sorted(listed) == sorted(world.ids)
    for k in (0, 1001):
        world.refused(422, "k", "POST", "/search", json={**asked, "k": k})


FILTERS: list[tuple[Any, set[int]]] = [
    ({"owner": "ann"}, {1, 3, 5, 7}),
    ({"tags": "even"}, {0, 2, 4, 6}),
    ({"tags": {"in": ["even", "odd"]}}, set(range(8))),
    ({"source": "none"}, set()),
    ({"source_domain": "shop.example"}, set(range(8))),
    ({"attributes.price": {"gte": 2, "lt": 5}}, {2, 3, 4}),
    ({"attributes.price": {"gt": 2, "lte": 5}}, {3, 4, 5}),
    ({"width": 320, "height": {"lte": 200}}, set(range(8))),
    ({"created_at": {"gte": "2020-01-01T00:00:00Z"}}, set(range(8))),
    ({"and": [{"owner": "ann"}, {"not": {"attributes.price": 3}}]}, {1, 5, 7}),
    ({"or": [{"attributes.price": 0}, {"attributes.price": 7}]}, {0, 7}),
]


@pytest.mark.parametrize(("filter", "seeds"), FILTERS, ids=[json.dumps(one) for one, _ in FILTERS])
def test_filters(world: World, filter: Any, seeds: set[int]) -> None:
    picture = {"image": encoded(scene(seed=99))}
    data = {"filter": json.dumps(filter), "near_duplicates": "keep", "timeout_ms": 30_000}
    found = world.ok("POST", "/search", files=picture, data=data)
    wanted = {world.ids[seed] for seed in seeds}
    assert {hit["id"] for hit in found["results"]} == wanted
    listed = world.ok("GET", "/images", params={"filter": json.dumps(filter), "limit": 100})
    assert wanted <= {one["id"] for one in listed["images"]} and listed["count"] == len(listed["images"])


def test_filters_are_bounded(world: World) -> None:
    deep: Any = {"owner": "ann"}
    for _ in range(8):
        deep = {"not": deep}
    for bad in ({"or": [{"owner": "ann"}] * 65}, deep, {"nothing": 1}, {}, [1]):
        world.refused(422, "filter", "POST", "/search", json={"image_id": world.ids[0], "filter": bad})


def test_what_an_answer_may_be_asked(world: World) -> None:
    ids = world.ids
    asked = {"image_id": ids[0], "near_duplicates": "keep"}
    best = world.search(**asked)["results"]
    cut = (best[1]["score"] + best[2]["score"]) / 2
    assert len(world.search(**asked, score_threshold=cut)["results"]) == 2
    assert not left_out(world.search(image_id=ids[0], score_threshold="auto"))
    copy = world.ok("POST", "/images", 201, files={"image": encoded(scene(seed=1), quality=60)})
    found = {}
    for mode in ("", "collapse", "drop", "keep"):
        told = {"near_duplicates": mode} if mode else {}
        found[mode] = world.search(image_id=ids[0], receipts=[copy["receipt"]], k=50, **told)
        assert not left_out(found[mode])
    several = {ids[1], copy["id"]}
    groups = [{hit["id"], *(one["id"] for one in hit.get("duplicates", ()))} for hit in found["collapse"]["results"]]
    assert several in groups and found[""]["results"] == found["collapse"]["results"]
    shown = {mode: several & {hit["id"] for hit in found[mode]["results"]} for mode in ("drop", "keep")}
    assert len(shown["drop"]) == 1 and shown["keep"] == several
    assert not any("duplicates" in hit for mode in ("drop", "keep") for hit in found[mode]["results"])
    gone = world.rest.delete(f"/images/{copy['id']}").headers["omma-receipt"]
    world.search(image_id=ids[0], receipts=[gone])
    gated = world.search(**asked, phash_gate=64)["results"]
    assert len(gated) == PICTURES - 1 and all("phash_distance" in hit for hit in gated)
    crops = world.search(**asked, use_crops=True)["results"]
    assert all(len(hit["bbox"]) == 4 for hit in crops)
    for policy in ("", "diverse"):
        assert world.search(image_id=ids[0], policy=policy)["results"]
    told = world.search(**asked, explain=True, effort=10, exact=True)
    assert {"stages_us", "replicas"} & set(told["explain"]) or told["explain"], told["explain"]
    index = told["index"]
    assert world.search(**asked, index=index)["index"] == index
    world.refused(404, "index", "POST", "/search", json={**asked, "index": "nowhere"})
    world.refused(404, "image_id", "POST", "/search", json={"image_id": 10**15})
    for name, bad in [("effort", 11), ("min_coverage", 2), ("timeout_ms", 0), ("phash_gate", 65), ("policy", "no")]:
        world.refused(422, name, "POST", "/search", json={**asked, name: bad})
    assert world.search(**asked, min_coverage=1, receipts=world.receipts)["results"]
