"""python -m deploy.local: hold a cluster on this machine until Ctrl-C or SIGTERM; status, stop, kill, start, add-index
and remove-index: ask it.
"""

import argparse
import logging
import signal
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from deploy.local import Cluster, Shape, cluster
from deploy.local.control import ACTIONS, ask, controlled
from deploy.parts import PartMissing

_REST: Final = 8080
_GRPC: Final = 9090


def main() -> None:
    words = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    words.add_argument("action", nargs="?", choices=("up", *ACTIONS), default="up")
    words.add_argument(
        "part", nargs="?", default="", help="as `status` names it; of add-index and remove-index the name"
    )
    words.add_argument("--shards", type=int, default=4)
    words.add_argument("--replicas", type=int, default=2)
    words.add_argument("--model", default="omma-mini")
    words.add_argument("--models-dir", default="models")
    words.add_argument("--no-triton", action="store_true", help="embed with ONNX Runtime inside EGS")
    words.add_argument("--log", type=Path, default=Path("cluster.log"), help="where what is done is told, too")
    given = words.parse_args()
    if given.action == "up":
        _hold(given)
    else:
        _ask(given)


def _hold(given: argparse.Namespace) -> None:
    _tell_progress(given.log)
    shape = Shape(
        shards=given.shards,
        replicas=given.replicas,
        model=given.model,
        models_dir=given.models_dir,
        triton=not given.no_triton,
        http_port=_free_or_any(_REST),
        grpc_port=_free_or_any(_GRPC),
    )
    with ExitStack() as stack:
        try:
            running = stack.enter_context(cluster(shape))
        except PartMissing as missing:
            sys.exit(str(missing))
        stack.enter_context(controlled(lambda: running.servers, running.supervisor, running))
        _say(Console(), running)
        stop = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, stop)
        signal.sigwait(stop)


def _tell_progress(file: Path) -> None:
    """What is got, started and answers, with the seconds since the start: a first start builds for minutes."""
    began = time.time()

    class Since(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return f"[{record.created - began:5.0f} s] {record.getMessage()}"

    told = logging.getLogger("deploy")
    told.setLevel(logging.INFO)
    for handler in (logging.StreamHandler(), logging.FileHandler(file, mode="w")):
        handler.setFormatter(Since())
        told.addHandler(handler)


def _ask(given: argparse.Namespace) -> None:
    index = {"model": given.model, "shards": given.shards, "replicas": given.replicas}
    try:
        answer = ask(given.action, given.part, **index)
    except ConnectionRefusedError:
        sys.exit("No cluster of yours runs here: make cluster")
    if "error" in answer:
        sys.exit(answer["error"])
    for name, pid in answer["parts"].items():
        print(f"{name:14} {pid or 'stopped'}")


def _say(console: Console, running: Cluster) -> None:
    table = Table("part", "process", "address", header_style="bold")
    addresses = {
        "kafka": running.kafka.brokers,
        "minio": running.minio.endpoint,
        "postgres": running.postgres.url,
        **({} if running.triton is None else {"triton": running.triton.url}),
        **{one.name: one.address for one in running.services},
    }
    for name, server in running.servers.items():
        table.add_row(name, str(server.pid), addresses[name])
    console.print(table)
    console.print(
        f"REST and its docs: {running.rest}/docs    gRPC: {running.grpc}    Ctrl-C ends it all.",
        highlight=False,
        soft_wrap=True,
    )
    console.print("`omma` commands ask this cluster's gateway once their shell knows its address:")
    console.print(f"export OMMA_URL={running.rest}", highlight=False, soft_wrap=True)
    console.print(
        "One part at a time: python -m deploy.local stop kafka | start kafka | kill egs | status", soft_wrap=True
    )
    console.print(
        "Another index: python -m deploy.local add-index next --model NAME@VERSION --shards 4 --replicas 2, then "
        "`omma rollout start --model NAME@VERSION`; remove-index takes one away.",
        soft_wrap=True,
        highlight=False,
    )
    settings = "".join(f"{name}={value}\n" for name, value in running.environment.items())
    file = running.gateway.server.folder / "storage.env"
    file.write_text(settings)
    console.print(f"The storage's settings, for a process of your own: {file}", highlight=False, soft_wrap=True)


def _free_or_any(port: int) -> int:
    """The port, or 0 when somebody has it."""
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


if __name__ == "__main__":
    main()
