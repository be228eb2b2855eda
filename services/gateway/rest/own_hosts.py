"""Where no key is needed, only this machine's own names are answered, and no page of another site.

A page elsewhere may let its name lead to 127.0.0.1 (DNS rebinding), or send a form there: what tells such a request is
the Host, the Origin and the Sec-Fetch-Site that the browser writes. Once there are keys a browser has nothing to send
along by itself, and any Host may be a proxy's. gRPC's port needs no such door: no browser speaks it.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from omma.errors import NotAllowed
from services.gateway.callers.auth import is_loopback
from services.gateway.rest.problems import problem

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:@/\\?#\[\]]+)(:[0-9]{1,5})?")
_READ: Final = (b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest")
_WHAT_TO_DO: Final = "Name it in OMMA_GATEWAY__TRUSTED_HOSTS, or make an API key."


class OwnHosts:
    """ASGI middleware; answers 403 itself."""

    def __init__(
        self, app: ASGIApp, *, keyless: Callable[[], bool], trusted: Collection[str], origins: Collection[str]
    ) -> None:
        """keyless: whether everyone is let in now. trusted: further names of this server, without a port. origins:
        whose pages may ask.
        """
        self._app = app
        self._keyless = keyless
        self._trusted = frozenset(name.lower() for name in trusted)
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._keyless():
            said = {name: value.decode("latin-1").lower() for name, value in scope["headers"] if name in _READ}
            try:
                self._require_own(scope["method"], said)
            except NotAllowed as error:
                await problem(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _require_own(self, method: str, said: Mapping[bytes, str]) -> None:
        host = said.get(b"host", "")
        if not self._is_own(_name(host)):
            raise NotAllowed(f"Without keys this Omma is not asked as {host[:100]!r}. {_WHAT_TO_DO}", field="Host")
        origin = said.get(b"origin")
        if origin in self._origins:
            return
        if origin is not None and not self._is_same(origin, host):
            raise NotAllowed(f"Without keys pages of {origin[:100]!r} are not answered. {_WHAT_TO_DO}", field="Origin")
        if said.get(b"sec-fetch-site") == "cross-site" and not _is_link(method, said):
            raise NotAllowed(f"Without keys pages of other sites are not answered. {_WHAT_TO_DO}", field="Origin")

    def _is_own(self, name: str) -> bool:
        # localhost and what is below it lead to this machine in every browser (RFC 6761).
        return name in self._trusted or name.endswith(".localhost") or is_loopback(name)

    def _is_same(self, origin: str, host: str) -> bool:
        try:
            place = urlsplit(origin).netloc
        except ValueError:
            return False
        return bool(place) and (place == host or _name(place) in self._trusted)


def _name(host: str) -> str:
    """Of a Host header, in lower case and without a port; empty for what is none."""
    fits = _HOST.fullmatch(host)
    return fits[1].strip("[]").removesuffix(".") if fits else ""


def _is_link(method: str, said: Mapping[bytes, str]) -> bool:
    """A person follows a link to here: nothing of the answer is seen by the page that has the link."""
    return (
        method in ("GET", "HEAD")
        and said.get(b"sec-fetch-mode") == "navigate"
        and said.get(b"sec-fetch-dest") == "document"
    )
