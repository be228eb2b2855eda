"""python -m deploy.local: hold a cluster on this machine until Ctrl-C or SIGTERM."""

import argparse
import signal
import socket
import sys
from contextlib import ExitStack
from typing import Final

from rich.console import Console
from rich.table import Table

from deploy.local import Cluster, Shape, cluster
from deploy.parts import PartMissing

_REST: Final = 8080
_GRPC: Final = 9090


def main() -> None:
    words = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    words.add_argument("--shards", type=int, default=4)
    words.add_argument("--replicas", type=int, default=2)
    words.add_argument("--model", default="omma-mini")
    words.add_argument("--models-dir", default="models")
    words.add_argument("--no-triton", action="store_true", help="embed with ONNX Runtime inside EGS")
    given = words.parse_args()
    shape = Shape(
        shards=given.shards,
        replicas=given.replicas,
        model=given.model,
        models_dir=given.models_dir,
        triton=not given.no_triton,
        http_port=_free_or_any(_REST),
        grpc_port=_free_or_any(_GRPC),
    )
    console = Console()
    with ExitStack() as stack:
        try:
            with console.status("Kafka, MinIO, PostgreSQL, Triton, then the services; parts are built once …"):
                running = stack.enter_context(cluster(shape))
        except PartMissing as missing:
            sys.exit(str(missing))
        _say(console, running)
        stop = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, stop)
        signal.sigwait(stop)


def _say(console: Console, running: Cluster) -> None:
    table = Table("part", "process", "address", header_style="bold")
    parts = {"Kafka": running.kafka.brokers, "MinIO": running.minio.endpoint, "PostgreSQL": running.postgres.url}
    if running.triton is not None:
        parts["Triton"] = running.triton.url
    for name, address in parts.items():
        table.add_row(name, "", address)
    for service in running.services:
        table.add_row(service.name, str(service.server.pid), service.address)
    console.print(table)
    console.print(
        f"REST and its docs: {running.rest}/docs    gRPC: {running.grpc}    Ctrl-C ends it all.", highlight=False
    )
    console.print("For `omma` commands on its storage:")
    for name, value in running.environment.items():
        console.print(f"export {name}={value}", highlight=False, soft_wrap=True)


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
