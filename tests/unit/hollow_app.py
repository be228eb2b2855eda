"""The gateway's REST face with nothing behind it: for what is decided before anything is asked."""

from typing import Any
from unittest.mock import AsyncMock, MagicMock

from fastapi import FastAPI

from omma.images import PictureLimits
from services.gateway.callers.auth import Authenticator
from services.gateway.rest.app import create_app
from services.gateway.rest.curation import Curation
from services.gateway.rest.operation import Operation
from services.gateway.settings import GatewaySettings


def hollow_app(settings: GatewaySettings | None = None, *, open_without_keys: bool = True) -> FastAPI:
    """There is no key. What a core is asked it answers with a mock."""
    core: Any = MagicMock()
    core.picture_limits = PictureLimits()
    core.api_keys = AsyncMock(return_value=[])
    return create_app(
        core,
        core,
        core,
        Operation(*[core] * 12),
        Authenticator(core, open_without_keys=open_without_keys),
        core,
        settings or GatewaySettings(),
        curation=Curation(core, core, core, core, core, core),
        bodies=core,
        trail=core,
        metrics_open=True,
    )
