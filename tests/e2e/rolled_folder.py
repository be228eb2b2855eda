"""A data folder for a rollout in one process, whose judge and builder look all the time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from services.standalone.serve import serving
from services.standalone.settings import StandaloneSettings
from tests.e2e.two_models import A


@dataclass
class Folder:
    """Of a data folder; opened again and again."""

    path: Path

    @asynccontextmanager
    async def up(self, model: str = A, **gateway: Any) -> AsyncIterator[httpx.AsyncClient]:
        options = StandaloneSettings(
            data_dir=self.path / "data",
            http_port=0,
            grpc_port=0,
            model=model,
            egs={"models_dir": self.path / "models"},
            gateway=gateway,
            worker={"rollout_look_seconds": 0.1, "resend_seconds": 0.5, "judge_seconds": 1},
        )
        async with serving(options) as (_, address), httpx.AsyncClient(base_url=address.url, timeout=120) as client:
            yield client
