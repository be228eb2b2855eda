"""Channels to what the topology names: one an address, kept as long as it is named."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from omma.errors import ReplicaDown, WrongState
from omma.rpc.channel import open_channel
from omma.rpc.deadline import Deadline
from omma.rpc.tls import RenewedCredentials
from omma.space import Space
from omma.together import together
from services.egs.client import RemoteEmbedder
from services.nn_shard.client import RemoteShard
from services.topology.document import Entry

_ASK_SECONDS: Final = 2.0
_RESOLVE_SECONDS: Final = 5.0
"""Between two looks at what a name stands for: replicas that come and go are seen after it."""
_FORGET_SECONDS: Final = 60.0
"""Longer than any search that still uses it."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, as `host:port`."""
Knock = Callable[[str, int], Awaitable[bool]]
"""Whether anybody takes a connection at host and port."""


async def _resolved(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [f"[{at[0]}]:{port}" if family is socket.AF_INET6 else f"{at[0]}:{port}" for family, *_, at in found]


async def _knocked(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_ASK_SECONDS):
            _, writer = await asyncio.open_connection(host.strip("[]"), port)
    except OSError:  # a TimeoutError, too
        return False
    writer.close()
    return True


class Connections:
    """Belongs to one event loop."""

    def __init__(
        self,
        credentials: RenewedCredentials | None,
        *,
        resolve: Resolve = _resolved,
        knock: Knock = _knocked,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials
        self._resolve = resolve
        self._knock = knock
        self._clock = clock
        self._shards: dict[tuple[str, str], RemoteShard] = {}
        self._embedders: dict[tuple[str, str], RemoteEmbedder] = {}
        self._addresses: dict[str, tuple[Sequence[str], float]] = {}
        self._used_at: dict[tuple[str, str], float] = {}

    async def shards(self, entry: Entry, count: int) -> tuple[tuple[RemoteShard, ...], ...]:
        """The replicas of each shard; the same clients as long as they are named. Raises ReplicaDown for a name that
        nobody has.
        """
        return tuple([await self._replicas(entry, shard) for shard in range(count)])

    async def unanswered(self, entry: Entry, count: int) -> list[str]:
        """Where no replica of a shard takes a connection: `host:port`, a shard's replicas with commas between."""
        shards = [entry.named(shard) for shard in range(count)]
        answers = await together(self._answers(one) for one in shards)
        return [", ".join(one) for one, answered in zip(shards, answers, strict=True) if not answered]

    async def _answers(self, named: Sequence[str]) -> bool:
        places = [name.rpartition(":") for name in named]
        return any(await together(self._knock(host, int(port)) for host, _, port in places))

    async def embedder(self, entry: Entry, space: Space | None = None) -> RemoteEmbedder:
        """Raises ReplicaDown, OutOfTime while it does not answer; WrongState when it embeds with another model than the
        entry says, or into another space than this one.
        """
        key = (entry.egs, "" if space is None else space.id)
        if key in self._embedders:
            self._used_at[key] = self._clock()
            return self._embedders[key]
        # Asked anew where it did not fit before: whoever mends the embedder at this address is believed.
        found = await self._ask(entry.egs)
        if entry.is_of(found.space.model) and space in (None, found.space):
            key = (entry.egs, found.space.id)
            if key in self._embedders:
                await found.close()
            self._used_at[key] = self._clock()
            return self._embedders.setdefault(key, found)
        await found.close()
        wanted = entry.model if space is None or not entry.is_of(space.model) else f"{space.model} ({space.id})"
        raise WrongState(
            f"The embedder at {entry.egs} is of {found.space.model} ({found.space.id}), and {wanted} is needed.",
            field="egs",
        )

    async def forget(self) -> None:
        """Close what was not asked for of late."""
        old = self._clock() - _FORGET_SECONDS
        for shard in [key for key in self._shards if self._used_at[key] < old]:
            await self._shards.pop(shard).close()
        for egs in [key for key in self._embedders if self._used_at[key] < old]:
            await self._embedders.pop(egs).close()

    async def close(self) -> None:
        for shard in self._shards.values():
            await shard.close()
        for embedder in self._embedders.values():
            await embedder.close()

    async def _replicas(self, entry: Entry, shard: int) -> tuple[RemoteShard, ...]:
        named = entry.named(shard)
        if not isinstance(entry.shards, str):
            return tuple(self._shard(address, "") for address in named)
        (name,) = named
        return tuple(self._shard(address, name.rpartition(":")[0]) for address in await self._behind(name))

    def _shard(self, address: str, certified_as: str) -> RemoteShard:
        key = (address, certified_as)
        if key not in self._shards:
            self._shards[key] = RemoteShard.at(address, credentials=self._credentials, certified_as=certified_as)
        self._used_at[key] = self._clock()
        return self._shards[key]

    async def _behind(self, name: str) -> Sequence[str]:
        known, looked_at = self._addresses.get(name, ((), -_RESOLVE_SECONDS))
        if known and self._clock() - looked_at < _RESOLVE_SECONDS:
            return known
        host, _, port = name.rpartition(":")
        # Names come and go with their server: what was known counts.
        with suppress(OSError):
            known = sorted(set(await self._resolve(host, int(port)))) or known
        if not known:
            raise ReplicaDown(f"{name} has no address.", field="shards")
        self._addresses[name] = known, self._clock()
        return known

    async def _ask(self, address: str) -> RemoteEmbedder:
        channel = open_channel(address, credentials=self._credentials, health_checked=True)
        try:
            return await RemoteEmbedder.connect(channel, Deadline.after(_ASK_SECONDS))
        except BaseException:
            await channel.close()
            raise
