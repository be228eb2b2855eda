"""GET /docs; /redoc leads there."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.gateway.rest.docs.page import render

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def docs_router(openapi: Callable[[], Mapping[str, Any]]) -> APIRouter:
    """openapi: the document; asked once, when somebody looks."""
    router = APIRouter(include_in_schema=False)
    page = cache(lambda: render(openapi()))

    @router.get("/docs")
    async def docs() -> Response:
        return HTMLResponse(page(), headers=_HEADERS)

    @router.get("/redoc")
    async def redoc() -> Response:
        return RedirectResponse("/docs", status_code=308)

    return router
