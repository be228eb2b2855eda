"""How pictures come, what is said of them, and how they go."""

from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.e2e.contract_world import FORMATS, PICTURES, World
from tests.pictures import encoded, scene

pytestmark = pytest.mark.timeout(600)


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
        assert made["results"][0]["id"] == world.ids[2] and made["results"][0]["score"] > 0.85, format
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
