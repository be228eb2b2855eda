"""The re-ranker as a process of its own: what it is started with, and where it says that it serves."""

import asyncio
import json
import os

from tests.conftest import ROOT

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("OMMA_")},
    "PYTHONPATH": str(ROOT),
    "OMMA_GRPC_PORT": "0",
    "OMMA_METRICS_PORT": "0",
    "OMMA_RERANK__POLICIES": '[{"name": "shop", "version": 2}]',
    "OMMA_RERANK__DEFAULT_POLICY": "shop",
}


async def port_of(process: asyncio.subprocess.Process) -> int:
    """From the log: each line is a JSON object."""
    assert process.stderr is not None
    async for line in process.stderr:
        said = json.loads(line)
        if "port" in said:
            return int(said["port"])
    raise AssertionError("it ended before it served")
