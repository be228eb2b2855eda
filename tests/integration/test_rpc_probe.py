"""The probe that containers run, against a real server."""

from omma.rpc.server import LIVENESS, RpcServer
from tests.integration.rpc_probe import probed


async def test_the_probe_tells_readiness_from_liveness_and_nobody_from_both() -> None:
    server = RpcServer([])
    port = await server.start("127.0.0.1:0")
    assert [await probed(port), await probed(port, LIVENESS)] == [1, 0]
    await server.set_ready(True)
    assert [await probed(port), await probed(port, "omma.v1.NoSuchService")] == [0, 1]
    await server.stop(0)
    assert [await probed(port), await probed(port, LIVENESS)] == [1, 1]
