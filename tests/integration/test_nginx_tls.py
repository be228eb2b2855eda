"""helm/omma/page/nginx.conf on a real nginx, with a certificate from deploy/compose/certificate, before a real Omma."""

import os
import signal
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from deploy.parts.ports import free_port
from omma.rpc.channel import MAX_MESSAGE_BYTES
from omma.v1 import search_pb2, search_pb2_grpc
from tests.e2e import process
from tests.nginx import COMPOSE, CONFIGURATION, running_nginx
from tests.pictures import encoded, scene


@dataclass(frozen=True)
class Front:
    """nginx before an Omma."""

    omma: process.Server
    rest: str
    grpc: str
    certificate: Path

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.rest, verify=ssl.create_default_context(cafile=self.certificate), timeout=60)

    def channel(self) -> grpc.Channel:
        return grpc.secure_channel(self.grpc, grpc.ssl_channel_credentials(self.certificate.read_bytes()))


@pytest.fixture(scope="module")
def omma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[process.Server]:
    folder = process.Folder(tmp_path_factory.mktemp("omma"))
    with folder.up() as server:
        yield server


@pytest.fixture(scope="module")
def front(omma: process.Server) -> Iterator[Front]:
    with running_nginx(omma.url, omma.grpc) as (rest, rpc, certificate):
        yield Front(omma, rest, rpc, certificate)


@pytest.fixture(scope="module")
def large_picture() -> bytes:
    """A PNG of noise, 15 MB."""
    noise = np.random.default_rng(1).integers(0, 256, (2300, 2200, 3), np.uint8)
    picture = encoded(Image.fromarray(noise), "PNG", compress_level=0)
    assert 15_000_000 < len(picture) < 20_000_000
    return picture


def test_rest_over_tls_takes_a_picture_of_15_mb_and_finds_it(front: Front, large_picture: bytes) -> None:
    with front.client() as client:
        uploaded = client.post("/images", files={"image": large_picture})
        assert uploaded.status_code == 201, uploaded.text
        said = {"receipts": uploaded.json()["receipt"], "timeout_ms": 30_000, "k": 1}
        found = client.post("/search", files={"image": large_picture}, data=said)
        assert [hit["id"] for hit in found.json()["results"]] == [uploaded.json()["id"]]
        stored = client.get(f"/images/{uploaded.json()['id']}/content")
        assert stored.content == large_picture


def test_the_page_is_the_gateways_and_its_files_are_asked_for_once(front: Front) -> None:
    folder = front.certificate.parent / "nginx-page"

    def kept() -> int:
        return sum(one.is_file() for one in folder.rglob("*"))

    with front.client() as client:
        page = client.get("/")
        policy = page.headers["content-security-policy"]
        assert (
            policy.startswith("default-src 'none'; script-src 'self'") and page.headers["cache-control"] == "no-store"
        )
        assert policy != client.get("/").headers["content-security-policy"], "a nonce is of one answer"
        before = kept()
        script = page.text.split('type="module" crossorigin src="')[1].split('"')[0]
        first, again = client.get(script), client.get(script)
        assert kept() == before + 1
        for answer in (first, again):
            assert answer.status_code == 200 and answer.headers["content-encoding"] == "gzip"
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert first.content == again.content
        assert client.get(script, headers={"accept-encoding": "identity"}).content == first.content
        assert client.get("/ui/assets/none.js").status_code == 404
        assert client.get("/ui/session").json()["signed_in"]


def test_what_is_too_large_is_refused_by_omma_up_to_its_limit_and_by_nginx_beyond_it_in_the_same_words(
    front: Front,
) -> None:
    with front.client() as client:
        for size, id_of in ((41_000_000, "gateway"), (47_000_000, "nginx")):
            refused = client.post("/images", files={"image": bytes(size)})
            problem = refused.json()
            assert refused.headers["content-type"] == "application/problem+json", id_of
            assert (refused.status_code, problem["status"], problem["kind"]) == (413, 413, "too_large"), id_of
            assert {"type", "title", "detail", "request_id", "limit"} <= problem.keys(), id_of


def test_grpc_over_tls(front: Front, large_picture: bytes) -> None:
    picture = encoded(scene(seed=7))
    with front.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=20).status == 1
        stub = search_pb2_grpc.SearchServiceStub(channel)
        small = stub.Upsert(search_pb2.UpsertRequest(image=picture), timeout=20)
        large = stub.Upsert(search_pb2.UpsertRequest(image=large_picture), timeout=30)
        wanted = search_pb2.SearchRequest(
            queries=[search_pb2.SearchQuery(image=picture)],
            k=1,
            receipts=[small.receipt, large.receipt],
            timeout_ms=20_000,
        )
        assert [hit.id for hit in stub.Search(wanted, timeout=30).results] == [small.id]
        with pytest.raises(grpc.RpcError) as refused:
            stub.Get(search_pb2.GetRequest(id=1 << 40), timeout=20)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_caller_without_our_authority_or_without_tls_gets_nothing(front: Front) -> None:
    with pytest.raises(httpx.ConnectError, match="certificate"):
        httpx.get(f"{front.rest}/healthz", timeout=10)
    plain = httpx.get(f"{front.rest.replace('https', 'http')}/healthz", timeout=10)
    assert plain.status_code == 400


def test_a_connection_is_kept_and_used_again(front: Front) -> None:
    with front.client() as client:
        ways = {client.get("/healthz").extensions["network_stream"].get_extra_info("client_addr") for _ in range(20)}
    assert len(ways) == 1


def test_a_search_that_takes_seconds_is_waited_for_and_the_others_beside_it(front: Front) -> None:
    """The gateway hangs while both faces are asked; both are answered once it goes on."""
    picture = encoded(scene(seed=8))
    request = search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(image=picture)], k=1, timeout_ms=30_000)
    front.omma.process.send_signal(signal.SIGSTOP)
    later = threading.Timer(4.0, front.omma.process.send_signal, [signal.SIGCONT])
    with front.client() as client, front.channel() as channel, ThreadPoolExecutor(2) as pool:
        search = search_pb2_grpc.SearchServiceStub(channel).Search
        rest = pool.submit(client.post, "/search", files={"image": picture}, data={"k": 1, "timeout_ms": 30_000})
        rpc = pool.submit(search, request, timeout=40)
        later.start()
        answered = rest.result(timeout=60)
        assert answered.status_code == 200 and answered.elapsed.total_seconds() > 2
        assert rpc.result(timeout=60).index == answered.json()["index"]


def test_without_a_gateway_both_faces_say_unavailable_in_omma_s_words() -> None:
    nobody = f"127.0.0.1:{free_port('127.0.0.1')}"
    with running_nginx(f"http://{nobody}", nobody) as (rest, rpc, certificate):
        front = Front(None, rest, rpc, certificate)
        with front.client() as client, front.channel() as channel:
            away = client.get("/health")
            assert away.headers["content-type"] == "application/problem+json" and away.headers["retry-after"] == "1"
            assert (away.status_code, away.json()["kind"]) == (503, "replica_down")
            with pytest.raises(grpc.RpcError) as refused:
                health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_nginx_s_bound_of_a_message_is_omma_s() -> None:
    assert f"client_max_body_size {MAX_MESSAGE_BYTES >> 20}m;" in CONFIGURATION.read_text()


def certified(folder: Path, **environment: str) -> bytes:
    """What the script leaves there."""
    subprocess.run([COMPOSE / "certificate", "omma.test", folder], check=True, env={**os.environ, **environment})
    assert sorted(path.name for path in folder.iterdir()) == ["certificate.pem", "key.pem"]
    assert (folder / "key.pem").stat().st_mode & 0o077 == 0
    return (folder / "certificate.pem").read_bytes()


def test_a_certificate_is_kept_while_it_lasts_and_renewed_before_it_ends(tmp_path: Path) -> None:
    short = certified(tmp_path, DAYS="20")
    long = certified(tmp_path)
    assert long != short
    assert certified(tmp_path) == long


def test_a_certificate_of_somebody_else_is_never_replaced(tmp_path: Path) -> None:
    authority = tmp_path / "authority"
    ours = tmp_path / "tls"
    for folder in (authority, ours):
        folder.mkdir()
        certified(folder)
    sign = f"""
        openssl req -new -key {ours}/key.pem -subj /CN=shop.example |
        openssl x509 -req -days 1 -CA {authority}/certificate.pem -CAkey {authority}/key.pem -out {ours}/certificate.pem
    """
    subprocess.run(["sh", "-ec", sign], check=True, capture_output=True)
    signed = (ours / "certificate.pem").read_bytes()
    assert certified(ours) == signed
