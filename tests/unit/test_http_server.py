"""The REST face's server as it ends, on a real socket."""

import asyncio
import contextlib
from http.client import HTTPConnection

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from services.gateway.http import HttpServer, listening


async def test_a_caller_is_told_to_leave_before_connections_are_closed() -> None:
    server = HttpServer(PlainTextResponse("here"), drain_seconds=60, sending_seconds=60)
    bound = listening("127.0.0.1", 0)
    server.begin(bound)
    connection = HTTPConnection("127.0.0.1", bound.getsockname()[1], timeout=30)

    def ask() -> str | None:
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.read() == b"here"
        return answer.getheader("Connection")

    assert await asyncio.to_thread(ask) is None
    leaving = asyncio.create_task(server.leave())
    await asyncio.sleep(0)
    assert await asyncio.to_thread(ask) == "close"
    await asyncio.wait_for(leaving, 30)  # the last connection is gone
    assert await asyncio.to_thread(ask) == "close"  # another one is still answered
    await server.end()
    connection.close()


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 1_000_000, id="one header without an end"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X-Many: a\r\n" * 100_000, id="many headers"),
        pytest.param(b"GET /" + b"a" * 1_000_000, id="a path without an end"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", id="two lengths"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            id="both",
        ),
        pytest.param(b"no HTTP at all\r\n\r\n", id="something else"),
    ],
)
async def test_a_head_that_is_none_or_too_long_is_refused_and_the_connection_closed(head: bytes) -> None:
    server = HttpServer(PlainTextResponse("here"), drain_seconds=60, sending_seconds=60)
    bound = listening("127.0.0.1", 0)
    server.begin(bound)
    reader, writer = await asyncio.open_connection(*bound.getsockname())
    with contextlib.suppress(ConnectionError):
        for start in range(0, len(head), 65_536):
            writer.write(head[start : start + 65_536])
            await writer.drain()
            await asyncio.sleep(0.001)
    with contextlib.suppress(ConnectionError):  # it went on sending: the answer may be lost
        assert (await asyncio.wait_for(reader.read(), 30)).startswith(b"HTTP/1.1 400 ")
    writer.close()
    await server.end()


async def test_a_long_body_and_what_follows_it_are_no_head() -> None:
    async def length(scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        await PlainTextResponse(str(len(body)))(scope, receive, send)

    server = HttpServer(length, drain_seconds=60, sending_seconds=60)
    bound = listening("127.0.0.1", 0)
    server.begin(bound)
    reader, writer = await asyncio.open_connection(*bound.getsockname())
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 1_000_000
    writer.write(2 * request + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    told = await asyncio.wait_for(reader.read(), 30)
    assert told.count(b"\r\n\r\n1000000") == 2
    assert told.endswith(b"\r\n\r\n0")
    writer.close()
    await server.end()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "], ids=["nothing", "half a head"])
async def test_who_sends_no_whole_head_is_cut_however_often_a_byte_of_it_comes(sent: bytes) -> None:
    server = HttpServer(PlainTextResponse("here"), drain_seconds=60, sending_seconds=0.5)
    bound = listening("127.0.0.1", 0)
    server.begin(bound)
    reader, writer = await asyncio.open_connection(*bound.getsockname())
    answer = asyncio.create_task(reader.read())
    async with asyncio.timeout(30):
        with contextlib.suppress(ConnectionError):
            writer.write(sent)
            while not answer.done():
                if sent:
                    writer.write(b"a")
                await asyncio.sleep(0.01)
    assert (await answer).startswith(b"HTTP/1.1 408 " if sent else b"")
    writer.close()
    await server.end()


async def test_a_caller_that_sends_its_next_head_slowly_is_cut_and_one_that_waits_is_not() -> None:
    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(1.5)
        await PlainTextResponse("late")(scope, receive, send)

    server = HttpServer(late, drain_seconds=60, sending_seconds=0.5)
    bound = listening("127.0.0.1", 0)
    server.begin(bound)
    reader, writer = await asyncio.open_connection(*bound.getsockname())
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    async with asyncio.timeout(30):
        assert (await reader.readuntil(b"late")).startswith(b"HTTP/1.1 200 ")
        writer.write(b"GET / HTTP/1.1\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
    writer.close()
    await server.end()


async def test_a_body_without_an_end_whose_answer_is_out_is_read_no_longer() -> None:
    server = HttpServer(PlainTextResponse("refused"), drain_seconds=60, sending_seconds=0.5)
    bound = listening("127.0.0.1", 0)
    server.begin(bound)
    reader, writer = await asyncio.open_connection(*bound.getsockname())
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    answer = asyncio.create_task(reader.read())
    async with asyncio.timeout(30):
        with contextlib.suppress(ConnectionError):
            while not answer.done():
                writer.write(b"4\r\nmore\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        with contextlib.suppress(ConnectionError):  # it went on sending: the answer may be lost
            assert (await answer).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await server.end()
