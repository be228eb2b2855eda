"""A running cluster asked from another terminal: what runs, and to stop, kill or start one part of it.

    python -m deploy.local status
    python -m deploy.local stop kafka

A socket that only this user can open; one line of JSON each way.
"""

import json
import os
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from deploy.local.supervisor import Supervisor
from deploy.parts import Server

ACTIONS: Final = ("status", "stop", "kill", "start")
_ANSWER_SECONDS: Final = 150.0


def place() -> Path:
    """Where the socket of this user's cluster is."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "omma"
    root.mkdir(parents=True, exist_ok=True)
    return root / "cluster.sock"


@contextmanager
def controlled(servers: Mapping[str, Server], supervisor: Supervisor) -> Iterator[None]:
    """Answers beside the block, unless another cluster of this user answers. servers: by the name that is asked for."""
    path = place()
    if _answers(path):
        yield
        return
    path.unlink(missing_ok=True)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked = json.loads(self.rfile.readline(1_000))
            answer = _done(servers, supervisor, asked["action"], asked["part"])
            self.wfile.write(json.dumps(answer).encode() + b"\n")

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        path.chmod(0o600)
        answering = threading.Thread(target=server.serve_forever, name="control", daemon=True)
        answering.start()
        try:
            yield
        finally:
            server.shutdown()
            path.unlink(missing_ok=True)


def ask(action: str, part: str) -> dict[str, Any]:
    """What the running cluster answers: `parts`, or `error`. Raises ConnectionError when there is none."""
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(_ANSWER_SECONDS)
        try:
            one.connect(str(place()))
        except FileNotFoundError:
            raise ConnectionRefusedError from None
        one.sendall(json.dumps({"action": action, "part": part}).encode() + b"\n")
        answer: dict[str, Any] = json.loads(one.makefile().readline())
    return answer


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect(str(path))
        except OSError:
            return False
    return True


def _done(servers: Mapping[str, Server], supervisor: Supervisor, action: str, part: str) -> dict[str, Any]:
    if action != "status":
        if part not in servers:
            return {"error": f"There is no part {part!r}; there are: {', '.join(servers)}."}
        try:
            _do(servers[part], supervisor, action, part)
        except RuntimeError as error:
            return {"error": str(error)}
    return {"parts": {name: server.pid if server.running() else None for name, server in servers.items()}}


def _do(server: Server, supervisor: Supervisor, action: str, part: str) -> None:
    """What is stopped stays down until it is started; what is killed is started again by the supervisor, if it is a
    service.
    """
    match action:
        case "stop":
            supervisor.hold(part)
            server.stop()
        case "kill":
            server.kill()
        case "start":
            if not server.running():
                server.restart()
            supervisor.release(part)
