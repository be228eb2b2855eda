"""What every process of Omma begins and ends with: settings, logs, metrics, the signal to stop."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Coroutine
from typing import Any, ClassVar, Final, Literal, TypeVar

import grpc
import uvloop
from prometheus_client import start_http_server
from pydantic import Field, ValidationError

from omma.errors import OmmaError, causes
from omma.rpc.tls import RenewedCredentials
from omma.rpc.tls_settings import TlsSettings
from omma.settings import Section, Settings, setting_faults, warn_unknown_names
from omma.telemetry.logs import configure_logging
from omma.telemetry.traces import configure_traces, otlp_exporter

T = TypeVar("T")

_SWITCH_SECONDS: Final = 0.0005
"""A thread that decodes records holds the interpreter this long at most while an answer waits; Python's own is 5 ms."""

_NEW_OBJECTS: Final = 5_000
"""Containers made between two looks of the garbage collector: Python's 700 cost a gateway 8% of its time."""

logger = logging.getLogger(__name__)


class TracesSettings(Section):
    """Where spans go, by OTLP over gRPC, which needs the extra `cluster`. Without an endpoint there are none."""

    endpoint: str = Field(
        default="", pattern=r"^(https?://[^\s/]+)?/?$", description="http://host:4317; https:// for TLS"
    )
    share: float = Field(default=1.0, ge=0.0, le=1.0, description="of the traces that begin in this process")


class ProcessSettings(Settings):
    """Of a service that is a process of its own; each service adds its section."""

    service: ClassVar[str] = "omma"
    """What the process is called in traces."""

    bind: str = "127.0.0.1"
    grpc_port: int = Field(default=9090, ge=0, le=65_535, description="0: a free one, told in the log")
    probe_port: int = Field(
        default=0, ge=0, le=65_535, description="grpc.health.v1 alone, in plain text, where gRPC is TLS; 0: none"
    )
    metrics_port: int = Field(default=9464, ge=0, le=65_535, description="Prometheus, plain HTTP; 0: none")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"
    drain_seconds: float = Field(default=10.0, ge=0, le=600, description="for running calls after SIGTERM")
    tls: TlsSettings = TlsSettings()
    traces: TracesSettings = TracesSettings()

    @property
    def grpc_address(self) -> str:
        return self._address(self.grpc_port)

    @property
    def probe_address(self) -> str:
        """Empty for none."""
        return self._address(self.probe_port) if self.probe_port else ""

    def server_credentials(self) -> grpc.ServerCredentials | None:
        """Reads the TLS files, again when they are renewed. Raises OSError, ValueError."""
        files = self.tls.files()
        return None if files is None else files.server_credentials()

    def channel_credentials(self) -> RenewedCredentials | None:
        """Of channels to the other services of Omma. Reads the TLS files, again when they are renewed. Raises OSError,
        ValueError.
        """
        files = self.tls.files()
        return None if files is None else RenewedCredentials(files)

    def _address(self, port: int) -> str:
        return f"[{self.bind}]:{port}" if ":" in self.bind else f"{self.bind}:{port}"


def begin(settings: ProcessSettings) -> None:
    """Logs as the settings say, a warning for each OMMA_* name that nothing reads, /metrics on its port, spans to where
    they are wanted.

    Raises WrongState, field OMMA_TRACES__ENDPOINT, without the extra `cluster`.
    """
    configure_logging(settings.log_level, settings.log_format)
    warn_unknown_names(settings.known_names())
    if settings.metrics_port:
        start_http_server(settings.metrics_port, addr=settings.bind)
    if settings.traces.endpoint:
        configure_traces(settings.service, otlp_exporter(settings.traces.endpoint), settings.traces.share)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a process's coroutine to its end. On uvloop a gRPC call costs 235 us of CPU instead of 300."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.freeze()  # what was imported is not looked at again
    gc.set_threshold(_NEW_OBJECTS, 10, 10)
    return uvloop.run(work)


def run_service(main: Coroutine[Any, Any, None]) -> None:
    """As `run`; a setting that is wrong, or an error with a kind, ends the process with a line and exit code 1."""
    try:
        run(main)
    except ValidationError as error:
        for fault in setting_faults(error):
            logger.critical("%s", fault)
    except OmmaError as error:
        extra = {"kind": error.kind.value, "field": error.field, "reason": causes(error)}
        logger.critical("the process ends: %s", error.detail, extra=extra)
    else:
        return
    sys.exit(1)


async def until_stopped() -> None:
    """Wait for SIGTERM or SIGINT. From its first call on, they no longer end the process by themselves."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stopped.set)
    await stopped.wait()
