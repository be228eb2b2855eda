"""The REST face's server as it ends, on a real socket."""

import asyncio
from http.client import HTTPConnection

from starlette.responses import PlainTextResponse

from services.gateway.http import HttpServer, listening


async def test_a_caller_is_told_to_leave_before_connections_are_closed() -> None:
    server = HttpServer(PlainTextResponse("here"), drain_seconds=60)
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
