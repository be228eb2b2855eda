"""/docs: every call, from the OpenAPI document, without a script and without the internet."""

from services.gateway.rest.docs.router import docs_router

__all__ = ["docs_router"]
