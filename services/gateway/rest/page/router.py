"""GET / and GET /ui/…: the page's files. Its scripts and styles come from here alone, and talk to nobody else."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from services.gateway.rest.page.bundle import File, built

_INDEX: Final = "index.html"
_NONCE: Final = b"__NONCE__"
"""Stands in the built page where a response's own nonce goes."""
_UNBUILT: Final = (
    "This Omma was installed without its page. `make page` builds it (Node 20 or newer); "
    "everything else works without it: /docs lists every call.\n"
)


def page_router(upload_origin: Callable[[], Awaitable[str]]) -> APIRouter:
    """For everyone: it holds nothing of anybody's. upload_origin: where presigned uploads go; "" is here."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def search_page() -> Response:
        return _page(await upload_origin())

    @router.get("/ui/{path:path}")
    async def view(path: str, request: Request) -> Response:
        file = built().get(path)
        if file is not None and path != _INDEX:
            return _static(file, request.headers.get("accept-encoding", ""))
        if path.startswith("assets/"):
            return PlainTextResponse("This build of the page has no such file.\n", 404)
        return _page(await upload_origin())  # a view's own address: the page's router knows which

    return router


def _page(upload_origin: str) -> Response:
    page = built().get(_INDEX)
    if page is None:
        return PlainTextResponse(_UNBUILT, 404)
    nonce = secrets.token_urlsafe(16)
    return Response(
        page.content.replace(_NONCE, nonce.encode()),
        media_type=page.media_type,
        headers={**_headers(upload_origin, nonce), "Cache-Control": "no-store"},
    )


def _headers(upload_origin: str, nonce: str) -> dict[str, str]:
    reached = f"'self' {upload_origin}".rstrip()
    policy = (
        "default-src 'none'; script-src 'self'; font-src 'self'; img-src 'self' blob: data:; "
        f"style-src 'self' 'nonce-{nonce}'; connect-src {reached}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }


def _static(file: File, accepts: str) -> Response:
    lasting = "public, max-age=31536000, immutable" if file.hashed else "no-cache"
    headers = {"Cache-Control": lasting, "X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding"}
    if file.zipped is not None and "gzip" in accepts:
        return Response(file.zipped, media_type=file.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(file.content, media_type=file.media_type, headers=headers)
