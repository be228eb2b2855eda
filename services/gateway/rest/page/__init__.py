"""The page where people look: what web/ builds, as static files at `/` and `/ui/…`, and its sessions."""

from services.gateway.rest.page.router import page_router
from services.gateway.rest.page.session import session_router

__all__ = ["page_router", "session_router"]
