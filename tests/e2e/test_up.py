"""`omma up`: one process a folder, where it can be found, and a clean end."""

import json
import signal
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.e2e.process import Folder
from tests.pictures import encoded, scene


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("omma"))


def test_commands_find_the_server_and_a_second_one_is_refused(folder: Folder):
    with folder.up() as server:
        announced = json.loads((folder.path / "server.json").read_text())
        assert announced["url"] == server.url and announced["pid"] == server.process.pid

        second = folder.run("up")
        assert second.returncode == 4
        assert str(server.process.pid) in second.stderr and server.url in second.stderr.replace("\n", "")

        findings = {one["check"]: one for one in folder.json("doctor")}
        assert findings["works at"]["found"] == server.url and findings["counts agree"]["ok"]
        assert server.stop() == 0
    assert not (folder.path / "server.json").exists()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_and_finds_everything_again(folder: Folder, how: signal.Signals):
    picture = encoded(scene(seed=how))
    with folder.up() as server, server.client() as client:
        uploaded = client.post("/images", files={"image": picture}).json()
        waiting = {"receipts": uploaded["receipt"], "timeout_ms": 20_000}
        assert client.post("/search", files={"image": picture}, data=waiting).is_success
        assert server.stop(how) == 0
    with folder.up() as server, server.client() as client:
        patient = {"k": 1, "timeout_ms": 20_000}
        best = client.post("/search", files={"image": picture}, data=patient).json()["results"][0]
        assert best["id"] == uploaded["id"] and best["score"] > 0.999


def test_a_taken_port_is_said_with_the_setting_that_changes_it(folder: Folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = folder.run("up", OMMA_HTTP_PORT=str(taken.getsockname()[1]))
        assert done.returncode == 4 and "OMMA_HTTP_PORT" in done.stderr
        done = folder.run("up", OMMA_GRPC_PORT=str(taken.getsockname()[1]))
        assert done.returncode == 4 and "OMMA_GRPC_PORT" in done.stderr


def test_another_model_on_the_same_data_is_refused(folder: Folder):
    done = folder.run("up", OMMA_MODEL="nothing@9.9.9")
    assert done.returncode == 3 and "OMMA_MODEL" in done.stderr and "omma-mini@1.3.0" in done.stderr


def test_an_address_that_others_reach_needs_a_key_and_then_asks_for_it(tmp_path: Path):
    folder = Folder(tmp_path)
    refused = folder.run("up", OMMA_BIND="0.0.0.0")
    assert refused.returncode == 2 and "omma key create" in refused.stderr.replace("\n", " ")

    secret = folder.json("key", "create", "ann", "--role", "admin")["secret"]
    assert secret not in str(folder.json("key", "list"))
    with folder.up(OMMA_BIND="0.0.0.0") as server, server.client() as client:
        assert client.get("/images").status_code == 401
        assert client.get("/images", headers={"Authorization": f"Bearer {secret}"}).is_success
        # Who owns the folder needs no key where the server of the folder is asked.
        assert folder.json("dead-letters", "list") == []
        assert folder.run("dead-letters", "list", OMMA_URL=server.url).returncode == 5
        assert folder.json("dead-letters", "list", OMMA_URL=server.url, OMMA_API_KEY=secret) == []


class Stranger(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stranger() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_omma_url_must_be_an_omma(folder: Folder, stranger: str):
    done = folder.run("search", "1", OMMA_URL=stranger)
    assert done.returncode == 4 and "no Omma" in done.stderr
    done = folder.run("search", "1", OMMA_URL="http://127.0.0.1:1")
    assert done.returncode == 75


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path):
    (tmp_path / "file").touch()
    done = Folder(tmp_path / "file").run("search", "1")
    assert done.returncode == 2 and "OMMA_DATA_DIR" in done.stderr
