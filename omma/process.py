"""What every process of Omma begins and ends with: settings, logs, metrics, the signal to stop."""

import asyncio
import gc
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import grpc
import uvloop
from prometheus_client import start_http_server
from pydantic import Field

from omma.rpc.tls import TlsFiles
from omma.settings import Section, Settings, warn_unknown_names
from omma.telemetry.logs import configure_logging

T = TypeVar("T")

_SWITCH_SECONDS: Final = 0.0005
"""A thread that decodes records holds the interpreter this long at most while an answer waits; Python's own is 5 ms."""

_NEW_OBJECTS: Final = 5_000
"""Containers made between two looks of the garbage collector: Python's 700 cost a gateway 8% of its time."""


class TlsSettings(Section):
    """PEM files: OMMA_TLS__CERTIFICATE and OMMA_TLS__KEY of this process, OMMA_TLS__AUTHORITY for the others'.

    None at all: plain text.
    """

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None

    def files(self) -> TlsFiles | None:
        if self.certificate is None and self.key is None and self.authority is None:
            return None
        return TlsFiles(self.certificate, self.key, self.authority)


class ProcessSettings(Settings):
    """Of a service that is a process of its own; each service adds its section."""

    bind: str = "127.0.0.1"
    grpc_port: int = Field(default=9090, ge=0, le=65_535, description="0: a free one, told in the log")
    metrics_port: int = Field(default=9464, ge=0, le=65_535, description="Prometheus, plain HTTP; 0: none")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"
    drain_seconds: float = Field(default=10.0, ge=0, le=600, description="for running calls after SIGTERM")
    tls: TlsSettings = TlsSettings()

    @property
    def grpc_address(self) -> str:
        return f"[{self.bind}]:{self.grpc_port}" if ":" in self.bind else f"{self.bind}:{self.grpc_port}"

    def server_credentials(self) -> grpc.ServerCredentials | None:
        """Reads the TLS files. Raises OSError, ValueError."""
        files = self.tls.files()
        return None if files is None else files.server_credentials()


def begin(settings: ProcessSettings) -> None:
    """Logs as the settings say, a warning for each OMMA_* name that nothing reads, /metrics on its port."""
    configure_logging(settings.log_level, settings.log_format)
    warn_unknown_names(settings.known_names())
    if settings.metrics_port:
        start_http_server(settings.metrics_port, addr=settings.bind)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a process's coroutine to its end. On uvloop a gRPC call costs 235 us of CPU instead of 300."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.freeze()  # what was imported is not looked at again
    gc.set_threshold(_NEW_OBJECTS, 10, 10)
    return uvloop.run(work)


async def until_stopped(signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT)) -> None:
    """Wait for a signal to stop. From its first call on, the signals no longer end the process by themselves."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in signals:
        loop.add_signal_handler(one, stopped.set)
    await stopped.wait()
