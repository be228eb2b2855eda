"""The page's files: without a build, the address says how to make one."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from omma.blobs.folder import FolderBlobs
from omma.blobs.interface import PresignedPut
from omma.catalog.sqlite import open_sqlite_catalog
from omma.description import RowLimits
from services.gateway.rest.page import page_router, router
from services.gateway.uploads import Uploads


async def here() -> str:
    return ""


async def storage() -> str:
    return "https://storage.example"


async def test_a_gateway_without_a_build_says_how_to_make_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "built", dict)
    app = FastAPI()
    app.include_router(page_router(here))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        for path in ("/", "/ui/health", "/ui/assets/index.js"):
            answer = await client.get(path)
            assert answer.status_code == 404, path
        assert "make page" in (await client.get("/")).text


async def test_uploads_may_go_to_the_object_storage_that_is_named_and_nowhere_else() -> None:
    app = FastAPI()
    app.include_router(page_router(storage))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        policy = (await client.get("/")).headers["content-security-policy"]
    assert "connect-src 'self' https://storage.example;" in policy


async def test_where_uploads_go_is_told_of_the_blobs_alone(tmp_path: Path) -> None:
    class Bucket(FolderBlobs):
        async def presigned_put(self, key: str, *, bytes: int, content_type: str) -> PresignedPut:  # type: ignore[override]
            return PresignedPut(f"https://storage.example:9000/bucket/{key}?signature=x", {}, 900)

    catalog = await open_sqlite_catalog(tmp_path / "catalog.db", RowLimits())
    assert await Uploads(catalog, Bucket(tmp_path), 100).origin() == "https://storage.example:9000"
    assert await Uploads(catalog, FolderBlobs(tmp_path), 100).origin() == ""
    await catalog.close()
