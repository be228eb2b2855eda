"""One service of Omma as a process that can be killed, stopped and started again."""

import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.parts import Server
from deploy.parts.http import get_ok

ROOT: Final = Path(__file__).parents[2]
_CHECK_SECONDS: Final = 2.0


class Service:
    """`python -m services.<name>` on 127.0.0.1. It starts without waiting for the others: they find each other."""

    def __init__(self, name: str, module: str, port: int, *, http_port: int = 0, disk_mib: int = 0) -> None:
        """disk_mib: a disk of that size in memory, which is lost when the process ends; 0: a folder. Needs root."""
        self.name = name
        self.module = module
        self.port = port
        self.http_port = http_port
        self.disk_mib = disk_mib
        self.server = Server(name)

    @property
    def address(self) -> str:
        """Of its gRPC face, `host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def data_dir(self) -> Path:
        """Its disk, as it sees it."""
        return self.server.folder / "disk"

    @property
    def disk(self) -> Path:
        """Its disk, as this process sees it; while the service runs."""
        return Path(f"/proc/{self.server.pid}/root{self.data_dir}") if self.disk_mib else self.data_dir

    def start(self, environment: Mapping[str, str], *, wait: bool = True) -> None:
        """wait: until it is ready; else only until the process runs. Raises RuntimeError with its log."""
        own = {
            "OMMA_BIND": "127.0.0.1",
            "OMMA_GRPC_PORT": str(self.port),
            "OMMA_METRICS_PORT": "0",
            "PYTHONPATH": str(ROOT),
        }
        if self.http_port:
            own["OMMA_HTTP_PORT"] = str(self.http_port)
        self.data_dir.mkdir(parents=True, exist_ok=True)
        command = [*self._with_disk(), sys.executable, "-m", self.module]
        self.server.start(command, self.ready, {**environment, **own}, wait=wait)

    def ready(self) -> bool:
        """What its health check says; False while nobody listens."""
        if self.http_port:
            try:
                return get_ok(f"http://127.0.0.1:{self.http_port}/readyz")
            except OSError:
                return False
        with grpc.insecure_channel(self.address) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            try:
                answer = check(health_pb2.HealthCheckRequest(), timeout=_CHECK_SECONDS)
            except grpc.RpcError:
                return False
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def listens(self) -> bool:
        """Whether its gRPC face takes connections, ready or not."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=_CHECK_SECONDS).close()
        except OSError:
            return False
        return True

    def _with_disk(self) -> list[str]:
        """What runs a command with its own disk mounted, in a namespace of its own: the disk goes with the process."""
        if not self.disk_mib:
            return []
        mount = f'mount -t tmpfs -o size={self.disk_mib}m tmpfs "$0" && exec "$@"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, str(self.data_dir)]
