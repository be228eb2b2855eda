"""What callers send: counted as it comes, whoever sends slowly is cut, and nobody stops the others."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from omma.errors import Overloaded
from omma.identity import Tenant
from omma.v1 import search_pb2, search_pb2_grpc
from services.gateway.sharing.bodies import Bodies
from services.gateway.sharing.shares import Shares
from tests.unit.gateway_faces import Faces, Hanging, faces
from tests.waiting import eventually

MIB = 1 << 20
ONE = b'{"image_id": 1, "k": 1}'
JSON = {"content_type": "application/json"}
SEARCH = "/omma.v1.SearchService/Search"
KEY = (("x-api-key", "ann"),)


@pytest.fixture
async def some(tmp_path: Path) -> AsyncIterator[Faces]:
    async with faces(tmp_path, max_body_bytes=1 << 26) as made:
        yield made


@pytest.fixture
async def hurried(tmp_path: Path) -> AsyncIterator[Faces]:
    async with faces(tmp_path, max_body_bytes=1 << 26, body_seconds=0.5) as made:
        yield made


async def found(some: Faces, **headers: str) -> int:
    async with some.connection() as caller:
        await caller.request("POST", "/search", ONE, **JSON, **headers)
        status, _ = await caller.answer()
        return status


async def test_who_announces_much_and_sends_nothing_holds_nothing_and_is_cut(hurried: Faces) -> None:
    form = {"content_type": "multipart/form-data; boundary=B", "content_length": "20000000"}
    async with asyncio.timeout(30):
        idle = [await asyncio.open_connection("127.0.0.1", hurried.port) for _ in range(40)]
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in form.items())
        for _, writer in idle:
            writer.write(f"POST /images HTTP/1.1\r\nhost: localhost\r\nx-api-key: ann\r\n{head}\r\n".encode())
        assert hurried.bodies.bytes == 0
        assert await found(hurried) == 200
        for reader, writer in idle:
            answer = await reader.read()  # to its end: the connection is closed
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b'"kind": "out_of_time"' in answer
            writer.close()
    assert hurried.bodies.bytes == 0


async def test_a_tenant_holds_no_more_than_its_share_and_gives_it_back(some: Faces) -> None:
    part = b'--B\r\nContent-Disposition: form-data; name="image"; filename="f"\r\n\r\n'
    form = {"content_type": "multipart/form-data; boundary=B", "content_length": "20000000"}
    async with some.connection() as one, some.connection() as two, some.connection() as three:
        for caller in (one, two, three):
            await caller.request("POST", "/images", part, **form)
        await one.send(bytes(18 * MIB))
        await two.send(bytes(18 * MIB))
        await eventually(lambda: some.bodies.bytes >= 36 * MIB, 10)
        sending = asyncio.create_task(three.send(bytes(18 * MIB)))
        status, problem = await three.answer()
        assert (status, problem["kind"], problem["limit"]) == (429, "overloaded", 1 << 26)
        assert await found(some, x_api_key="bob") in (200, 404), "another tenant has room"
        sending.cancel()
    await eventually(lambda: some.bodies.bytes == 0, 10)


async def test_a_chunked_form_is_totalled(some: Faces) -> None:
    field = b'--B\r\nContent-Disposition: form-data; name="tags"\r\n\r\n' + b"a" * 100_000 + b"\r\n"
    sent = 0
    async with some.connection() as caller:
        headers = {"content_type": "multipart/form-data; boundary=B", "transfer_encoding": "chunked"}
        await caller.request("POST", "/images", b"", **headers)
        answer = asyncio.create_task(caller.answer())
        while not answer.done() and sent < 200:
            await caller.send(b"%x\r\n%s\r\n" % (len(field), field))
            sent += 1
            await asyncio.sleep(0.01)
        status, problem = await answer
    assert (status, problem["kind"], problem["limit"]) == (413, "too_large", 1_000_000)
    assert sent < 30


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/search", b'{"vector": [' + b"0.123456," * 800_000 + b'0], "space": "m-1-00000000"}'),
        ("/search", b'{"vector": [' + b"[]," * 2_500_000 + b"0]}"),
        ("/search/batch", b'{"searches": [' + b"{}," * 2_500_000 + b"{}]}"),
        ("/click", b'{"rank": [' + b"1," * 100_000 + b"1]}"),
    ],
    ids=["numbers", "lists", "objects", "elsewhere"],
)
async def test_json_is_weighed_before_it_is_parsed(
    some: Faces, monkeypatch: pytest.MonkeyPatch, path: str, body: bytes
) -> None:
    loads, longest = json.loads, 0

    def seen(text: str | bytes, **options: Any) -> Any:
        nonlocal longest
        longest = max(longest, len(text))
        return loads(text, **options)

    monkeypatch.setattr(json, "loads", seen)
    async with some.connection() as caller:
        await caller.request("POST", path, body, **JSON)
        status, problem = await caller.answer()
    assert (status, problem["kind"]) == (413, "too_large")
    assert longest < len(body), "parsed to be refused"


async def test_a_vector_longer_than_any_is_refused_by_its_length(some: Faces) -> None:
    async with some.connection() as caller:
        text = ",".join(["0"] * 17_000).encode()
        form = b'--B\r\nContent-Disposition: form-data; name="vector"\r\n\r\n' + text + b"\r\n--B--\r\n"
        await caller.request("POST", "/search", form, content_type="multipart/form-data; boundary=B")
        status, problem = await caller.answer()
    assert (status, problem["field"], problem["limit"]) == (413, "vector", 16_384)


@pytest.mark.parametrize("key", ["", "wrong"])
async def test_without_a_key_nothing_is_read(some: Faces, key: str) -> None:
    async with some.connection() as caller:
        await caller.request("POST", "/images/ingest", b'{"folder": "' + b"a" * 300_000 + b'"}', **JSON, x_api_key=key)
        assert (await caller.answer())[0] == 401


async def test_where_nobody_needs_a_key_little_is_read(some: Faces) -> None:
    async with some.connection() as caller:
        await caller.request("POST", "/ui/session", b'{"key": "' + b"a" * 300_000 + b'"}', **JSON)
        status, problem = await caller.answer()
    assert (status, problem["limit"]) == (413, 256 * 1024)


# gRPC


class Stream:
    """A call whose one message comes when the test says so."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Any = KEY) -> None:
        self.go = asyncio.Event()
        method = channel.stream_unary(
            SEARCH,
            request_serializer=search_pb2.SearchRequest.SerializeToString,
            response_deserializer=search_pb2.SearchResponse.FromString,
        )
        self.call = method(self._messages(), metadata=metadata, timeout=30)

    async def _messages(self) -> AsyncIterator[search_pb2.SearchRequest]:
        await self.go.wait()
        yield search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(image_id=1)], k=1)


async def test_a_call_without_a_key_is_refused_before_its_message_comes(some: Faces) -> None:
    async with some.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await Stream(channel, metadata=(("x-api-key", "wrong"),)).call
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_message_that_does_not_come_holds_up_nobody_for_long(hurried: Faces) -> None:
    async with hurried.channel() as channel:
        slow = Stream(channel)  # has the one place there is
        await asyncio.sleep(0.05)
        other = Stream(channel, metadata=(("x-api-key", "bob"),))
        other.go.set()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await slow.call
        assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        with pytest.raises(grpc.aio.AioRpcError) as absent:
            await other.call
        assert absent.value.code() is grpc.StatusCode.NOT_FOUND, "it had its turn; the picture is another's"


async def test_both_faces_have_one_budget(some: Faces) -> None:
    some.world.shards[0].hangs = True
    stub = search_pb2_grpc.SearchServiceStub
    async with some.channel() as channel:
        picture = search_pb2.SearchQuery(vector={"data": bytes(64), "dim": 16, "dtype": 2})
        request = search_pb2.SearchRequest(queries=[picture, search_pb2.SearchQuery(image=bytes(MIB))], space="none")
        with pytest.raises(grpc.aio.AioRpcError):
            await stub(channel).Search(request, metadata=KEY)
        assert some.bodies.bytes == 0
        one = search_pb2.SearchQuery(image=b"1" * MIB)
        some.world.embedder.embed = Hanging().embed  # type: ignore[assignment]
        call = stub(channel).Search(search_pb2.SearchRequest(queries=[one]), metadata=KEY)
        await eventually(lambda: some.bodies.bytes >= MIB, 10)
        call.cancel()
        await eventually(lambda: some.bodies.bytes == 0, 10)


def test_the_budget_is_one_total_and_a_share_each() -> None:
    bodies = Bodies(100, Shares(0.6, {"shop": 2.0}))
    ann, bob, shop = Tenant("ann"), Tenant("bob"), Tenant("shop")
    bodies.charge(ann, 60)
    with pytest.raises(Overloaded):
        bodies.charge(ann, 1)
    bodies.charge(bob, 40)
    with pytest.raises(Overloaded):
        bodies.charge(bob, 1)
    bodies.give_back(ann, 60)
    bodies.give_back(bob, 40)
    bodies.charge(shop, 100)
    bodies.give_back(shop, 100)
    assert bodies.bytes == 0
