"""The parts themselves: nothing stays behind, failures are real, what is missing is said."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import parts
from deploy.parts import cache
from tests.waiting import until

_STARTER = """
import sys, time
from deploy.parts import Server
server = Server("trial")
server.start(["sh", "-c", "sleep 600 & sleep 600 & : > ready; wait"], (server.folder / "ready").exists)
if sys.argv[1] == "kill":
    server.kill()
print(server.pid, server.folder, flush=True)
time.sleep(600)
"""


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("before", ["", "kill"], ids=["running", "killed"])
def test_a_killed_starter_leaves_no_process_and_no_folder(before: str) -> None:
    starter = subprocess.Popen([sys.executable, "-c", _STARTER, before], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    pid, folder = starter.stdout.readline().split()
    children = Path(f"/proc/{pid}/task/{pid}/children")
    family = [int(pid), *map(int, children.read_text().split() if children.exists() else [])]
    assert len(family) == (1 if before else 3)
    starter.kill()
    starter.communicate()
    until(lambda: all(map(gone, family)) and not Path(folder).exists(), 10)


def test_a_server_is_paused_killed_and_started_again_on_its_data() -> None:
    server = parts.Server("trial")
    try:
        server.start(["sh", "-c", "echo again >> data; exec sleep 600"], (server.folder / "data").exists)
        server.pause()
        until(lambda: " T " in Path(f"/proc/{server.pid}/stat").read_text(), 10)
        server.resume()
        assert server.running()
        server.kill()
        assert not server.running()
        server.restart()
        until(lambda: (server.folder / "data").read_text() == "again\nagain\n", 10)
        server.stop()
        assert not server.running()
    finally:
        server.close()
    assert not server.folder.exists()


def test_a_server_that_ends_at_once_shows_its_output() -> None:
    server = parts.Server("trial")
    try:
        with pytest.raises(RuntimeError, match="port is taken"):
            server.start(["sh", "-c", "echo port is taken; exit 3"], lambda: False)
    finally:
        server.close()


def test_a_part_is_built_once_and_never_seen_unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built = []

    def build(folder: Path) -> None:
        assert not (tmp_path / "omma/parts/thing-1").exists()
        (folder / "file").touch()
        built.append(folder)
        if len(built) == 1:
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError):
        cache.cached("thing-1", build)
    for _ in range(2):
        assert (cache.cached("thing-1", build) / "file").exists()
    assert len(built) == 2
    assert sorted(one.name for one in (tmp_path / "omma/parts").iterdir()) == ["thing-1", "thing-1.lock"]


def test_what_is_missing_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("OMMA_TEST_KAFKA", "OMMA_TEST_S3", "OMMA_TEST_TOXIPROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(importlib.import_module("deploy.parts.postgres"), "_DEBIAN", tmp_path)
    for part, remedy in (
        (parts.kafka, "apt-get install openjdk"),
        (parts.minio, "golang-go"),
        (parts.postgres, "apt-get install postgresql"),
        (parts.toxiproxy, "golang-go"),
    ):
        with pytest.raises(parts.PartMissing, match=remedy), part():
            pass


def test_a_given_part_is_used_and_cannot_be_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMMA_TEST_KAFKA", "broker:9092")
    with parts.kafka() as part:
        assert part.brokers == "broker:9092"
        with pytest.raises(parts.PartMissing):
            _ = part.server
