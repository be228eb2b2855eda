"""Request bodies are counted as they arrive: those who announce much and send nothing hold nothing, and are cut off."""

import asyncio
from typing import Final

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from omma.errors import OmmaError, OutOfTime, Overloaded, TooLarge
from omma.identity import Tenant
from services.gateway.rest.bounds import has_body
from services.gateway.rest.problems import problem
from services.gateway.sharing.bodies import Bodies

NOBODY: Final = Tenant("")
"""Holds what arrives before a key is looked at."""

_MAX_UNSIGNED_BYTES: Final = 256 * 1024
"""Of a body that is read before a key is looked at, as where nobody needs one."""

_STATE: Final = "body"


class BodyBudget:
    """The bytes of a body are its tenant's until the request is answered: a picture is held while it waits for its
    turn, for the embedder and for the shards.
    """

    def __init__(self, app: ASGIApp, *, bodies: Bodies, largest_bytes: int, seconds: float) -> None:
        """largest_bytes: of one. seconds: for one to come whole."""
        self._app = app
        self._bodies = bodies
        self._largest_bytes = largest_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not has_body(scope):
            await self._app(scope, receive, send)
            return
        body = Body(receive, send, self._bodies, self._largest_bytes, self._seconds)
        scope.setdefault("state", {})[_STATE] = body
        try:
            await self._app(scope, body.receive, body.send)
        except OmmaError as error:
            if error is not body.refused:
                raise
        finally:
            body.give_back()
        if body.refused is not None and not body.answered:
            await body.refuse(scope)


class Body:
    """One body. refused: why no more of it is read; then whatever the app answers is replaced by that."""

    def __init__(self, receive: Receive, send: Send, bodies: Bodies, largest_bytes: int, seconds: float) -> None:
        self.refused: OmmaError | None = None
        self.answered = False
        self._receive, self._send = receive, send
        self._bodies = bodies
        self._largest_bytes = largest_bytes
        self._until: float | None = asyncio.get_running_loop().time() + seconds
        self._seconds = seconds
        self._tenant = NOBODY
        self._bytes = 0

    def signed_by(self, tenant: Tenant) -> None:
        """What has come so far counts against this tenant, and what comes. Raises Overloaded."""
        self._bodies.give_back(self._tenant, self._bytes)
        self._tenant, size, self._bytes = tenant, self._bytes, 0
        self._charge(size)

    async def receive(self) -> Message:
        """Raises Overloaded, TooLarge, and OutOfTime, told as 408."""
        try:
            async with asyncio.timeout_at(self._until) as clock:
                message = await self._receive()
        except TimeoutError:
            if not clock.expired():
                raise
            slow = f"The body did not come within {self._seconds:g} seconds; send less, or faster."
            raise self._refusal(OutOfTime(slow, limit=self._seconds)) from None
        self._charge(len(message.get("body", b"")))
        if message["type"] == "http.request" and not message.get("more_body"):
            self._until = None
        return message

    async def send(self, message: Message) -> None:
        if self.refused is None or self.answered:
            self.answered = True
            await self._send(message)

    async def refuse(self, scope: Scope) -> None:
        """Answer with the reason."""
        assert self.refused is not None
        if isinstance(self.refused, OutOfTime):
            # Closed as well: a caller that sends so slowly would hold the connection for as long as it likes.
            answer = problem(self.refused, http_status=408, headers={"Connection": "close"})
        else:
            answer = problem(self.refused)
        await answer(scope, self._receive, self._send)

    def give_back(self) -> None:
        self._bodies.give_back(self._tenant, self._bytes)
        self._bytes = 0

    def _charge(self, size: int) -> None:
        most = self._largest_bytes if self._tenant != NOBODY else min(_MAX_UNSIGNED_BYTES, self._largest_bytes)
        if self._bytes + size > most:
            raise self._refusal(TooLarge(f"The body has more than {most:,} bytes.", limit=most))
        try:
            self._bodies.charge(self._tenant, size)
        except Overloaded as error:
            raise self._refusal(error) from None
        self._bytes += size

    def _refusal(self, error: OmmaError) -> OmmaError:
        self.refused = error
        return error


def signed(request: Request, tenant: Tenant) -> None:
    """The request's body is this tenant's. Raises Overloaded."""
    body: Body | None = request.scope.get("state", {}).get(_STATE)
    if body is not None:
        body.signed_by(tenant)
