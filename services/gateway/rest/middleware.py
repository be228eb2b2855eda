"""Around every REST request: its id, its time, and generic words for what has no kind."""

import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from omma.rpc.errors import generic_bug
from omma.telemetry.context import accepted_request_id, bind_request_id
from omma.telemetry.metrics import HTTP_SECONDS
from omma.telemetry.traces import continued, span
from services.gateway.rest.problems import problem

logger = logging.getLogger(__name__)


class RequestScope:
    """X-Request-Id in and out, `omma_http_request_seconds`, and a 500 that says nothing of the inside."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = {name: value.decode("latin-1") for name, value in scope["headers"] if name in _READ}
        request_id = accepted_request_id(said.get(b"x-request-id"))
        status = 0
        started = time.perf_counter()

        async def send_stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        with bind_request_id(request_id), continued(said.get(b"traceparent", "")), span("http"):
            try:
                await self._app(scope, receive, send_stamped)
            except Exception as error:  # the boundary: nothing of the inside reaches the caller
                logger.error("%s %s failed", scope["method"], _route(scope), exc_info=error)
                if status:
                    raise  # half an answer is out: only closing the connection is honest
                await problem(generic_bug())(scope, receive, send_stamped)
            finally:
                HTTP_SECONDS.labels(scope["method"], _route(scope), str(status or _GONE)).observe(
                    time.perf_counter() - started
                )


_GONE = 499
"""The caller hung up first."""

_READ = frozenset({b"x-request-id", b"traceparent"})


def _route(scope: Scope) -> str:
    """The template, so that the label's values are bounded."""
    route: Any = scope.get("route")
    return str(getattr(route, "path_format", None) or getattr(route, "path", None) or "none")
