"""python -m omma.rpc.probe [SERVICE]: exit code 0 when this machine's gRPC server says that it serves.

For containers without a prober of their own. SERVICE is "" for readiness (unless told), `liveness` for the loop that
turns. The port is OMMA_GRPC_PORT; plain text.
"""

import os
import sys
from typing import Final

import grpc
from grpc_health.v1 import health_pb2

_CHECK: Final = "/grpc.health.v1.Health/Check"
_TIMEOUT_SECONDS: Final = 3.0


def serves(address: str, service: str) -> bool:
    """Whether grpc.health.v1 says SERVING of this name; False when nobody answers. Blocks."""
    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary(
            _CHECK,
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(service=service), timeout=_TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            print(error.details() if isinstance(error, grpc.Call) else error, file=sys.stderr)
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


if __name__ == "__main__":
    port = os.environ.get("OMMA_GRPC_PORT", "9090")
    sys.exit(not serves(f"127.0.0.1:{port}", (sys.argv[1:] or [""])[0]))
