"""The page's files: without a build, the address says how to make one."""

import httpx
import pytest
from fastapi import FastAPI

from services.gateway.rest.page import page_router, router


async def test_a_gateway_without_a_build_says_how_to_make_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "built", dict)
    app = FastAPI()
    app.include_router(page_router())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        for path in ("/", "/ui/health", "/ui/assets/index.js"):
            answer = await client.get(path)
            assert answer.status_code == 404, path
        assert "make page" in (await client.get("/")).text


async def test_uploads_may_go_to_the_object_storage_that_is_named_and_nowhere_else() -> None:
    app = FastAPI()
    app.include_router(page_router(["https://storage.example"]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        policy = (await client.get("/")).headers["content-security-policy"]
    assert "connect-src 'self' https://storage.example;" in policy
