"""What outsiders rely on, line by line, on both sets of parts: one process, and a cluster of real parts."""

import json
from pathlib import Path
from random import Random
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from omma import Client
from omma.buckets import bucket_of
from omma.identity import ImageId
from omma.v1 import search_pb2, search_pb2_grpc
from services.standalone.sample.catalogue import COLOURS, samples
from tests.e2e.contract_world import ANSWER, FORMATS, HIT, PICTURES, World, left_out, world
from tests.pictures import encoded, oriented, scene

pytestmark = pytest.mark.timeout(600)
__all__ = ["world"]


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


def test_the_life_of_a_picture(world: World) -> None:
    content = encoded(scene(seed=50))
    sent = {"files": {"image": content}, "data": {"external_id": "life", "tags": "a,b", "attributes": '{"x": 1}'}}
    made = world.ok("POST", "/images", 201, **sent)
    again = world.ok("POST", "/images", 200, **sent)
    assert (again["id"], again["duplicate"]) == (made["id"], True)
    path = f"/images/{made['id']}"
    patched = world.rest.patch(path, json={"tags": ["c"], "attributes": {"x": 2}, "owner": "eve"})
    assert patched.status_code == 200 and patched.headers["omma-receipt"]
    row = world.ok("GET", path)
    assert (row["tags"], row["attributes"], row["owner"]) == (["c"], {"x": 2}, "eve")
    found = world.search(
        image_id=made["id"] * 0 + world.ids[0], filter={"owner": "eve"}, receipts=[patched.headers["omma-receipt"]]
    )
    assert [hit["id"] for hit in found["results"]] == [made["id"]] and found["results"][0]["tags"] == ["c"]
    whole = world.rest.get(row["content_url"])
    assert whole.content == content and whole.headers["etag"] and "immutable" in whole.headers["cache-control"]
    assert world.rest.get(path + "/content", headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    small = world.rest.get(row["thumbnail_url"])
    assert small.headers["content-type"] == "image/webp" and "immutable" in small.headers["cache-control"]
    assert small.content[8:12] == b"WEBP"
    assert world.ok("GET", path + "/neighbours", params={"timeout_ms": 30_000})["results"]
    page = world.ok("GET", "/images", params={"limit": 2})
    assert len(page["images"]) == 2 and page["count"] >= PICTURES and page["next_cursor"]
    newest = world.ok("GET", "/images", params={"limit": 1000, "order": "newest"})["images"]
    assert [one["id"] for one in newest] == sorted((one["id"] for one in newest), reverse=True)
    world.refused(422, "order", "GET", "/images", params={"order": "best"})
    gone = world.rest.delete(path)
    assert gone.status_code == 204 and gone.headers["omma-receipt"]
    asked = {"filter": {"owner": "eve"}, "image_id": world.ids[0]}
    assert world.search(**asked, receipts=[gone.headers["omma-receipt"]])["results"] == []
    world.refused(404, "id", "GET", path)
    back = world.rest.post(path + "/restore")
    assert back.status_code == 200 and back.headers["omma-receipt"]
    assert len(world.search(**asked, receipts=[back.headers["omma-receipt"]])["results"]) == 1
    world.rest.delete(path)
    world.refused(404, "id", "POST", f"/images/{10**15}/restore")


def test_formats_and_bounds(world: World) -> None:
    for format in FORMATS:
        made = world.ok("POST", "/search", files={"image": encoded(scene(seed=2), format)}, data={"timeout_ms": 30_000})
        assert made["results"][0]["id"] == world.ids[2] and made["results"][0]["score"] > 0.9, format
    world.refused(422, "image", "POST", "/images", files={"image": b"\xff\xd8\xff nothing"})
    world.refused(415, "image", "POST", "/images", files={"image": b"%PDF-1.4 nothing"})
    good = {"image": encoded(scene(seed=60))}
    many = {"tags": [f"t{number}" for number in range(257)]}
    world.refused(422, "tags", "POST", "/images", files=good, data=many)
    world.refused(413, "text", "POST", "/search", json={"text": "x" * 2_001})
    world.refused(413, "filter", "POST", "/search", json={"text": "x", "filter": {"owner": "x" * 100_000}})
    world.refused(413, "image", "POST", "/images", files={"image": bytes(41 << 20)})
    world.refused(422, "attributes", "POST", "/images", files=good, data={"attributes": "{"})


def test_bulk(world: World, tmp_path: Path) -> None:
    content = encoded(scene(seed=70))
    presigned = world.ok("POST", "/images/presign", 200, json={"bytes": len(content), "content_type": "image/jpeg"})
    put = httpx.request(
        presigned.get("method", "PUT"), presigned["url"], content=content, headers=presigned.get("headers", {})
    )
    assert put.is_success, put.text
    told = world.ok(
        "POST", "/images/ingest", 202, json={"uploads": [{"upload": presigned["upload"], "external_id": "pre"}]}
    )
    assert world.job(told["job_id"])["state"] == "done"
    urls = world.ok("POST", "/ingest", 202, json={"urls": ["http://127.0.0.1:1/a.jpg"]})
    ended = world.job(urls["job_id"])
    named = world.ok("GET", f"/jobs/{urls['job_id']}/downloads")
    assert ended["state"] in ("done", "failed") and named["downloads"][0]["outcome"] == "private_address", named
    dim = len(world.ok("POST", "/embed/text", json={"text": "lamp"})["vector"])
    space = world.search(image_id=world.ids[0])["space"]
    vector = np.random.default_rng(1).standard_normal(dim).tolist()
    body = {"space": space, "vectors": [{"id": "own", "vector": vector}]}
    for path in ("/ingest", "/vectors"):
        given = world.ok("POST", path, 202, json=body)
        assert world.job(given["job_id"])["state"] == "done"
    listed = world.until(
        lambda: [hit for hit in world.search(vector=vector, space=space, k=1)["results"] if hit["score"] > 0.99]
    )
    world.rest.delete(f"/images/{listed[0]['id']}")
    assert world.ok("DELETE", f"/jobs/{given['job_id']}")["state"] == "done"


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


def test_what_operators_ask(world: World) -> None:
    assert world.ok("GET", "/health")["ok"] is True
    for path in ("/healthz", "/readyz", "/docs"):
        assert world.rest.get(path).status_code == 200
    assert "omma_" in world.rest.get("/metrics").text
    assert world.ok("GET", "/openapi.json")["paths"]
    assert world.ok("GET", "/indexes")["indexes"] and world.ok("GET", "/spaces")["spaces"]
    world.refused(404, "", "GET", "/nowhere")
    world.refused(405, "", "DELETE", "/search")


def test_grpc(world: World) -> None:
    with grpc.insecure_channel(world.grpc) as channel:
        healthy = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert healthy.status == health_pb2.HealthCheckResponse.SERVING
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        (said,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(asked, timeout=30)
        names = {one.name for one in said.list_services_response.service}
        assert "omma.v1.SearchService" in names
        stub = search_pb2_grpc.SearchServiceStub(channel)
        query = search_pb2.SearchQuery(image_id=world.ids[0])
        request = search_pb2.SearchRequest(queries=[query], k=3, timeout_ms=30_000)
        found = stub.Search(request, timeout=60)
        assert len(found.results) == 3 and found.next_cursor
        request.cursor = found.next_cursor
        following = stub.Search(request, timeout=60)
        assert not {hit.id for hit in following.results} & {hit.id for hit in found.results}
        upserted = stub.Upsert(search_pb2.UpsertRequest(image=encoded(scene(seed=80)), external_id="rpc"), timeout=60)
        assert stub.Get(search_pb2.GetRequest(id=upserted.id), timeout=60).picture.key == "rpc"
        assert stub.Delete(search_pb2.DeleteRequest(id=upserted.id), timeout=60).receipt
        with pytest.raises(grpc.RpcError) as absent:
            stub.Get(search_pb2.GetRequest(id=10**15), timeout=60)
        assert absent.value.code() is grpc.StatusCode.NOT_FOUND


def test_the_sdk_and_the_commands(world: World, tmp_path: Path) -> None:
    with Client(world.url) as client:
        assert client.search(image_id=world.ids[0], k=2, timeout_ms=30_000)
    (tmp_path / "in").mkdir()
    for seed in (90, 91):
        (tmp_path / "in" / f"{seed}.jpg").write_bytes(encoded(scene(seed=seed)))
    lines = [{"path": str(tmp_path / "in" / "90.jpg"), "external_id": "line", "tags": ["l"], "owner": "eve"}]
    (tmp_path / "some.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    picture = str(tmp_path / "in" / "90.jpg")
    listed = world.omma("ingest", str(tmp_path / "some.jsonl"), "--json")
    if world.reads_folders:
        assert listed.returncode == 0, listed.stderr
    else:
        assert listed.returncode == 2 and "OMMA_GATEWAY__INGEST_FOLDERS" in listed.stderr
    for arguments in [
        ("search", picture, "-k", "2", "--bbox", "0,0,100,100", "--filter", '{"owner": "eve"}', "--json"),
        ("search", "--text", "lamp", "--json"),
        ("search", picture, "--html", str(tmp_path / "sheet.html")),
        ("trace", str(world.ids[0]), "--json"),
        ("dead-letters", "list", "--json"),
        ("index", "list", "--json"),
        ("space", "list", "--json"),
        ("verify", "--json"),
        ("doctor", "--json"),
        ("plan", "--pictures", "1000000", "--qps", "50", "--recall", "0.95", "--json"),
        ("export", str(tmp_path / "out"), "--json"),
    ]:
        done = world.omma(*arguments)
        assert done.returncode == 0, (arguments, done.stdout[-800:], done.stderr[-800:])
        if "--json" in arguments:
            assert [json.loads(line) for line in done.stdout.splitlines() if line], arguments
    assert (tmp_path / "out" / "metadata.jsonl").exists() and (tmp_path / "sheet.html").exists()


PRIVATE = 900
"""The seed of the picture that is private."""


@pytest.fixture(scope="module")
def people(world: World) -> dict[str, str]:
    """Their keys by name. From then on nobody is let in without one: what asks for it comes last in this file."""
    made: dict[str, Any] = {}
    for name, role in (("chief", "admin"), ("ann", "write"), ("bob", "write"), ("reader", "read")):
        headers = {"authorization": f"Bearer {made['chief']['secret']}"} if made else {}
        made[name] = world.ok("POST", "/keys", 201, json={"name": name, "role": role}, headers=headers)
    world.until(lambda: all(_as(world, one["secret"], "GET", "/images").is_success for one in made.values()))
    return {name: one["secret"] for name, one in made.items()}


def _as(world: World, secret: str, method: str, path: str, **sent: Any) -> httpx.Response:
    return world.rest.request(method, path, headers={"authorization": f"Bearer {secret}"}, **sent)


def test_a_private_picture_is_its_owners_and_the_administrators(
    world: World, people: dict[str, str], tmp_path: Path
) -> None:
    """At one entrance of each kind; test_private.py walks through every one."""
    picture = encoded(scene(seed=PRIVATE))
    with Client(world.url, api_key=people["ann"]) as ann:
        made = ann.upload(picture, external_id="private", private=True)
        assert ann.get(made.id).private and ann.get(made.id).owner == "ann"
        (hit,) = ann.search(picture, k=1, receipts=[made.receipt], timeout_ms=60_000)
        assert hit.id == made.id

        def found() -> dict[str, set[bool]]:
            return {name: _finds(world, secret, made.id, picture) for name, secret in people.items()}

        seen = {"chief": {True}, "ann": {True}, "bob": {False}, "reader": {False}}
        assert found() == seen
        receipt = ann.patch(made.id, private=False)
        ann.search(picture, k=1, receipts=[receipt], timeout_ms=60_000)
        assert found() == {name: {True} for name in people}
        receipt = ann.patch(made.id, private=True)
        ann.search(picture, k=1, receipts=[receipt], timeout_ms=60_000)
        assert found() == seen
        ann.delete(made.id)
    if world.reads_folders:
        (tmp_path / "one.jpg").write_bytes(encoded(scene(seed=PRIVATE + 1)))
        asked = ("ingest", str(tmp_path), "--owner", "ann", "--private", "--json")
        done = world.omma(*asked, key=people["chief"])
        assert done.returncode == 0, done.stderr
        everything = {"limit": 1000}
        counts = {
            name: _as(world, secret, "GET", "/images", params=everything).json() for name, secret in people.items()
        }
        rows = [one for one in counts["ann"]["images"] if one["uri"].endswith("/one.jpg")]
        assert [(one["owner"], one["private"]) for one in rows] == [("ann", True)]
        assert counts["bob"]["count"] == counts["ann"]["count"] - 1
        assert _as(world, people["ann"], "DELETE", f"/images/{rows[0]['id']}").is_success


def _finds(world: World, secret: str, hidden: int, picture: bytes) -> set[bool]:
    """Whether each of these shows it."""
    options = {"near_duplicates": "keep", "timeout_ms": 60_000, "k": 5}
    searched = _as(world, secret, "POST", "/search", files={"image": picture}, data=options).json()
    listed = _as(world, secret, "GET", "/images", params={"limit": 1000}).json()["images"]
    row = _as(world, secret, "GET", f"/images/{hidden}").status_code
    with grpc.insecure_channel(world.grpc) as channel:
        query = search_pb2.SearchQuery(image=picture)
        request = search_pb2.SearchRequest(queries=[query], k=5, timeout_ms=60_000)
        metadata = [("authorization", f"Bearer {secret}")]
        rpc = search_pb2_grpc.SearchServiceStub(channel).Search(request, timeout=90, metadata=metadata)
    return {
        hidden in [one["id"] for one in searched["results"]],
        hidden in [one["id"] for one in listed],
        row == 200,
        hidden in [one.id for one in rpc.results],
    }
