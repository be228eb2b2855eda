"""The REST face as one ASGI app."""

from typing import Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

import omma
from services.gateway.callers.audit import AuditTrail
from services.gateway.callers.auth import Authenticator
from services.gateway.health import Health
from services.gateway.pictures.core import PictureCore
from services.gateway.rest import problems
from services.gateway.rest.audited import Audited
from services.gateway.rest.body_budget import BodyBudget
from services.gateway.rest.bounds import RequestBounds
from services.gateway.rest.checked_route import take_json
from services.gateway.rest.clicks import clicks_router
from services.gateway.rest.curation import Curation
from services.gateway.rest.docs import docs_router
from services.gateway.rest.embed import embed_router
from services.gateway.rest.gzipped import Gzipped
from services.gateway.rest.head import HeadAsGet
from services.gateway.rest.images import images_router
from services.gateway.rest.middleware import RequestScope
from services.gateway.rest.operation import Operation
from services.gateway.rest.ops import ops_router
from services.gateway.rest.own_hosts import OwnHosts
from services.gateway.rest.page import page_router, session_router
from services.gateway.rest.prefix import ApiPrefix
from services.gateway.rest.schemas.parts import PROBLEMS
from services.gateway.rest.search import search_router
from services.gateway.rest.similar import similar_router
from services.gateway.search.core import SearchCore
from services.gateway.search.interactions import Impressions
from services.gateway.settings import FORM_SLACK_BYTES, GatewaySettings
from services.gateway.sharing.bodies import Bodies

_ABOUT = "Finds pictures by picture, by a crop of a picture, or by words. Errors are `application/problem+json`."

_ASKED_HEADERS: Final = ("Authorization", "X-API-Key", "Content-Type", "If-None-Match", "Omma-Session", "X-Request-Id")
_TOLD_HEADERS: Final = ("ETag", "Location", "Omma-Receipt", "Retry-After", "X-Request-Id")


def create_app(  # noqa: PLR0917  called where a process is composed, once
    search: SearchCore,
    pictures: PictureCore,
    impressions: Impressions,
    operation: Operation,
    authenticator: Authenticator,
    health: Health,
    settings: GatewaySettings,
    *,
    curation: Curation,
    bodies: Bodies,
    trail: AuditTrail,
    metrics_open: bool,
) -> FastAPI:
    """metrics_open: /metrics without a key, for a loopback address. The cores' owner runs and closes them."""
    app = FastAPI(
        title="Omma",
        description=_ABOUT,
        version=omma.__version__,
        license_info={"name": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
    )
    limits = pictures.picture_limits
    app.include_router(search_router(search, authenticator, settings, limits))
    app.include_router(similar_router(search, pictures, authenticator, settings, limits))
    app.include_router(embed_router(search, authenticator, settings, limits))
    app.include_router(clicks_router(impressions, authenticator, settings))
    app.include_router(images_router(pictures, curation.auto_tags, authenticator, settings, limits))
    app.include_router(ops_router(health, authenticator, metrics_open=metrics_open))
    operating = operation.routers(search.indexes, authenticator, settings, limits)
    for router in (*curation.routers(search.indexes, authenticator), *operating):
        app.include_router(router, responses=PROBLEMS)
    app.include_router(docs_router(app.openapi))
    app.include_router(session_router(authenticator), responses=PROBLEMS)
    app.include_router(page_router(operation.uploads.origin))
    problems.install(app)
    take_json(app, settings.max_json_bytes)
    largest_bytes = max(limits.max_bytes + FORM_SLACK_BYTES, settings.max_json_bytes)
    app.add_middleware(ApiPrefix)
    app.add_middleware(BodyBudget, bodies=bodies, largest_bytes=largest_bytes, seconds=settings.body_seconds)
    app.add_middleware(RequestBounds, seconds=settings.request_seconds)
    app.add_middleware(Gzipped, least_bytes=settings.gzip_bytes)
    app.add_middleware(HeadAsGet)
    app.add_middleware(
        OwnHosts, keyless=lambda: authenticator.keyless, trusted=settings.trusted_hosts, origins=settings.cors_origins
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=_ASKED_HEADERS,
            expose_headers=_TOLD_HEADERS,
        )
    app.add_middleware(Audited, trail=trail)
    app.add_middleware(RequestScope)
    return app
