"""What web clients meet: addresses that may be kept for ever, HEAD, names of the server, pages of others."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.standalone.data_dir import DataDir
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.pictures import encoded, scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIRST, SECOND = (encoded(scene(seed=seed)) for seed in (31, 32))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rest(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    settings = StandaloneSettings(
        data_dir=tmp_path_factory.mktemp("web") / "data",
        http_port=0,
        grpc_port=0,
        gateway={"trusted_hosts": ["omma.example"]},
    )
    async with (
        serving(settings) as (_, address),
        httpx.AsyncClient(base_url=address.url, timeout=60, trust_env=False) as rest,
    ):
        yield rest


async def uploaded(rest: httpx.AsyncClient, content: bytes, key: str) -> dict[str, Any]:
    answer = await rest.post("/images", files={"image": ("a.jpg", content)}, data={"external_id": key})
    assert answer.is_success, answer.text
    seen = await rest.post(
        "/search", json={"image_id": answer.json()["id"], "receipts": [answer.json()["receipt"]], "timeout_ms": 20_000}
    )
    assert seen.is_success, seen.text
    row: dict[str, Any] = (await rest.get(f"/images/{answer.json()['id']}")).json()
    return row


async def test_other_bytes_under_one_key_have_another_address(rest: httpx.AsyncClient) -> None:
    before = await uploaded(rest, FIRST, "one")
    best = {"k": 1, "timeout_ms": 20_000}
    hit = (await rest.post("/search", files={"image": ("a.jpg", FIRST)}, data=best)).json()["results"][0]
    assert hit["thumbnail_url"] == before["thumbnail_url"]
    kept = {}
    for name in ("content_url", "thumbnail_url"):
        first = await rest.get(before[name])
        assert "immutable" in first.headers["cache-control"] and first.headers["etag"]
        kept[name] = first
    assert kept["content_url"].content == FIRST

    after = await uploaded(rest, SECOND, "one")
    assert after["id"] == before["id"]
    for name, first in kept.items():
        assert after[name] != before[name]
        new = await rest.get(after[name])
        assert "immutable" in new.headers["cache-control"] and new.headers["etag"] != first.headers["etag"]
        # Under the old address, and under none, a cache asks before it shows anything.
        for path in (before[name], after[name].partition("?")[0], f"{after[name]}0"):
            other = await rest.get(path, headers={"if-none-match": first.headers["etag"]})
            assert (other.status_code, other.headers["cache-control"]) == (200, "private, no-cache")
            assert other.content == new.content
            tag = new.headers["etag"]
            for lines in ([f'"x", W/{tag}'], ['"x"', tag]):
                same = await rest.get(path, headers=[("if-none-match", line) for line in lines])
                assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)


async def test_head_says_what_get_says(rest: httpx.AsyncClient) -> None:
    row = await uploaded(rest, FIRST, "two")
    paths = ["/health", "/healthz", "/readyz", "/metrics", "/docs", "/redoc", "/openapi.json", "/images", "/stats"]
    paths += [f"/images/{row['id']}", row["content_url"], row["thumbnail_url"], f"/images/{row['id']}/neighbours"]
    for path in paths:
        head, whole = await rest.head(path), await rest.get(path)
        assert (head.status_code, head.content) == (whole.status_code, b""), path
        assert int(head.headers["content-length"]) > 0 or head.status_code == 308
        for name in ("content-type", "etag", "cache-control", "location"):
            assert head.headers.get(name) == whole.headers.get(name), (path, name)
    assert (await rest.head("/images/999999")).status_code == 404
    assert (await rest.head("/nowhere")).status_code == 404
    assert (await rest.head("/search/batch")).status_code == 405
    told = (await rest.get("/metrics")).text
    assert 'omma_http_request_seconds_count{method="HEAD",route="/images/{image_id}",status="200"}' in told


async def test_a_page_whose_name_leads_here_neither_reads_nor_ingests(rest: httpx.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(SECOND)
    before = (await rest.get("/images")).json()["count"]
    for headers in (
        {"host": "evil.example"},
        {"host": "evil.example:8080"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    ):
        for method, path, body in (
            ("POST", "/images/ingest", {"folder": str(tmp_path)}),
            ("POST", "/keys", {"name": "mine", "role": "admin"}),
            ("DELETE", "/images/1", None),
            ("POST", "/search", {"image_id": 1}),
            ("GET", "/images", None),
            ("GET", "/images/1/content", None),
            ("GET", "/health", None),
        ):
            refused = await rest.request(method, path, json=body, headers=headers)
            assert refused.status_code == 403, (method, path, headers)
            assert refused.json()["kind"] == "not_allowed"
    assert (await rest.get("/images")).json()["count"] == before
    assert (await rest.get("/keys")).json()["keys"] == []
    port = rest.base_url.port
    for headers in ({"host": f"localhost:{port}"}, {"host": "omma.example"}, {"origin": f"http://127.0.0.1:{port}"}):
        assert (await rest.get("/images", headers=headers)).status_code == 200


async def test_with_keys_any_name_may_be_a_proxys_and_the_folders_owner_needs_none(tmp_path: Path) -> None:
    settings = StandaloneSettings(
        data_dir=tmp_path / "data", http_port=0, grpc_port=0, gateway={"keys_max_age_seconds": 0.0}
    )
    async with (
        serving(settings) as (_, address),
        httpx.AsyncClient(base_url=address.url, timeout=60, trust_env=False) as rest,
    ):
        secret = (await rest.post("/keys", json={"name": "first", "role": "read"})).json()["secret"]
        assert (await rest.get("/images")).status_code == 401  # from here on it knows that there is a key
        for headers in ({"host": "photos.example"}, {"host": "photos.example", "origin": "https://evil.example"}):
            assert (await rest.get("/images", headers=headers)).status_code == 401
            assert (await rest.get("/images", headers={**headers, "x-api-key": secret})).status_code == 200
        announced = DataDir(settings.data_dir).served_at()
        assert announced is not None and announced == address
        assert (settings.data_dir / "server.json").stat().st_mode & 0o077 == 0
        owner = {"authorization": f"Bearer {announced.token}"}
        assert (await rest.get("/keys", headers=owner)).status_code == 200
        assert announced.token not in repr(announced)
