"""The probe that containers run, as a process."""

import asyncio
import os
import sys


async def probed(port: int, *words: str, **settings: str) -> int:
    """The probe's exit code."""
    environment = {**os.environ, "OMMA_GRPC_PORT": str(port), **settings}
    probe = await asyncio.create_subprocess_exec(sys.executable, "-m", "omma.rpc.probe", *words, env=environment)
    return await probe.wait()
