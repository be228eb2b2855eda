"""Bad input over gRPC: a clear status, the field named, nothing changed, the process lives."""

from typing import Any

import grpc
import numpy as np
import pytest

from omma.v1 import search_pb2, types_pb2
from omma.vectors import to_wire
from tests.e2e.bad_input import BAD_PICTURES, GOOD, NESTED, Server, server, unharmed
from tests.pictures import encoded, scene

__all__ = ["server", "unharmed"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


RPC_SEARCHES: dict[str, tuple[search_pb2.SearchRequest, grpc.StatusCode, str]] = {
    name: (
        search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(image=content)]),
        grpc.StatusCode.INVALID_ARGUMENT,
        "image",
    )
    for name, (content, _, _) in BAD_PICTURES.items()
}


def _of(**options: Any) -> search_pb2.SearchRequest:
    return search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(image=GOOD)], **options)


def _box(left: int, top: int, right: int, bottom: int) -> search_pb2.SearchRequest:
    box = types_pb2.Box(left=left, top=top, right=right, bottom=bottom)
    return search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(image=GOOD, bbox=box)])


def _vector(dim: int, space: str, value: float = 1.0) -> search_pb2.SearchRequest:
    rows = to_wire(np.full((1, dim), value, np.float32))
    return search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(vector=rows)], space=space)


RPC_SEARCHES |= {
    "nothing sought": (search_pb2.SearchRequest(), grpc.StatusCode.INVALID_ARGUMENT, "image"),
    "empty query": (
        search_pb2.SearchRequest(queries=[search_pb2.SearchQuery()]),
        grpc.StatusCode.INVALID_ARGUMENT,
        "queries",
    ),
    "k of -1": (_of(k=-1), grpc.StatusCode.INVALID_ARGUMENT, "k"),
    "k of a milliard": (_of(k=10**9), grpc.StatusCode.INVALID_ARGUMENT, "k"),
    "bbox outside": (_box(900, 900, 950, 950), grpc.StatusCode.INVALID_ARGUMENT, "bbox"),
    "bbox of no area": (_box(10, 10, 10, 40), grpc.StatusCode.INVALID_ARGUMENT, "bbox"),
    "bbox reversed": (_box(100, 100, 20, 20), grpc.StatusCode.INVALID_ARGUMENT, "bbox"),
    "filter that is no JSON": (_of(filter="{owner"), grpc.StatusCode.INVALID_ARGUMENT, "filter"),
    "filter of no field": (_of(filter='{"colour":1}'), grpc.StatusCode.INVALID_ARGUMENT, "filter"),
    "filter of a number beyond 2^53": (
        _of(filter='{"attributes.a":9007199254740992}'),
        grpc.StatusCode.INVALID_ARGUMENT,
        "filter",
    ),
    "filter 1,000 deep": (_of(filter=NESTED), grpc.StatusCode.INVALID_ARGUMENT, "filter"),
    "receipt that is none": (_of(receipts=["yesterday"]), grpc.StatusCode.INVALID_ARGUMENT, "receipts"),
    "score threshold": (_of(score_threshold=float("nan")), grpc.StatusCode.INVALID_ARGUMENT, "score_threshold"),
    "near duplicates": (_of(near_duplicates=99), grpc.StatusCode.INVALID_ARGUMENT, "near_duplicates"),
    "index": (_of(index="another.1"), grpc.StatusCode.NOT_FOUND, "index"),
    "image_id absent": (
        search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(image_id=999_999)]),
        grpc.StatusCode.NOT_FOUND,
        "image_id",
    ),
    "text of 2,001": (
        search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(text="a" * 2_001)]),
        grpc.StatusCode.INVALID_ARGUMENT,
        "text",
    ),
    "vector of another space": (_vector(256, "clip-9-00000000"), grpc.StatusCode.FAILED_PRECONDITION, "space"),
}


def field_of(error: grpc.aio.AioRpcError) -> str | None:
    return dict(error.trailing_metadata() or ()).get("omma-field")


@pytest.mark.parametrize("name", RPC_SEARCHES)
async def test_bad_searches_over_grpc(server: Server, name: str) -> None:
    request, code, field = RPC_SEARCHES[name]
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await server.rpc.Search(request, timeout=30)
    assert failure.value.code() is code, failure.value.details()
    assert field_of(failure.value) == field


@pytest.mark.parametrize("name", BAD_PICTURES)
async def test_bad_upserts_over_grpc(server: Server, name: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await server.rpc.Upsert(search_pb2.UpsertRequest(image=BAD_PICTURES[name][0]), timeout=30)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field_of(failure.value) == "image"


async def test_bad_ids_and_descriptions_over_grpc(server: Server) -> None:
    for call, request, code in (
        (server.rpc.Get, search_pb2.GetRequest(id=999), grpc.StatusCode.NOT_FOUND),
        (server.rpc.Get, search_pb2.GetRequest(), grpc.StatusCode.NOT_FOUND),
        (server.rpc.Delete, search_pb2.DeleteRequest(id=999), grpc.StatusCode.NOT_FOUND),
        (
            server.rpc.Upsert,
            search_pb2.UpsertRequest(image=encoded(scene(seed=8)), attributes_json=b"["),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (
            server.rpc.Upsert,
            search_pb2.UpsertRequest(image=encoded(scene(seed=8)), tags=["a"] * 2 + [str(n) for n in range(300)]),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call(request, timeout=30)
        assert failure.value.code() is code


async def test_a_200_megabyte_message_is_refused_over_grpc(server: Server) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await server.rpc.Upsert(search_pb2.UpsertRequest(image=bytes(200_000_000)), timeout=30)
    assert failure.value.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT)
