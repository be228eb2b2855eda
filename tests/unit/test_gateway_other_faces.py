"""What other designs expect of HTTP: a prefix, gzip, pages of other origins that are named; keywords."""

import gzip
import json
import re
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from omma.hits import Payload
from omma.keywords import Teller, keywords_of, likely_words, tags_near
from omma.vectors import normalise
from services.gateway.rest.gzipped import Gzipped
from services.gateway.rest.similar import filename_of
from services.gateway.search.answer import SearchHit
from services.gateway.settings import GatewaySettings
from tests.unit.hollow_app import hollow_app

PAGE = "https://shop.example"


async def asked(settings: GatewaySettings, method: str, path: str, **headers: str) -> httpx.Response:
    """Of an app whose cores are never asked."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(hollow_app(settings)), base_url="http://127.0.0.1"
    ) as client:
        return await client.request(
            method, path, headers={name.replace("_", "-"): said for name, said in headers.items()}
        )


async def test_every_path_stands_under_the_prefix_too() -> None:
    for path in ("/healthz", "/api/healthz"):
        assert (await asked(GatewaySettings(), "GET", path)).json() == {"ok": True}
    for path in ("/api", "/api/api/healthz", "/apihealthz"):
        assert (await asked(GatewaySettings(), "GET", path)).status_code == 404


async def test_what_a_path_does_not_take_is_told_every_method_that_it_takes() -> None:
    app = hollow_app()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:

        async def allowed(path: str) -> list[str]:
            answer = await client.request("BREW", path)
            assert answer.status_code == 405, path
            return answer.headers["allow"].split(", ")

        for path, methods in app.openapi()["paths"].items():
            said = {method.upper() for method in methods}
            assert said <= set(await allowed(re.sub(r"\{\w+\}", "1", path))), path
        assert await allowed("/search") == ["GET", "HEAD", "POST"]
        assert await allowed("/api/images/1") == ["GET", "HEAD", "PATCH", "DELETE"]
        assert await allowed("/search/batch") == ["POST"]


async def test_pages_of_named_origins_may_ask_and_no_others() -> None:
    settings = GatewaySettings(cors_origins=(PAGE,))
    preflight = {"access_control_request_method": "POST", "access_control_request_headers": "authorization"}
    allowed = await asked(settings, "OPTIONS", "/search", origin=PAGE, **preflight)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "access-control-allow-credentials" not in allowed.headers
    answered = await asked(settings, "GET", "/healthz", origin=PAGE)
    assert (answered.status_code, answered.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "Omma-Receipt" in answered.headers["access-control-expose-headers"]
    for refused in (
        await asked(settings, "GET", "/healthz", origin="https://evil.example"),
        await asked(GatewaySettings(), "GET", "/healthz", origin=PAGE),
    ):
        assert refused.status_code == 403 and "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("origin", ["*", "shop.example", "https://shop.example/", "https://a b", "null", ""])
def test_what_is_no_origin_stops_the_start(origin: str) -> None:
    with pytest.raises(ValueError, match="an origin is"):
        GatewaySettings(cors_origins=(origin,))


@pytest.mark.parametrize(
    ("accepted", "size", "media_type", "zipped"),
    [
        ("gzip, deflate", 2_000, "application/json", True),
        ("br;q=1, gzip;q=0.5", 2_000, "application/problem+json", True),
        ("gzip;q=0", 2_000, "application/json", False),
        ("identity", 2_000, "application/json", False),
        ("gzip", 100, "application/json", False),
        ("gzip", 2_000, "image/webp", False),
    ],
)
async def test_long_json_is_zipped_for_who_takes_it(accepted: str, size: int, media_type: str, zipped: bool) -> None:
    body = json.dumps("x" * size).encode()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    transport = httpx.ASGITransport(Gzipped(app, least_bytes=1_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        answer = await client.get("/", headers={"accept-encoding": accepted})
    assert answer.content == body
    assert (answer.headers.get("content-encoding") == "gzip") is zipped
    expected = len(gzip.compress(body, 1, mtime=0)) if zipped else len(body)
    assert int(answer.headers["content-length"]) == expected


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
async def test_head_says_of_the_body_what_get_does(accepted: str) -> None:
    settings = GatewaySettings(gzip_bytes=20)
    for path in ("/openapi.json", "/docs", "/healthz", "/images/abc", "/images?limit=x", "/nothing"):
        got = await asked(settings, "GET", path, accept_encoding=accepted, x_request_id="1")
        told = await asked(settings, "HEAD", path, accept_encoding=accepted, x_request_id="1")
        named = ("content-length", "content-encoding", "content-type", "vary")
        assert told.status_code == got.status_code and told.content == b"", path
        assert [told.headers.get(name) for name in named] == [got.headers.get(name) for name in named], path
        assert "content-encoding" in got.headers or (path, accepted) != ("/openapi.json", "gzip")


def hit(score: float, *tags: str) -> SearchHit:
    return SearchHit(1, score, Payload(tags=tags), None, None, ())


def said(hits: list[SearchHit]) -> dict[str, float]:
    return tags_near((one.score, one.payload.tags) for one in hits)


def test_nearer_neighbours_say_more() -> None:
    near = [hit(0.9, "lamp", "red"), hit(0.8, "lamp", "lamp"), hit(0.4, "chair")]
    found = keywords_of(said(near), {}, 10)
    assert [one.word for one in found] == ["lamp", "red", "chair"]
    assert found[0].confidence > 0.99 and 0.7 < found[1].confidence < 0.75 and found[2].confidence < 0.01
    assert {one.tellers for one in found} == {(Teller.NEIGHBOURS,)}
    assert keywords_of(said([]), {}, 10) == []


def test_of_both_who_tell_a_word_the_surer_one_counts() -> None:
    found = keywords_of({"lamp": 0.5, "red": 0.2}, {"lamp": 0.75, "chair": 0.1}, 10)
    assert [(one.word, one.confidence) for one in found] == [("lamp", 0.75), ("red", 0.2), ("chair", 0.1)]
    assert [one.tellers for one in found] == [
        (Teller.NEIGHBOURS, Teller.WORDS),
        (Teller.NEIGHBOURS,),
        (Teller.WORDS,),
    ]


def test_words_are_told_that_a_picture_lies_unusually_near_to() -> None:
    random = np.random.default_rng(3)
    vectors = normalise(random.normal(size=(200, 64)).astype(np.float32))
    words = [f"w{at}" for at in range(200)]
    found = likely_words(normalise(vectors[7] + 0.1 * vectors[8]), words, vectors)
    assert max(found, key=lambda word: found[word]) == "w7" and found["w7"] > 0.9
    assert sum(found.values()) <= 1
    # Few words are judged as many are: by what is usual.
    assert likely_words(vectors[7], words[7:9], np.roll(vectors, -7, axis=0)).keys() == {"w7"}
    # Of nothing that is known, no word is likely.
    elsewhere = [likely_words(normalise(random.normal(size=64)), words, vectors) for _ in range(20)]
    assert np.median([max(one.values(), default=0.0) for one in elsewhere]) < 0.3
    assert likely_words(vectors[0], words[:1], vectors[:1]) == {}
    assert likely_words(vectors[0], words, np.tile(vectors[0], (200, 1))) == {}


@given(st.lists(st.tuples(st.floats(-1, 1), st.lists(st.sampled_from("abc"))), max_size=20))
def test_confidence_is_a_share(given: list[tuple[float, list[str]]]) -> None:
    hits = [hit(score, *tags) for score, tags in sorted(given, key=lambda one: -one[0])]
    found = keywords_of(said(hits), {}, 2)
    assert len(found) <= 2 and all(0 < one.confidence <= 1 or one.confidence == 0 for one in found)
    assert found == sorted(found, key=lambda one: -one.confidence)


@pytest.mark.parametrize(
    ("attributes", "uri", "source_url", "key", "name"),
    [
        ({}, "file:///pictures/a%20b.jpg", "https://x.example/c.jpg", "k", "a b.jpg"),
        ({}, "s3://bucket/2026/c.png", "", "k", "c.png"),
        ({}, "omma:9f86", "https://x.example/shop/d.jpg?w=3", "k", "d.jpg"),
        ({}, "omma:9f86", "https://x.example", "camera/e.jpg", "e.jpg"),
        ({}, "omma:9f86", "http://[x", "sku-7", "sku-7"),
        ({"filename": "f.jpg"}, "omma:9f86", "https://x.example/d.jpg", "9f86", "f.jpg"),
        ({"filename": " "}, "omma:9f86", "", "9f86", "9f86"),
        ({"filename": 7}, "s3://bucket/c.png", "", "k", "c.png"),
    ],
)
def test_a_filename_is_what_it_was_added_as_or_the_last_part_of_where_it_lies(
    attributes: dict[str, Any], uri: str, source_url: str, key: str, name: str
) -> None:
    assert filename_of(attributes, uri, source_url, key) == name
