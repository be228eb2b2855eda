"""A cluster's parts stopped, killed and started from another terminal."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from deploy.local.control import ask, controlled
from deploy.local.service import Service
from deploy.local.supervisor import Supervisor
from deploy.parts import Server
from tests.waiting import until


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Server]]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    servers = {name: Server(name) for name in ("kafka", "egs")}
    for one in servers.values():
        one.start(["sleep", "600"], lambda: True)
    yield servers
    for one in servers.values():
        one.close()


def watched(name: str, server: Server) -> Service:
    service: Any = type("Named", (), {"name": name, "server": server})()
    return cast(Service, service)


def test_what_is_stopped_stays_down_and_what_is_killed_comes_back(parts: dict[str, Server]) -> None:
    with Supervisor([watched("egs", parts["egs"])]) as supervisor, controlled(lambda: parts, supervisor):
        assert all(ask("status", "")["parts"].values())
        assert ask("stop", "kafka")["parts"]["kafka"] is None
        first = parts["egs"].pid
        ask("kill", "egs")
        until(parts["egs"].running, 20)
        assert parts["egs"].pid != first
        ask("stop", "egs")
        assert "is not running" in ask("stop", "egs")["error"]
        time.sleep(0.5)  # as long as the supervisor would take to start it again
        assert not parts["egs"].running()
        assert all(ask("start", name)["parts"][name] for name in parts)
        assert "there are: kafka, egs" in ask("stop", "wheel")["error"]
    with pytest.raises(ConnectionRefusedError):
        ask("status", "")
