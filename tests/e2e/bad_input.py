"""A running Omma that bad input must leave as it is, and what is bad over REST and gRPC alike."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio

from omma.v1 import search_pb2_grpc
from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.pictures import encoded, png_bomb, png_of, scene

GOOD = encoded(scene())
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
BAD_PICTURES = {
    "truncated jpeg": (GOOD[: len(GOOD) // 2], 422, "invalid_picture"),
    "png bomb": (png_bomb(), 413, "too_large"),
    "144 megapixels": (png_of(12_000, 12_000), 413, "too_large"),
    "text named jpg": (b"this is no picture, whatever its name says", 415, "unsupported_media"),
    "svg": (SVG, 415, "unsupported_media"),
    "no bytes": (b"", 4, ""),
}
NESTED = '{"not":' * 1_000 + '{"owner":"a"}' + "}" * 1_000


class Server:
    """A running Omma with one picture in it."""

    def __init__(self, rest: httpx.AsyncClient, rpc: search_pb2_grpc.SearchServiceStub) -> None:
        self.rest = rest
        self.rpc = rpc

    async def state(self) -> Any:
        """What must not change."""
        return (await self.rest.get("/images")).json()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    folder = tmp_path_factory.mktemp("bad-input")
    settings = StandaloneSettings(data_dir=folder / "data", http_port=0, grpc_port=0)
    async with (
        serving(settings) as (_, address),
        httpx.AsyncClient(base_url=address.url, timeout=30) as rest,
        grpc.aio.insecure_channel(address.grpc) as channel,
    ):
        uploaded = await rest.post("/images", files={"image": ("a.jpg", GOOD)})
        assert uploaded.status_code == 201
        seen = await rest.post(
            "/search", json={"image_id": 1, "receipts": [uploaded.json()["receipt"]], "timeout_ms": 20_000}
        )
        assert seen.status_code == 200
        yield Server(rest, search_pb2_grpc.SearchServiceStub(channel))


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def unharmed(server: Server) -> AsyncIterator[None]:
    """After each test: the rows are as before, and a good search is answered."""
    before = await server.state()
    yield
    assert await server.state() == before
    patient = {"k": "1", "timeout_ms": "20000"}
    answer = await server.rest.post("/search", files={"image": ("a.jpg", GOOD)}, data=patient)
    assert [hit["id"] for hit in answer.json()["results"]] == [1]


def assert_problem(answer: httpx.Response, status: int, field: str | None = None, kind: str = "") -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert answer.status_code == problem["status"]
    assert (answer.status_code // 100 if status < 10 else answer.status_code) == status, problem
    assert problem["type"] and problem["title"] and problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    if field is not None:
        assert problem.get("field") == field, problem
    if kind:
        assert problem["kind"] == kind
