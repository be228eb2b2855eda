"""Bad input over REST: a clear 4xx, the field named, nothing changed, the process lives."""

import asyncio
import json
from typing import Any

import pytest

from tests.e2e.bad_input import BAD_PICTURES, GOOD, NESTED, Server, assert_problem, server, unharmed
from tests.pictures import encoded, scene

__all__ = ["server", "unharmed"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAD_FIELDS: dict[str, tuple[dict[str, Any], int, str]] = {
    "bbox outside": ({"bbox": "900,900,950,950"}, 422, "bbox"),
    "bbox of no area": ({"bbox": "10,10,10,40"}, 422, "bbox"),
    "bbox reversed": ({"bbox": "100,100,20,20"}, 422, "bbox"),
    "bbox with NaN": ({"bbox": "nan,0,10,10"}, 422, "bbox"),
    "bbox with infinity": ({"bbox": "0,0,inf,10"}, 422, "bbox"),
    "bbox of three": ({"bbox": "1,2,3"}, 422, "bbox"),
    "bbox of words": ({"bbox": "a,b,c,d"}, 422, "bbox"),
    "bbox unit": ({"bbox": "0,0,1,1", "bbox_unit": "miles"}, 422, "bbox_unit"),
    "k of 0": ({"k": "0"}, 422, "k"),
    "k of -1": ({"k": "-1"}, 422, "k"),
    "k of a milliard": ({"k": "1000000000"}, 422, "k"),
    "k of words": ({"k": "many"}, 422, "k"),
    "filter that is no JSON": ({"filter": "{owner"}, 422, "filter"),
    "filter of no field": ({"filter": '{"colour":"red"}'}, 422, "filter"),
    "filter 1,000 deep": ({"filter": NESTED}, 422, "filter"),
    "filter of 200,000 characters": ({"filter": '{"owner":"' + "a" * 200_000 + '"}'}, 413, "filter"),
    "receipt that is none": ({"receipts": "yesterday"}, 422, "receipts"),
    "receipt of version 0": ({"receipts": "1@0"}, 422, "receipts"),
    "score threshold": ({"score_threshold": "nan"}, 422, "score_threshold"),
    "timeout": ({"timeout_ms": "0"}, 422, "timeout_ms"),
    "effort": ({"effort": "0"}, 422, "effort"),
    "coverage": ({"min_coverage": "2"}, 422, "min_coverage"),
    "gate": ({"phash_gate": "65"}, 422, "phash_gate"),
    "weight that is infinite": ({"image_weight": "inf"}, 422, "image_weight"),
    "weights that cancel out": ({"image_weight": "0"}, 422, "image_weight"),
    "policy": ({"policy": "nobody-made-this"}, 422, "policy"),
    "near duplicates": ({"near_duplicates": "hide"}, 422, "near_duplicates"),
    "index": ({"index": "another.1"}, 404, "index"),
    "cursor": ({"cursor": "made-up"}, 422, "cursor"),
    "a field twice": ({"k": ["1", "2"]}, 422, "k"),
    "an unknown field": ({"bbx": "0,0,1,1"}, 422, "bbx"),
}
BAD_JSON: dict[str, tuple[Any, int, str | None]] = {
    "nothing sought": ({"k": 3}, 422, "image"),
    "image_id absent": ({"image_id": 999_999}, 404, "image_id"),
    "image_id negative": ({"image_id": -1}, 422, "image_id"),
    "image_id beyond 64 bits": ({"image_id": 2**64}, 422, "image_id"),
    "image_id fraction": ({"image_id": 1.5}, 422, "image_id"),
    "text of 10 MB": ({"text": "a" * 10_000_000}, 413, None),
    "text of 2,001": ({"text": "a" * 2_001}, 413, "text"),
    "text with half a pair": ({"text": "\ud800"}, 422, "text"),
    "vector of another space": ({"vector": [1.0] * 256, "space": "clip-9-00000000"}, 409, "space"),
    "vector without a space": ({"vector": [1.0] * 256}, 422, "space"),
    "bbox of words": ({"text": "chair", "bbox": "0,0,9,9"}, 422, "bbox"),
    "gate without a picture": ({"text": "chair", "phash_gate": 3}, 422, "phash_gate"),
    "no object": ([1, 2], 422, None),
    "k that is a truth value": ({"image_id": 1, "k": True}, 422, "k"),
    "url on this machine": ({"image_url": "http://127.0.0.1:1/a.jpg"}, 403, "image_url"),
    "url of a file": ({"image_url": "file:///etc/passwd"}, 422, "image_url"),
}


@pytest.mark.parametrize("path", ["/search", "/images", "/embed/image"])
@pytest.mark.parametrize("name", BAD_PICTURES)
async def test_bad_pictures(server: Server, path: str, name: str) -> None:
    content, status, kind = BAD_PICTURES[name]
    answer = await server.rest.post(path, files={"image": ("a.jpg", content, "image/jpeg")})
    assert_problem(answer, status, "image", kind)


@pytest.mark.parametrize("name", BAD_FIELDS)
async def test_bad_search_fields(server: Server, name: str) -> None:
    fields, status, field = BAD_FIELDS[name]
    answer = await server.rest.post("/search", files={"image": ("a.jpg", GOOD)}, data=fields)
    assert_problem(answer, status, field)


@pytest.mark.parametrize("name", BAD_JSON)
async def test_bad_search_json(server: Server, name: str) -> None:
    body, status, field = BAD_JSON[name]
    content = json.dumps(body)
    answer = await server.rest.post("/search", content=content, headers={"content-type": "application/json"})
    assert_problem(answer, status, field)


async def test_a_vector_of_a_wrong_length_says_which_is_right(server: Server) -> None:
    model = (await server.rest.get("/stats")).json()["model"]
    space, dim = model["space"], model["dim"]
    answer = await server.rest.post("/search", json={"vector": [1.0, 2.0], "space": space})
    assert_problem(answer, 422, "vector")
    assert answer.json()["limit"] == dim
    zero = await server.rest.post("/search", json={"vector": [0.0] * dim, "space": space})
    assert_problem(zero, 422, "vector")


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b'{"text": "\xff\xfe"}', "application/json"),
        (b"{", "application/json"),
        (b"[" * 200_000, "application/json"),
        (b'{"k": NaN}', "application/json"),
        (b"text=%ff", "application/x-www-form-urlencoded"),
        (b"--b\r\nnonsense", "multipart/form-data; boundary=b"),
        (
            b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n\xff\xfe\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
        (b"--b", "multipart/form-data"),
        (b"", "multipart/form-data; boundary=b"),
        (b"", "application/json"),
        (b"a picture", "image/jpeg"),
        (b"", "text/plain"),
    ],
)
async def test_bad_bodies(server: Server, content: bytes, content_type: str) -> None:
    answer = await server.rest.post("/search", content=content, headers={"content-type": content_type})
    assert_problem(answer, 4)


async def test_an_empty_body_is_told_what_to_send(server: Server) -> None:
    assert_problem(await server.rest.post("/search"), 422, "image")
    assert_problem(await server.rest.post("/images"), 422, "image")


async def _raw_status(server: Server, head: str, megabytes: int) -> int:
    """The status that comes back after this head and so much of a picture, the rest unsent."""
    url = server.rest.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    writer.write(f"{head}Host: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n".encode())
    try:
        for chunk in [part, *[bytes(1_000_000)] * megabytes] if megabytes else []:
            writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            await writer.drain()
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()


@pytest.mark.parametrize("path", ["/search", "/images", "/embed/image"])
async def test_200_megabytes_are_refused_long_before_they_have_come(server: Server, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
    assert await _raw_status(server, head, megabytes=41) == 413


@pytest.mark.parametrize("path", ["/search", "/images", "/embed/image"])
async def test_200_megabytes_that_are_announced_are_refused_unread(server: Server, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nContent-Length: 200000000\r\n"
    assert await _raw_status(server, head, megabytes=0) == 413


async def test_who_sends_200_megabytes_all_the_same_is_told_why_they_are_refused(server: Server) -> None:
    answer = await server.rest.post("/images", files={"image": ("a.jpg", bytes(200_000_000))})
    assert_problem(answer, 413, "image", "too_large")
    assert answer.json()["limit"] == 40_000_000


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"tags": ",".join(map(str, range(257)))}, "tags"),
        ({"tags": "a" * 300}, "tags"),
        ({"attributes": "[1]"}, "attributes"),
        ({"attributes": "{"}, "attributes"),
        ({"attributes": '{"price": NaN}'}, "attributes"),
        ({"attributes": '{"nested": {"a": 1}}'}, "attributes"),
        ({"attributes": json.dumps({"a": "b" * 20_000})}, "attributes"),
        ({"external_id": "a" * 2_000}, "external_id"),
        ({"owner": "a\x00b"}, "owner"),
        ({"caption": "a cat"}, "caption"),
    ],
)
async def test_bad_descriptions(server: Server, fields: dict[str, str], field: str) -> None:
    other = encoded(scene(seed=9))
    assert_problem(await server.rest.post("/images", files={"image": ("a.jpg", other)}, data=fields), 4, field)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/images/999", None, 404),
        ("GET", "/images/0", None, 404),
        ("GET", "/images/abc", None, 422),
        ("GET", f"/images/{2**63}", None, 404),
        ("GET", "/images/999/content", None, 404),
        ("GET", "/images/999/thumbnail", None, 404),
        ("GET", "/images/999/neighbours", None, 404),
        ("GET", "/images?limit=0", None, 422),
        ("GET", "/images?cursor=made-up", None, 422),
        ("GET", "/images?filter={", None, 422),
        ("GET", "/images?fitler={}", None, 422),
        ("GET", "/search", None, 422),
        ("GET", "/nowhere", None, 404),
        ("PUT", "/search", None, 405),
        ("PATCH", "/images/999", {"tags": ["a"]}, 404),
        ("PATCH", "/images/1", {}, 422),
        ("PATCH", "/images/1", {"sha256": "0"}, 422),
        ("PATCH", "/images/1", {"tags": [1]}, 422),
        ("DELETE", "/images/999", None, 404),
        ("POST", "/click", {"displayed_image_id": 0, "rank": 1}, 422),
        ("POST", "/click", {"displayed_image_id": "x", "rank": 1}, 422),
        ("POST", "/click", {"displayed_image_id": 1, "rank": -1}, 422),
        ("POST", "/click", {"displayed_image_id": 1}, 422),
        ("POST", "/search/batch", {"searches": []}, 422),
        ("POST", "/search/batch", {"searches": [{"image_id": 1}] * 65}, 422),
        ("POST", "/embed/text", {"text": ""}, 422),
    ],
)
async def test_bad_calls(server: Server, method: str, path: str, body: Any, status: int) -> None:
    assert_problem(await server.rest.request(method, path, json=body), status)


async def test_metrics_name_templates_never_what_was_asked(server: Server) -> None:
    await server.rest.get("/images/424242")
    await server.rest.get("/nowhere/secret")
    told = (await server.rest.get("/metrics")).text
    assert 'omma_http_request_seconds_count{method="GET",route="/images/{image_id}",status="404"}' in told
    assert "424242" not in told
    assert "nowhere" not in told


async def test_a_request_id_that_cannot_be_printed_is_replaced(server: Server) -> None:
    answer = await server.rest.get("/nowhere", headers={"x-request-id": "a b" * 100})
    assert_problem(answer, 404)
    kept = await server.rest.get("/nowhere", headers={"x-request-id": "abc-1"})
    assert kept.json()["request_id"] == "abc-1"
