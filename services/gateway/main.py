"""The composition root of the gateway as a process: `python -m services.gateway`.

The embedder and the shards are asked over gRPC, and a re-ranker that has an address; without one the gateway
re-ranks. Catalog, log and blobs are those of `omma.storage`.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from omma.background import running
from omma.catalog.interface import Catalog
from omma.errors import Absent, WrongState
from omma.fetching import FetchSettings
from omma.images import PictureLimits
from omma.index import Index
from omma.outbox import open_outbox
from omma.persistence import until_there
from omma.process import begin, until_stopped
from omma.rollouts.asked import RolloutRequest
from omma.rollouts.preflight import Room
from omma.rpc.channel import open_channel
from omma.rpc.server import RpcServer
from omma.space import Space
from omma.storage import open_storage
from services.egs.client import RemoteEmbedder
from services.gateway.callers.auth import Authenticator, is_loopback
from services.gateway.callers.first_key import FirstKeySettings, ensure_first_key
from services.gateway.callers.rates import Rates
from services.gateway.callers.tokens import open_tokens
from services.gateway.composition import GatewayParts, compose
from services.gateway.http import HttpServer, listening
from services.gateway.jobs import Sources
from services.gateway.rest.opening import Opening
from services.gateway.rollouts.candidates import TopologyCandidates
from services.gateway.rollouts.rollouts import CandidateModel, Candidates, Place
from services.gateway.settings import GatewaySettings
from services.nn_shard.client import RemoteShard
from services.rerank.client import RemoteReranker, Reranker
from services.rerank.local import LocalReranker
from services.rerank.settings import RerankSettings
from services.topology.connections import Connections
from services.topology.document import SETTING
from services.topology.file import TopologyFile, open_topology
from services.topology.indexes import ServedIndex, ServedIndexes
from services.topology.places import Found, Places, with_embedder
from services.topology.registration import has_live, live_index

logger = logging.getLogger(__name__)


class ServedGatewaySettings(GatewaySettings):
    """egs: `host:port`. shards: JSON, the replicas of shard 0, of shard 1, …: `[["a:9091"], ["b:9091"]]`. Both only
    without OMMA_TOPOLOGY.

    ingest_folders: the worker has the folders that callers name, and may read them.
    """

    egs: str = ""
    rerank: str = Field(default="", description="host:port of a re-ranker; empty: the gateway re-ranks")
    shards: tuple[tuple[str, ...], ...] = ()
    ingest_folders: bool = False


class FixedPlaces:
    """services.gateway.rollouts.rollouts.Candidates of a gateway whose settings name the one index that it knows."""

    async def model(self, reference: str) -> CandidateModel:
        """Raises WrongState."""
        raise self._nowhere()

    async def room(self) -> Room:
        """Raises WrongState."""
        raise self._nowhere()

    async def place(self, request: RolloutRequest, space: Space, control: Index, known: Sequence[Index]) -> Place:
        """Raises WrongState."""
        raise self._nowhere()

    async def place_space(self, space: Space) -> Place:
        """Raises WrongState."""
        raise self._nowhere()

    def _nowhere(self) -> WrongState:
        return WrongState(
            "This gateway knows the shards of one index only, those of OMMA_GATEWAY__SHARDS: another one would be "
            "reached nowhere. Name them both in a file, OMMA_TOPOLOGY.",
            field="OMMA_TOPOLOGY",
        )


class GatewayProcess(FirstKeySettings):
    """What reaches the storage, OMMA_HTTP_PORT, OMMA_GRPC_PORT and the others of a process, and OMMA_GATEWAY__…"""

    service: ClassVar[str] = "omma-gateway"
    http_port: int = Field(default=8080, ge=0, le=65_535)
    topology: Path | None = Field(default=None, description="a YAML file of all indexes, followed while it runs")
    gateway: ServedGatewaySettings = ServedGatewaySettings()
    pictures: PictureLimits = PictureLimits()
    fetch: FetchSettings = FetchSettings()
    rerank: RerankSettings = RerankSettings()


async def main() -> None:
    """Serve until SIGTERM or SIGINT. Makes the first index of a new catalog, with the embedder's space.

    Storage and EGS are waited for. Raises WrongState when the live index has another space or number of shards, or the
    topology is wrong.
    """
    settings = GatewayProcess()
    begin(settings)
    fixed = {"OMMA_GATEWAY__EGS": settings.gateway.egs, "OMMA_GATEWAY__SHARDS": settings.gateway.shards}
    topology = open_topology(settings.topology, fixed)
    async with AsyncExitStack() as stack:
        rpc = RpcServer(None, credentials=settings.server_credentials(), probe_address=settings.probe_address)
        await rpc.start(settings.grpc_address)
        stack.push_async_callback(rpc.stop, 0.0)
        opening = Opening()
        rest = HttpServer(opening, settings.drain_seconds, sending_seconds=settings.gateway.body_seconds)
        rest.begin(listening(settings.bind, settings.http_port))
        stack.push_async_callback(rest.end)
        gateway = await compose(settings.gateway, await _parts(settings, topology, stack), stack)
        await stack.enter_async_context(running(*gateway.work))
        opening.app = gateway.rest
        await rpc.register([gateway.rpc])
        await rpc.set_ready(True)
        logger.info("the gateway serves", extra={"address": settings.bind, "port": settings.http_port})
        await until_stopped()
        gateway.health.draining = True
        await asyncio.gather(rpc.stop(settings.drain_seconds), rest.leave())
        await rest.end()


async def _parts(settings: GatewayProcess, topology: TopologyFile | None, stack: AsyncExitStack) -> GatewayParts:
    """What is waited for, and closed by the stack."""
    storage = await open_storage(settings, stack)
    await until_there("PostgreSQL", partial(ensure_first_key, storage.catalog, settings))
    indexes, candidates = (
        (ServedIndexes([await _served(settings, storage.catalog, stack)]), FixedPlaces())
        if topology is None
        else await _followed(topology, settings, storage.catalog, stack)
    )
    reranker = _reranker(settings)
    stack.push_async_callback(reranker.close)
    loopback = is_loopback(settings.bind)
    return GatewayParts(
        storage=storage,
        outbox=await until_there("Kafka", partial(open_outbox, storage.catalog, storage.log)),
        indexes=indexes,
        name=f"{socket.gethostname()}:{os.getpid()}",
        reranker=reranker,
        limits=settings.pictures,
        fetch=settings.fetch,
        authenticator=Authenticator(
            storage.catalog,
            open_without_keys=loopback,
            max_age_seconds=settings.gateway.keys_max_age_seconds,
            outage_seconds=settings.gateway.keys_outage_seconds,
            session_seconds=settings.gateway.session_seconds,
            rates=Rates(settings.gateway.tenant_rates),
            tokens=open_tokens(settings.gateway.jwt),
        ),
        sources=Sources(
            folders=settings.gateway.ingest_folders, s3=settings.s3, buckets=settings.gateway.ingest_buckets
        ),
        candidates=candidates,
        metrics_open=loopback,
    )


def _reranker(process: GatewayProcess) -> Reranker:
    """Here unless it has an address: the call's messages cost both sides more than the work (docs/benchmarks.md)."""
    if not process.gateway.rerank:
        return LocalReranker.configured(process.rerank)
    return RemoteReranker.at(process.gateway.rerank, credentials=process.channel_credentials())


async def _served(process: GatewayProcess, catalog: Catalog, stack: AsyncExitStack) -> ServedIndex:
    settings, credentials = process.gateway, process.channel_credentials()
    channel = open_channel(settings.egs, credentials=credentials, health_checked=True)
    stack.push_async_callback(channel.close)
    embedder = await RemoteEmbedder.found(channel)
    shards = []
    for addresses in settings.shards:
        replicas = tuple(RemoteShard.at(address, credentials=credentials) for address in addresses)
        for replica in replicas:
            stack.push_async_callback(replica.close)
        shards.append(replicas)
    index = await until_there("PostgreSQL", partial(live_index, catalog, embedder.space, len(shards)))
    if len(shards) != index.shards:
        raise WrongState(
            f"Index {index.id} has {index.shards} shards and {len(shards)} are named.", field="OMMA_GATEWAY__SHARDS"
        )
    return ServedIndex(index, embedder.space, tuple(shards), embedder)


async def _followed(
    topology: TopologyFile, process: GatewayProcess, catalog: Catalog, stack: AsyncExitStack
) -> tuple[ServedIndexes, Candidates]:
    connections = Connections(process.channel_credentials())
    stack.push_async_callback(connections.close)
    await until_there("the first index", partial(_begin, topology, connections, catalog))
    indexes = ServedIndexes()

    async def replace(found: Found[ServedIndex]) -> None:
        indexes.replace(found.placed.values(), found.unplaced)

    places = Places(topology, catalog, connections, with_embedder)
    await replace(await until_there("PostgreSQL", places.look))
    await stack.enter_async_context(running(partial(places.run, replace)))
    return indexes, TopologyCandidates(topology, connections)


async def _begin(topology: TopologyFile, connections: Connections, catalog: Catalog) -> None:
    """A new catalog's index is the topology's first. Raises Absent, ReplicaDown, OutOfTime while it cannot be made."""
    if await has_live(catalog):
        return
    await topology.look()
    first = next((one for one in topology.topology.indexes if one.model), None)
    if first is None:
        raise Absent("The topology has no index of a model.")
    if first.numbered is None:
        raise WrongState(f"A new index needs a number of shards: give {first.index} a count.", field=SETTING)
    embedder = await connections.embedder(first)
    await live_index(catalog, embedder.space, first.numbered, first.index, first.factory)
