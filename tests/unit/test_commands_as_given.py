"""What a command is given goes to the server as it was given, or is refused; and how it ends is how the job did."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from services.gateway.rest.schemas.jobs import COUNTED
from services.standalone.cli import command_line
from services.standalone.given import requests_of

FOUND = {"results": [], "latency_ms": 1.0, "coverage": {"fraction": 1.0}, "degraded": []}
FAILED = {
    "state": "failed",
    "error": "The original is damaged.",
    "result": {},
    "source": "a list",
    "pictures_per_second": 0.0,
    "seconds": 0.0,
    **dict.fromkeys(("total", "done", *COUNTED), 0),
}
ANSWERS = {
    "/health": {"ok": True, "version": "0"},
    "/search": FOUND,
    "/search/cluster": {"job_id": "1"},
    "/verify": {"job_id": "1"},
    "/erase": {"job_id": "1", "pictures": 1, "more": False},
    "/jobs/1": FAILED,
    "/ingest": {"job_id": "1"},
    "/images/ingest": {"job_id": "1"},
    "/trace": {"pictures": []},
    "/feedback": {"feedback": []},
    "/images": {"count": 1},
    "/vectors": {
        **dict.fromkeys(("model", "space", "checksum", "index"), "x"),
        "dim": 2,
        "images": [{"id": 1, "vector": "AACAPwAAAAA="}],
    },
}


class Server(ThreadingHTTPServer):
    """Answers as an Omma whose jobs fail. asked: path and body of each request but those of its health. looks: what
    the next jobs came to instead, None: there is none.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, bytes]] = []
        self.looks: list[dict[str, Any] | None] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def answer(self) -> None:
        path = self.path.partition("?")[0]
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if path != "/health":
            self.server.asked.append((path, body))
        if path.endswith("%2F"):
            self.send_response(307)
            self.send_header("Location", path.removesuffix("%2F"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        looks = path == "/jobs/1" and bool(self.server.looks)
        answer = self.server.looks.pop(0) if looks else ANSWERS[path]
        content = json.dumps(answer or {"kind": "absent", "detail": "There is no such job."}).encode()
        self.send_response(200 if answer else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def do_PUT(self) -> None:
        self.answer()

    def do_DELETE(self) -> None:
        self.answer()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMMA_DATA_DIR", str(tmp_path / "omma-data"))
    with Server() as http:
        monkeypatch.setenv("OMMA_URL", f"http://127.0.0.1:{http.server_port}")
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield http
        http.shutdown()
        thread.join()


def invoke(*words: str) -> Result:
    result = CliRunner().invoke(command_line(), [*words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.parametrize("command", [["erase", "--yes"], ["clusters"]])
@pytest.mark.parametrize(
    ("filter", "word"),
    [
        ('{"and": [{"owner": "ann"}], "and": [{"tags": "old"}]}', "twice"),
        ('{"width": NaN}', "no number"),
        ("[" * 100_000, "nested"),
        ("owner=ann", "not JSON"),
    ],
)
def test_a_filter_is_read_as_the_server_reads_it(server: Server, command: list[str], filter: str, word: str) -> None:
    result = invoke(*command, "--filter", filter)
    assert result.exit_code == 2 and word in result.output and not server.asked


@pytest.mark.parametrize("empty", [["--owner", ""], ["--filter", "{}"]])
def test_what_is_said_and_empty_is_no_less_said_of_what_to_erase(server: Server, empty: list[str]) -> None:
    """A shell's variable that is unset: with it left out, the other one would be erased alone."""
    invoke("erase", "--yes", "--external-id", "a", *empty)
    name = empty[0].removeprefix("--")
    assert json.loads(server.asked[0][1]) == {"external_ids": ["a"], name: "" if name == "owner" else {}}
    assert invoke("erase", "--yes", "--external-id", "a", "--filter", "").exit_code == 2


@pytest.mark.parametrize("command", [["verify"], ["erase", "--yes", "1"], ["clusters"]])
def test_a_job_that_failed_is_not_worth_another_try(server: Server, command: list[str]) -> None:
    result = invoke(*command)
    assert result.exit_code == 1 and "failed" in result.output and FAILED["error"] in result.output, result.output


def test_a_watch_says_once_why_its_looks_fail_and_goes_on(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.standalone.cli.ingest._WATCH_SECONDS", 0.0)
    done = {**FAILED, "state": "done", "error": ""}
    away = {**FAILED, "error": "The folder is away."}
    server.looks = [done, done, away, away, done, away, None]
    result = invoke("ingest", str(tmp_path), "--watch")
    assert (result.exit_code, result.output.count("The folder is away.")) == (3, 2), result.output


@pytest.mark.parametrize(
    "words", [["search", "--text", "caf\udce9"], ["trace", "caf\udce9"], ["erase", "--yes", "--owner", "caf\udce9"]]
)
def test_words_of_another_encoding_are_refused(server: Server, words: list[str]) -> None:
    result = invoke(*words)
    assert result.exit_code == 2 and "not UTF-8" in " ".join(result.output.split()) and not server.asked


@pytest.mark.parametrize("command", [["key", "revoke"], ["quota", "set"], ["quota", "remove"]])
@pytest.mark.parametrize(("word", "exit_code"), [("", 2), ("caf\udce9", 2), ("a/", 3)])
def test_a_word_that_is_no_part_of_a_path_is_told(
    server: Server, command: list[str], word: str, exit_code: int
) -> None:
    assert invoke(*command, word).exit_code == exit_code


def test_a_key_that_no_header_carries_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMMA_API_KEY", "\u201comma_key\u201d")
    result = invoke("verify")
    assert result.exit_code == 2 and "OMMA_API_KEY" in result.output and not server.asked, result.output


def test_a_picture_and_a_folder_may_have_any_name(server: Server) -> None:
    Path(os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"a picture")
    assert invoke("search", "caf\udce9.jpg").exit_code == 0
    assert b"a picture" in server.asked[0][1]
    assert invoke("export", "caf\udce9").exit_code == 0
    assert json.loads(invoke("export", "caf\udce9", "--json").stdout)["folder"] == "caf\udce9"
    assert (Path(os.fsdecode(b"caf\xe9")) / "metadata.jsonl").is_file()


def test_the_picture_0_is_not_passed_over(server: Server) -> None:
    invoke("search", "0", "--text", "lamp")
    assert json.loads(server.asked[0][1])["image_id"] == 0
    assert invoke("search", "9" * 5_000).exit_code == 3


@pytest.mark.parametrize("key", ["k" * 300, f"http://x/{'a' * 300}", "/proc/1/fd/9"])
def test_a_key_may_be_longer_than_a_file_s_name(server: Server, key: str) -> None:
    assert invoke("trace", key).exit_code == 0
    assert server.asked[0][0] == "/trace"
    assert invoke("search", key).exit_code == 3


@pytest.mark.parametrize(
    ("words", "exit_code", "word"),
    [
        (["ingest", f"http://x/{'a' * 300}.jpg"], 1, "damaged"),
        (["ingest", "absent.npy", "--ids", "ids.txt", "--space", "mine"], 2, "cannot be read"),
        (["ingest", "v.npy", "--ids", "absent.txt", "--space", "mine"], 2, "cannot be read"),
        (["search", "--text", "a", "--html", "absent/sheet.html"], 2, "cannot be written"),
        (["feedback", "judgments", f"{'a' * 300}.jsonl"], 2, "must be a file"),
        (["feedback", "pairs", f"{'a' * 300}.csv", "--root", "."], 2, "must be a file"),
        (["plan", "--pictures", "1", "--qps", "1", "--values", "absent/values.yaml"], 2, "cannot be written"),
        (["model", "triton-repo", "omma-mini", "ids.txt"], 2, "cannot be written"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_a_line(
    server: Server, words: list[str], exit_code: int, word: str
) -> None:
    np.save("v.npy", np.ones((1, 4), np.float32))
    Path("ids.txt").write_text("a\n")
    result = invoke(*words)
    assert (result.exit_code, word in " ".join(result.output.split())) == (exit_code, True), result.output


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["v.npy", "--private"], "--private"),
        (["v.npy", "--owner", "ann"], "--owner"),
        (["v.npy", "--watch"], "--watch"),
        (["list.txt", "--forget-missing"], "--forget-missing"),
        (["list.txt", "--space", "mine"], "--space"),
        ([".", "--refetch"], "--refetch"),
    ],
)
def test_an_option_that_nobody_would_heed_is_refused(server: Server, words: list[str], option: str) -> None:
    Path("list.txt").write_text("http://x/a.jpg\n")
    result = invoke("ingest", *words)
    assert result.exit_code == 2 and f"take no {option}" in " ".join(result.output.split()) and not server.asked


def test_what_was_private_as_it_was_exported_is_private_as_it_comes_back(tmp_path: Path) -> None:
    row = {"id": 1, "key": "a", "owner": "ann", "private": True, "provenance": {}}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(row) + "\n")
    np.save(tmp_path / "embeddings.npy", np.ones((1, 4), np.float32))
    files = (tmp_path / "embeddings.npy", tmp_path / "metadata.jsonl")
    [(_, request)] = requests_of(*files, "mine", revive_deleted=False)
    assert json.loads(request["files"]["items"][1]) == {"id": "a", "owner": "ann", "private": True}
