"""A channel that is drained and opened anew when its certificates were renewed; who calls does not notice."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

import grpc

from omma.rpc.tls import RenewedCredentials

_DRAIN_SECONDS: Final = 60.0
"""For calls under way on the former channel: as long as a deadline is at most."""

_CONNECT_SECONDS: Final = 5.0
"""Between two thoughts whether to go on with the former channel, while the new one does not connect."""

logger = logging.getLogger(__name__)


class RenewedChannel(grpc.aio.Channel):
    """Unary calls only, which is what Omma's services and Triton are asked by.

    Each call looks whether there are new credentials, at most every LOOK_SECONDS. The new channel takes over once it is
    connected, or at once where the former one is not: as long as the other side does not trust what is new, the former
    connection goes on.
    """

    def __init__(
        self, credentials: RenewedCredentials, opened: Callable[[grpc.ChannelCredentials], grpc.aio.Channel]
    ) -> None:
        self._credentials = credentials
        self._opened = opened
        self._used = credentials.look()
        self._channel = opened(self._used)
        self._methods: list[_Method] = []
        self._change: asyncio.Task[None] | None = None
        self._drained: set[asyncio.Task[None]] = set()

    def look(self) -> None:
        """Begin to change channels if there are new credentials. Needs a running loop."""
        if self._credentials.look() is not self._used and self._change is None:
            self._change = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        credentials = self._credentials.current
        new = self._opened(credentials)
        try:
            while not (_connected(new) or not _connected(self._channel)):
                try:
                    async with asyncio.timeout(_CONNECT_SECONDS):
                        await new.wait_for_state_change(new.get_state(try_to_connect=True))
                except TimeoutError:
                    logger.warning("nobody answers to the renewed certificate yet; the former connection goes on")
        except asyncio.CancelledError:
            await new.close()
            raise
        former, self._channel, self._used = self._channel, new, credentials
        for method in self._methods:
            method.move(new)
        self._change = None
        drained = asyncio.create_task(former.close(grace=_DRAIN_SECONDS))
        self._drained.add(drained)
        drained.add_done_callback(self._drained.discard)

    async def close(self, grace: float | None = None) -> None:
        under_way = [*self._drained, *([self._change] if self._change else [])]
        for one in under_way:
            one.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    async def __aenter__(self) -> "RenewedChannel":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def unary_unary(self, *arguments: Any, **named: Any) -> Any:
        method = _Method(self, lambda channel: channel.unary_unary(*arguments, **named), self._channel)
        self._methods.append(method)
        return method

    def unary_stream(self, *arguments: Any, **named: Any) -> Any:
        raise NotImplementedError("A stream would not outlive its channel.")

    stream_unary = stream_stream = unary_stream


class _Method:
    """A stub's method, on whichever channel is the present one."""

    def __init__(self, owner: RenewedChannel, on: Callable[[grpc.aio.Channel], Any], channel: grpc.aio.Channel) -> None:
        self._owner = owner
        self._on = on
        self.move(channel)

    def move(self, channel: grpc.aio.Channel) -> None:
        self._method = self._on(channel)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self._owner.look()
        return self._method(*arguments, **named)


def _connected(channel: grpc.aio.Channel) -> bool:
    return channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY
