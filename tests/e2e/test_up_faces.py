"""What one process shows: every service's RPCs behind keys, and the demo."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from omma.v1 import (
    embedding_pb2,
    embedding_pb2_grpc,
    rerank_pb2,
    rerank_pb2_grpc,
    search_pb2,
    search_pb2_grpc,
    shard_pb2,
    shard_pb2_grpc,
)
from tests.e2e.process import Folder
from tests.pictures import encoded, scene


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("omma"))


def test_one_grpc_port_answers_for_every_service_and_shows_inner_ones_to_admins_only(folder: Folder):
    picture = encoded(scene())
    keys = {role: folder.json("key", "create", role, "--role", role)["secret"] for role in ("admin", "write")}
    with folder.up() as server, grpc.insecure_channel(server.grpc) as channel:
        admin = [("authorization", f"Bearer {keys['admin']}")]
        writer = [("authorization", f"Bearer {keys['write']}")]
        stub = search_pb2_grpc.SearchServiceStub(channel)
        uploaded = stub.Upsert(search_pb2.UpsertRequest(image=picture), metadata=writer, timeout=20)
        wanted = search_pb2.SearchRequest(
            queries=[search_pb2.SearchQuery(image=picture)], k=1, receipts=[uploaded.receipt], timeout_ms=20_000
        )
        assert stub.Search(wanted, metadata=writer, timeout=20).results[0].id == uploaded.id

        shard = shard_pb2_grpc.ShardServiceStub(channel)
        stats = shard_pb2.ShardServiceStatsRequest()
        assert shard.Stats(stats, metadata=admin, timeout=20).pictures == 1
        embed = embedding_pb2_grpc.EmbeddingServiceStub(channel)
        item = embedding_pb2.EmbedRequest(items=[embedding_pb2.EmbedItem(image=picture)])
        assert len(embed.Embed(item, metadata=admin, timeout=20).items) == 1
        rerank = rerank_pb2_grpc.RerankServiceStub(channel)
        assert rerank.Rerank(rerank_pb2.RerankRequest(k=1), metadata=admin, timeout=20).policy == "default@2"
        for metadata, code in ((writer, grpc.StatusCode.PERMISSION_DENIED), ([], grpc.StatusCode.UNAUTHENTICATED)):
            with pytest.raises(grpc.RpcError) as refused:
                shard.Stats(stats, metadata=metadata, timeout=20)
            assert refused.value.code() is code
            with pytest.raises(grpc.RpcError) as refused:
                embed.Embed(item, metadata=metadata, timeout=20)
            assert refused.value.code() is code


def test_the_demo_shows_results_says_another_port_aloud_and_ends_cleanly(tmp_path: Path):
    pictures = tmp_path / "my pictures"
    pictures.mkdir()
    for seed in range(20):
        (pictures / f"{seed}.jpg").write_bytes(encoded(scene(seed=seed)))
    own = Folder(tmp_path / "data")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with subprocess.Popen(
            [sys.executable, "-m", "services.standalone.demo", str(pictures)],
            env=own.environment(OMMA_HTTP_PORT=port) | {"COLUMNS": "200"},
            stdout=subprocess.PIPE,
            text=True,
        ) as demo:
            try:
                said = []
                for line in demo.stdout:
                    said.append(line)
                    if line.startswith("Stop with Ctrl-C"):
                        break
                demo.send_signal(signal.SIGINT)
                assert demo.wait(timeout=60) == 0
            finally:
                demo.kill()
    text = "".join(said)
    assert f"Port {port} is taken" in text
    assert "Like a picture" in text and "Like a crop of a picture" in text and "By words “a green car”" in text
    assert "data:image/webp" in (own.path / "contact-sheet.html").read_text()
