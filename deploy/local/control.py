"""A running cluster asked from another terminal: what runs, and to stop, kill or start one part of it.

    python -m deploy.local status
    python -m deploy.local stop kafka
    python -m deploy.local add-index next --model clip@1.0.0 --shards 2

A socket that only this user can open; one line of JSON each way.
"""

import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from deploy.local.supervisor import Supervisor
from deploy.parts import Server
from omma.errors import OmmaError

ACTIONS: Final = ("status", "stop", "kill", "start", "add-index", "remove-index")
_ANSWER_SECONDS: Final = 150.0


class Indexes(Protocol):
    """A cluster whose indexes come and go."""

    def add_index(self, name: str, *, model: str, shards: int, replicas: int = 1) -> object: ...

    def remove_index(self, name: str) -> None: ...


def place() -> Path:
    """Where the socket of this user's cluster is."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "omma"
    root.mkdir(parents=True, exist_ok=True)
    return root / "cluster.sock"


@contextmanager
def controlled(
    servers: Callable[[], Mapping[str, Server]], supervisor: Supervisor, indexes: Indexes | None = None
) -> Iterator[None]:
    """Answers beside the block, unless another cluster of this user answers. servers: by the name that is asked for, as
    they are then.
    """
    path = place()
    if _answers(path):
        yield
        return
    path.unlink(missing_ok=True)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked = json.loads(self.rfile.readline(1_000))
            answer = _done(servers, supervisor, indexes, asked)
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


def ask(action: str, part: str, **index: Any) -> dict[str, Any]:
    """What the running cluster answers: `parts`, or `error`. index: model, shards and replicas of one that is added.
    Raises ConnectionError when there is none.
    """
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(_ANSWER_SECONDS)
        try:
            one.connect(str(place()))
        except FileNotFoundError:
            raise ConnectionRefusedError from None
        one.sendall(json.dumps({"action": action, "part": part, **index}).encode() + b"\n")
        answer: dict[str, Any] = json.loads(one.makefile().readline())
    return answer


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect(str(path))
        except OSError:
            return False
    return True


def _done(
    servers: Callable[[], Mapping[str, Server]],
    supervisor: Supervisor,
    indexes: Indexes | None,
    asked: Mapping[str, Any],
) -> dict[str, Any]:
    action, part = asked["action"], asked["part"]
    try:
        if action.endswith("-index") and indexes is not None:
            _change(indexes, asked)
        elif action != "status":
            known = servers()
            if part not in known:
                return {"error": f"There is no part {part!r}; there are: {', '.join(known)}."}
            _do(known[part], supervisor, action, part)
    except RuntimeError as error:
        return {"error": str(error)}
    except OmmaError as error:
        return {"error": error.detail}
    return {"parts": {name: server.pid if server.running() else None for name, server in servers().items()}}


def _change(indexes: Indexes, asked: Mapping[str, Any]) -> None:
    if asked["action"] == "add-index":
        given = {name: asked[name] for name in ("model", "shards", "replicas")}
        indexes.add_index(asked["part"], **given)
    else:
        indexes.remove_index(asked["part"])


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
