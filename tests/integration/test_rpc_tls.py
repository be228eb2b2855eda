"""TLS on a real port: certificates made here, both sides checked."""

import subprocess
from collections.abc import AsyncIterator
from functools import partial

import grpc
import pytest
from prometheus_client import REGISTRY

from omma.errors import ReplicaDown
from omma.process import ProcessSettings
from omma.rpc.channel import call, open_channel
from omma.rpc.deadline import Deadline
from omma.rpc.server import RpcServer
from omma.rpc.tls import TlsFiles, TlsSettings
from omma.v1 import shard_pb2, shard_pb2_grpc


class Servicer(shard_pb2_grpc.ShardServiceServicer):
    async def Stats(self, request: object, context: object) -> shard_pb2.ShardServiceStatsResponse:
        return shard_pb2.ShardServiceStatsResponse(index="over tls")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """Self-signed for localhost, so its own authority."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    new = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "1",
    ]
    try:
        subprocess.run([*new, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl, which makes the certificate, is not here")
    return TlsFiles(certificate, key, authority=certificate)


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


async def index_of(target: str, credentials: grpc.ChannelCredentials | None) -> str:
    channel = open_channel(target, credentials=credentials)
    try:
        stats = shard_pb2_grpc.ShardServiceStub(channel).Stats
        return (await call(stats, shard_pb2.ShardServiceStatsRequest(), Deadline.after(5), "The server")).index
    finally:
        await channel.close()


async def test_both_sides_know_each_other(target: str, certificate: TlsFiles) -> None:
    assert await index_of(target, certificate.channel_credentials()) == "over tls"


async def test_a_client_without_a_certificate_is_refused(target: str, certificate: TlsFiles) -> None:
    before = REGISTRY.get_sample_value("omma_rpc_seconds_count", {"method": "omma.v1.ShardService/Stats", "code": "OK"})
    with pytest.raises(ReplicaDown):
        await index_of(target, TlsFiles(authority=certificate.authority).channel_credentials())
    with pytest.raises(ReplicaDown):
        await index_of(target, None)
    after = REGISTRY.get_sample_value("omma_rpc_seconds_count", {"method": "omma.v1.ShardService/Stats", "code": "OK"})
    assert before == after


async def test_a_server_that_nobody_vouches_for_is_refused(target: str, certificate: TlsFiles) -> None:
    own = TlsFiles(certificate.certificate, certificate.key)
    with pytest.raises(ReplicaDown):
        await index_of(target, own.channel_credentials())


def test_a_server_needs_a_certificate_and_a_key(certificate: TlsFiles) -> None:
    with pytest.raises(ValueError, match="certificate and a key"):
        TlsFiles(authority=certificate.authority).server_credentials()
    assert ProcessSettings().server_credentials() is None
