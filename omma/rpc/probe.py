"""python -m omma.rpc.probe [SERVICE]: exit code 0 when this machine's gRPC server says that it serves.

For containers without a prober of their own. SERVICE is "" for readiness (unless told), `liveness` for the loop that
turns. The port is OMMA_GRPC_PORT; with OMMA_TLS__… it speaks TLS, as the process itself, whose certificate need not
name this machine.
"""

import os
import socket
import ssl
import sys
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2

from omma.rpc.tls import TlsFiles

_CHECK: Final = "/grpc.health.v1.Health/Check"
_TIMEOUT_SECONDS: Final = 3.0
_TLS_FILES: Final = ("CERTIFICATE", "KEY", "AUTHORITY")


def serves(address: str, service: str, tls: TlsFiles | None = None) -> bool:
    """Whether grpc.health.v1 says SERVING of this name; False when nobody answers. Blocks. Raises OSError for files."""
    try:
        with _channel(address, tls) as channel:
            check = channel.unary_unary(
                _CHECK,
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            answer = check(health_pb2.HealthCheckRequest(service=service), timeout=_TIMEOUT_SECONDS)
    except (grpc.RpcError, ConnectionError, TimeoutError, ssl.SSLError) as error:
        print(error.details() if isinstance(error, grpc.Call) else error, file=sys.stderr)
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _channel(address: str, tls: TlsFiles | None) -> grpc.Channel:
    if tls is None:
        return grpc.insecure_channel(address)
    name = _name_of_server(address, tls)
    options = [("grpc.ssl_target_name_override", name)] if name else []
    return grpc.secure_channel(address, tls.channel_credentials(), options)


def _name_of_server(address: str, tls: TlsFiles) -> str:
    """The first host in the server's certificate, which is checked but for the name; empty when it names none."""
    context = ssl.create_default_context(cafile=tls.authority)
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key)
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), _TIMEOUT_SECONDS) as plain, context.wrap_socket(plain) as wrapped:
        said: Any = wrapped.getpeercert() or {}
    return next((str(name) for kind, name in said.get("subjectAltName", ()) if kind == "DNS"), "")


if __name__ == "__main__":
    # Not the settings class, which takes longer to import than the probe runs.
    files = [Path(path) if (path := os.environ.get(f"OMMA_TLS__{name}")) else None for name in _TLS_FILES]
    port = os.environ.get("OMMA_GRPC_PORT", "9090")
    sys.exit(not serves(f"127.0.0.1:{port}", (sys.argv[1:] or [""])[0], TlsFiles(*files) if any(files) else None))
