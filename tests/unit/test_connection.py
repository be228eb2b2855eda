"""Where commands and the SDK work: which server, by which way, and what is said where there is nothing."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from omma.client import AsyncClient, Client
from omma.client.reach import is_this_machine
from omma.errors import InvalidQuery
from services.standalone.cli import command_line
from services.standalone.cli.verify import _show as show_report
from services.standalone.connection import call_once
from services.standalone.data_dir import DataDir, ServerAddress
from services.standalone.ingesting import remarks, summary
from services.worker.truth.differences import DifferenceKind
from services.worker.truth.report import Report

HEALTH = {"ok": True, "version": "0"}
PROXIES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy")
READING = (["verify"], ["verify", "--repair"], ["trace", "1"], ["search", "1"], ["dead-letters", "list"])


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = json.dumps(HEALTH).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[str]:
    """Answers /health as an Omma does."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that nobody made; nothing else is set."""
    for name in ("OMMA_URL", *PROXIES, "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMMA_DATA_DIR", str(tmp_path / "omma-data"))
    return tmp_path / "omma-data"


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "socks5://127.0.0.1:1", "socks://nonsense"])
@pytest.mark.parametrize("way", ["OMMA_URL", "server.json"])
async def test_no_proxy_of_the_environment_lies_before_a_server_of_this_machine(
    folder: Path, server: str, monkeypatch: pytest.MonkeyPatch, proxy: str, way: str
) -> None:
    for name in PROXIES:
        monkeypatch.setenv(name, proxy)
    data = DataDir(folder)
    with data.held():
        if way == "OMMA_URL":
            monkeypatch.setenv("OMMA_URL", server)
        data.announce(ServerAddress(server, "", 1))
        assert await call_once("GET", "/health") == HEALTH
    with Client(server) as client:
        assert client.health() == HEALTH
    async with AsyncClient(server) as asynchronous:
        assert await asynchronous.health() == HEALTH


async def test_a_proxy_that_cannot_be_used_for_another_machine_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:1")
    monkeypatch.setenv("OMMA_URL", "http://omma.example.org")
    with pytest.raises(InvalidQuery, match="proxy"):
        await call_once("GET", "/health")
    monkeypatch.setenv("OMMA_URL", "http://omma:port")
    with pytest.raises(InvalidQuery) as caught:
        await call_once("GET", "/health")
    assert caught.value.field == "OMMA_URL"


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:8080", True),
        ("http://OMMA.localhost.", True),
        ("http://127.8.0.1", True),
        ("http://[::1]:1", True),
        ("http://0.0.0.0:8080", True),
        ("http://10.0.0.1", False),
        ("http://localhost.example.org", False),
        ("https://example.org", False),
    ],
)
def test_this_machine_is_known_by_its_address(url: str, here: bool) -> None:
    assert is_this_machine(url) is here


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_command_judges_nothing_where_there_is_nothing(folder: Path, command: list[str]) -> None:
    done = CliRunner().invoke(command_line(), command)
    assert done.exit_code == 3 and "There is nothing in" in done.stderr and "Nothing differs" not in done.output
    assert not folder.exists()


def test_doctor_says_that_there_is_nothing_and_makes_nothing(folder: Path) -> None:
    done = CliRunner().invoke(command_line(), ["doctor", "--json"])
    (opens,) = (one for one in json.loads(done.stdout) if one["check"] == "opens")
    assert opens["ok"] is None and "There is nothing in" in opens["found"] and not folder.exists()


@pytest.mark.parametrize("command", [*READING, ["ingest", "."]], ids=" ".join)
@pytest.mark.parametrize("part", ["OMMA_POSTGRES__URL", "OMMA_KAFKA__BROKERS"])
def test_a_command_beside_a_cluster_asks_for_its_gateway(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], part: str
) -> None:
    monkeypatch.setenv(part, "postgresql://omma@127.0.0.1:1/omma" if "URL" in part else "127.0.0.1:1")
    done = CliRunner().invoke(command_line(), command)
    assert done.exit_code == 4 and "OMMA_URL" in done.stderr and not folder.exists()


@pytest.mark.parametrize(
    ("rows", "differences", "repaired", "replicas", "words"),
    [
        (0, 0, 0, [], "nothing here to compare"),
        (3, 0, 0, [], "Nothing differs"),
        (3, 2, 0, [], "2 differences, 0 of them mended, 2 open"),
        (3, 0, 0, [{"shard": 0, "replica": 1, "error": "away"}], "not everything could be compared"),
        (3, 2, 1, [], "verify again"),
    ],
)
def test_verify_says_in_the_end_what_it_found(
    capsys: pytest.CaptureFixture[str],
    rows: int,
    differences: int,
    repaired: int,
    replicas: list[dict[str, Any]],
    words: str,
) -> None:
    """Of the report that the worker makes, as it comes over HTTP."""
    kind = DifferenceKind.NO_VECTOR
    report = Report("main", rows=Counter({"indexed": rows} if rows else {}), replicas=replicas)
    report.count(kind, differences, [{"image_id": 1, "row_version": 2}] * differences)
    report.repaired[kind] += repaired
    show_report(json.loads(json.dumps(report.document())))
    said = " ".join(capsys.readouterr().out.split())
    assert words in said and ("Nothing differs" in said) == report.clean * (rows > 0)
    assert ("1 row v2" in said) == (differences > 0)


def test_what_an_ingest_could_not_do_is_shown() -> None:
    job: dict[str, Any] = dict.fromkeys(
        ("total", "created", "changed", "unchanged", "vanished", "skipped", "retried", "captions_passed_over"), 0
    )
    job |= {"source": "/p", "state": "done", "seconds": 1.0, "unreadable": 1, "dead": 9, "missing": 12}
    job["result"] = {
        "skipped": {".mp4": 3},
        "dead": [{"id": 1, "place": "file:///p/a.jpg", "reason": "cut off"}] * 9,
        "missing": {"folders": ["file:///p/disk"], "advice": "--forget-missing"},
    }
    assert list(summary(job).columns[0].cells)[-2:] == ["dead", "missing"]
    said = "\n".join(remarks(job))
    assert all(words in said for words in ("3 .mp4", "cut off", "9 in all", "12 pictures", "--forget-missing"))
