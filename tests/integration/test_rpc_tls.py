"""TLS on a real port: certificates made here, both sides checked."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from omma.errors import ReplicaDown
from omma.process import ProcessSettings
from omma.rpc.channel import call, open_channel
from omma.rpc.deadline import Deadline
from omma.rpc.server import LIVENESS, RpcServer
from omma.rpc.tls import RenewedCredentials, TlsFiles
from omma.rpc.tls_settings import TlsSettings
from omma.v1 import shard_pb2, shard_pb2_grpc
from services.nn_shard.client import RemoteShard
from tests.certificates import self_signed
from tests.integration.rpc_probe import probed


class Servicer(shard_pb2_grpc.ShardServiceServicer):
    async def Stats(self, request: object, context: object) -> shard_pb2.ShardServiceStatsResponse:
        return shard_pb2.ShardServiceStatsResponse(index="over tls")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return self_signed(tmp_path_factory.mktemp("tls"), "DNS:localhost,IP:127.0.0.1")


@pytest.fixture
async def target(certificate: TlsFiles) -> AsyncIterator[str]:
    """A server that demands a certificate of its clients."""
    settings = ProcessSettings(
        tls=TlsSettings(certificate=certificate.certificate, key=certificate.key, authority=certificate.authority)
    )
    server = RpcServer(
        [partial(shard_pb2_grpc.add_ShardServiceServicer_to_server, Servicer())],
        credentials=settings.server_credentials(),
    )
    yield f"localhost:{await server.start('127.0.0.1:0')}"
    await server.stop(0)


async def index_of(target: str, credentials: RenewedCredentials | None) -> str:
    channel = open_channel(target, credentials=credentials)
    try:
        stats = shard_pb2_grpc.ShardServiceStub(channel).Stats
        return (await call(stats, shard_pb2.ShardServiceStatsRequest(), Deadline.after(5), "The server")).index
    finally:
        await channel.close()


async def test_both_sides_know_each_other(target: str, certificate: TlsFiles) -> None:
    assert await index_of(target, RenewedCredentials(certificate)) == "over tls"


async def test_a_client_without_a_certificate_is_refused(target: str, certificate: TlsFiles) -> None:
    before = REGISTRY.get_sample_value("omma_rpc_seconds_count", {"method": "omma.v1.ShardService/Stats", "code": "OK"})
    with pytest.raises(ReplicaDown):
        await index_of(target, RenewedCredentials(TlsFiles(authority=certificate.authority)))
    with pytest.raises(ReplicaDown):
        await index_of(target, None)
    after = REGISTRY.get_sample_value("omma_rpc_seconds_count", {"method": "omma.v1.ShardService/Stats", "code": "OK"})
    assert before == after


async def test_a_server_that_nobody_vouches_for_is_refused(target: str, certificate: TlsFiles) -> None:
    own = TlsFiles(certificate.certificate, certificate.key)
    with pytest.raises(ReplicaDown):
        await index_of(target, RenewedCredentials(own))


def test_a_server_needs_a_certificate_and_a_key(certificate: TlsFiles) -> None:
    with pytest.raises(ValueError, match="certificate and a key"):
        TlsFiles(authority=certificate.authority).server_credentials()
    assert ProcessSettings().server_credentials() is None


async def test_a_process_speaks_with_others_as_its_settings_say(target: str, certificate: TlsFiles) -> None:
    tls = TlsSettings(certificate=certificate.certificate, key=certificate.key, authority=certificate.authority)
    shard = RemoteShard.at(target, credentials=ProcessSettings(tls=tls).channel_credentials())
    assert (await shard.stats(Deadline.after(5))).index == "over tls"
    await shard.close()
    assert ProcessSettings().channel_credentials() is None


async def test_the_probe_speaks_tls_though_the_certificate_is_of_another_name(tmp_path: Path) -> None:
    files = self_signed(tmp_path, "DNS:omma-shard.omma.svc")
    own = TlsSettings(certificate=files.certificate, key=files.key, authority=files.authority)
    server = RpcServer([], credentials=ProcessSettings(tls=own).server_credentials())
    port = await server.start("127.0.0.1:0")
    told = {f"OMMA_TLS__{name.upper()}": str(path) for name, path in own.model_dump().items()}
    assert [await probed(port, **told), await probed(port, LIVENESS, **told), await probed(port, LIVENESS)] == [1, 0, 1]
    await server.set_ready(True)
    assert await probed(port, **told) == 0
    await server.stop(0)
    assert await probed(port, **told) == 1
