"""Certificates renewed while both sides run, from one authority to another, without a call that fails."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.parts.ports import free_port
from omma.errors import ReplicaDown
from omma.hits import no_hits
from omma.rpc.deadline import Deadline
from omma.rpc.tls import RenewedCredentials, TlsFiles
from services.rerank.client import RemoteReranker, RerankQuery
from tests.certificates import Authority
from tests.integration.rerank_process import ENVIRONMENT, port_of

QUERY = RerankQuery(k=np.iinfo(np.int32).max)


class Mounted:
    """A folder as Kubernetes mounts a Secret: its files are changed all at once, by one link."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._turn = 0
        (folder / "..data").symlink_to("..0")
        for name in ("tls.crt", "tls.key", "ca.crt"):
            (folder / name).symlink_to(f"..data/{name}")

    @property
    def files(self) -> TlsFiles:
        return TlsFiles(*(self._folder / name for name in ("tls.crt", "tls.key", "ca.crt")))

    def put(self, signed: tuple[bytes, bytes], *trusted: Authority) -> None:
        self._turn += 1
        new, link = self._folder / f"..{self._turn}", self._folder / "..new"
        new.mkdir()
        authorities = b"".join(one.certificate.read_bytes() for one in trusted)
        for name, content in zip(("tls.crt", "tls.key", "ca.crt"), (*signed, authorities), strict=True):
            (new / name).write_bytes(content)
        link.symlink_to(new.name)
        link.rename(self._folder / "..data")


@pytest.fixture
def authorities(tmp_path: Path) -> tuple[Authority, Authority]:
    return Authority.made(tmp_path / "former"), Authority.made(tmp_path / "next")


@asynccontextmanager
async def serving(served: Mounted, folder: Path) -> AsyncIterator[tuple[str, str]]:
    """A re-ranker's process: where it is called, and where it is probed."""
    probe = free_port("127.0.0.1")
    files = {f"OMMA_TLS__{name.upper()}": str(getattr(served.files, name)) for name in TlsFiles.__slots__}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.rerank",
        cwd=folder,
        env={**ENVIRONMENT, **files, "OMMA_PROBE_PORT": str(probe)},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        port = await asyncio.wait_for(port_of(process), 120)
        assert process.stderr is not None
        drained = asyncio.create_task(process.stderr.read())
        yield f"localhost:{port}", f"127.0.0.1:{probe}"
        drained.cancel()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_authorities_change_under_calls(authorities: tuple[Authority, Authority], tmp_path: Path) -> None:
    former, coming = authorities
    served, own = Mounted(tmp_path / "server"), Mounted(tmp_path / "client")
    served.put(former.signed("DNS:localhost"), former)
    own.put(former.signed("DNS:client"), former)
    async with serving(served, tmp_path) as (target, probe):
        credentials = RenewedCredentials(own.files, look_seconds=0.0)
        reranker = RemoteReranker.at(target, credentials=credentials)
        answered, ended = 0, asyncio.Event()

        async def call() -> None:
            nonlocal answered
            while not ended.is_set():
                await reranker.rerank(QUERY, no_hits(dim=4), Deadline.after(30))
                answered += 1

        async def some_calls() -> None:
            wanted = answered + 20
            while answered < wanted:
                await asyncio.sleep(0)
                assert not calling.done()

        calling = asyncio.gather(*(call() for _ in range(4)))
        await some_calls()
        was = credentials.current
        served.put(former.signed("DNS:localhost"), former, coming)
        own.put(former.signed("DNS:client"), former, coming)
        await some_calls()
        own.put(coming.signed("DNS:client"), former, coming)
        served.put(coming.signed("DNS:localhost"), former, coming)
        await some_calls()
        served.put(coming.signed("DNS:localhost"), coming)
        own.put(coming.signed("DNS:client"), coming)
        await some_calls()
        ended.set()
        await calling  # not one has failed
        assert credentials.current is not was
        await reranker.close()

        stranger = Mounted(tmp_path / "stranger")
        stranger.put(former.signed("DNS:client"), former, coming)
        late = RemoteReranker.at(target, credentials=RenewedCredentials(stranger.files))
        with pytest.raises(ReplicaDown):
            await late.rerank(QUERY, no_hits(dim=4), Deadline.after(10))
        await late.close()

        async with grpc.aio.insecure_channel(probe) as plain:  # as a kubelet asks, which has no certificate
            said = await health_pb2_grpc.HealthStub(plain).Check(health_pb2.HealthCheckRequest())
            assert said.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_certificate_that_nobody_trusts_yet_takes_no_connection_away(
    authorities: tuple[Authority, Authority], tmp_path: Path
) -> None:
    former, coming = authorities
    served, own = Mounted(tmp_path / "server"), Mounted(tmp_path / "client")
    served.put(former.signed("DNS:localhost"), former)
    own.put(former.signed("DNS:client"), former)
    async with serving(served, tmp_path) as (target, _):
        reranker = RemoteReranker.at(target, credentials=RenewedCredentials(own.files, look_seconds=0.0))
        await reranker.rerank(QUERY, no_hits(dim=4), Deadline.after(30))
        own.put(coming.signed("DNS:client"), former)
        for _ in range(50):
            await reranker.rerank(QUERY, no_hits(dim=4), Deadline.after(30))
        served.put(former.signed("DNS:localhost"), former, coming)
        for _ in range(50):
            await reranker.rerank(QUERY, no_hits(dim=4), Deadline.after(30))
        await reranker.close()


def test_half_of_a_renewal_is_not_used(authorities: tuple[Authority, Authority], tmp_path: Path) -> None:
    certificate, key = authorities[0].signed("DNS:localhost")
    files = TlsFiles(tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "ca.crt")
    assert files.certificate and files.key and files.authority
    files.certificate.write_bytes(certificate)
    files.key.write_bytes(key)
    shutil.copy(authorities[0].certificate, files.authority)
    credentials = RenewedCredentials(files, look_seconds=0.0)
    first = credentials.current
    assert credentials.look() is first

    certificate, key = authorities[0].signed("DNS:localhost")
    files.certificate.write_bytes(certificate)
    assert credentials.look() is first  # the key is still the former one's
    files.key.unlink()
    assert credentials.look() is first
    files.key.write_bytes(key)
    renewed = credentials.look()
    assert renewed is not first and credentials.look() is renewed

    with pytest.raises(ValueError, match="no whole"):
        os.truncate(files.certificate, 20)
        RenewedCredentials(files)
