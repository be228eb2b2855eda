"""A bound on what all request bodies hold together: a hundred callers with 40 MB each must not end the process."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from omma.errors import Overloaded
from omma.telemetry.metrics import BODY_BYTES_IN_FLIGHT, REQUESTS_SHED
from services.gateway.rest.problems import problem

_LENGTH: Final = b"content-length"
_CHUNKED: Final = b"transfer-encoding"


class BodyBudget:
    """A request's announced length is set aside until it is answered; one that does not fit is refused unread.

    A picture is held while it waits for its turn, for the embedder and for the shards: as long as the request lasts.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, largest_bytes: int) -> None:
        """largest_bytes: of one body that is read at all; set aside for one of unknown length."""
        self._app = app
        self._max_bytes = max_bytes
        self._largest_bytes = largest_bytes
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = self._size(scope) if scope["type"] == "http" else 0
        if not size:
            await self._app(scope, receive, send)
            return
        if self._held and self._held + size > self._max_bytes:
            REQUESTS_SHED.labels("body_bytes").inc()
            refused = Overloaded(
                f"The bodies of the requests under way hold {self._held:,} bytes.",
                limit=self._max_bytes,
                retry_after_seconds=1.0,
            )
            await problem(refused)(scope, receive, send)
            return
        self._held += size
        BODY_BYTES_IN_FLIGHT.set(self._held)
        try:
            await self._app(scope, receive, send)
        finally:
            self._held -= size
            BODY_BYTES_IN_FLIGHT.set(self._held)

    def _size(self, scope: Scope) -> int:
        for name, value in scope["headers"]:
            if name == _LENGTH:
                return min(int(value), self._largest_bytes) if value.isdigit() else 0
            if name == _CHUNKED:
                return self._largest_bytes
        return 0
