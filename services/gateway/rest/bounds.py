"""How long a REST request may take, and that its work ends when its caller has gone."""

import asyncio
import time
from typing import Final

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from omma.errors import OutOfTime
from services.gateway.rest.problems import problem

_STATE: Final = "bounds"
_SEND_SECONDS: Final = 60.0
"""For a piece of an answer to go out: who reads no faster has gone, or holds what others wait for."""


class RequestBounds:
    """Every request has a deadline, from the moment at which its body is whole; whoever hangs up ends its work."""

    def __init__(self, app: ASGIApp, *, seconds: float) -> None:
        """seconds: until an answer begins, unless an endpoint allows itself more."""
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        bounded = Bounded(self._app, scope, receive, send, self._seconds)
        scope.setdefault("state", {})[_STATE] = bounded
        await bounded.run()


class Bounded:
    """One request. arrived_seconds: when it did, on the monotonic clock."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, seconds: float) -> None:
        self.arrived_seconds = time.monotonic()
        self._app, self._scope, self._receive, self._send = app, scope, receive, send
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._clock = asyncio.timeout(seconds)
        self._gone = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._whole = self._begun = self._answered = False

    def allow(self, seconds: float) -> None:
        """More than the usual time, from now on; never less."""
        self._seconds = max(self._seconds, seconds)
        self._restart(self._seconds)

    async def run(self) -> None:
        try:
            async with self._clock:
                if not has_body(self._scope):
                    self._watch_caller()
                try:
                    await self._app(self._scope, self._receive_body, self._send_answer)
                finally:
                    if self._watch is not None:
                        self._watch.cancel()
        except TimeoutError:
            if self._gone.is_set():
                return
            if self._begun or not self._clock.expired():
                raise  # half an answer is out: only closing the connection is honest
            late = OutOfTime(f"There was no answer within {self._seconds:g} seconds; nothing is known of its outcome.")
            await problem(late)(self._scope, self._receive, self._send)

    async def _receive_body(self) -> Message:
        if self._whole:
            await self._gone.wait()
            return {"type": "http.disconnect"}
        if self._watch is not None:
            self._whole = True
            return {"type": "http.request", "body": b"", "more_body": False}
        self._restart(None)  # the body has a time of its own
        message = await self._receive()
        self._restart(self._seconds)
        if message["type"] == "http.disconnect":
            self._left()
            await self._loop.create_future()  # until it is cancelled
        elif not message.get("more_body"):
            self._whole = True
            self._watch_caller()
        return message

    async def _send_answer(self, message: Message) -> None:
        self._begun = True
        self._answered = message["type"] == "http.response.body" and not message.get("more_body")
        self._restart(_SEND_SECONDS)
        await self._send(message)
        self._restart(self._seconds)

    def _watch_caller(self) -> None:
        self._watch = self._loop.create_task(self._watched(), name="caller")

    async def _watched(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left()

    def _left(self) -> None:
        self._gone.set()
        if not self._answered:
            self._restart(0)

    def _restart(self, seconds: float | None) -> None:
        # Once it has run out, or the caller has gone, that stands.
        if not self._clock.expired() and (seconds == 0 or not self._gone.is_set()):
            self._clock.reschedule(None if seconds is None else self._loop.time() + seconds)


def bounds_of(request: Request) -> Bounded:
    """This request's."""
    bounded: Bounded = request.scope["state"][_STATE]
    return bounded


def has_body(scope: Scope) -> bool:
    """Whether a body is announced."""
    said = {name: value for name, value in scope["headers"] if name in (b"content-length", b"transfer-encoding")}
    return b"transfer-encoding" in said or said.get(b"content-length", b"0").strip() not in (b"", b"0")
