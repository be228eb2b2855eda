"""Sessions of the page: a signed cookie stands for an API key or a token, so that a browser's own requests carry it.

A cookie names its key by hash, or says what the token said, and its end; the signature's secret is the catalog's, so
that every gateway knows it.
What a page of another site cannot know is the token that each write has to bring along.
"""

import base64
import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from omma.catalog.api_key import KeyBook
from omma.errors import NotAllowed, NotSignedIn

_NAME: Final = "sessions"
_MAX_COOKIE_CHARACTERS: Final = 2_048
_PARTS: Final = 4
_ENDED: Final = "This session is unknown or over: sign in again."


@dataclass(frozen=True, slots=True)
class Session:
    """stands_for: hash of an API key, or a packed Bearer. token: to be brought along by writes."""

    cookie: str
    stands_for: str
    token: str
    ends_at_seconds: int


class Sessions:
    """seconds: how long one lasts; a revoked key ends it at once. now: seconds since 1970."""

    def __init__(self, keys: KeyBook, *, seconds: float, now: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._seconds = seconds
        self._now = now
        self._secret: bytes | None = None

    async def begin(self, stands_for: str, until_seconds: float = math.inf) -> Session:
        """A new one. stands_for: has no dot. until_seconds: since 1970, when it ends at the latest."""
        ends_at = int(min(self._now() + self._seconds, until_seconds))
        said = f"{stands_for}.{ends_at}.{secrets.token_urlsafe(12)}"
        return await self._session(said, stands_for, ends_at)

    async def of(self, cookie: str) -> Session:
        """The one that this cookie carries. Raises NotSignedIn."""
        said, _, signature = cookie.rpartition(".")
        parts = cookie.split(".")
        if len(cookie) > _MAX_COOKIE_CHARACTERS or len(parts) != _PARTS or not cookie.isascii():
            raise NotSignedIn(_ENDED)
        if not hmac.compare_digest(signature, await self._signed("cookie", said)):
            raise NotSignedIn(_ENDED)
        ends_at = int(parts[1])
        if ends_at <= self._now():
            raise NotSignedIn(_ENDED)
        return await self._session(said, parts[0], ends_at)

    async def _session(self, said: str, stands_for: str, ends_at: int) -> Session:
        signature = await self._signed("cookie", said)
        return Session(f"{said}.{signature}", stands_for, await self._signed("token", said), ends_at)

    async def _signed(self, purpose: str, said: str) -> str:
        if self._secret is None:
            self._secret = await self._keys.secret(_NAME)
        digest = hmac.digest(self._secret, f"{purpose}.{said}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def require_token(session: Session, brought: str | None) -> None:
    """Raises NotAllowed unless a write brings its session's token along."""
    if brought is None or not hmac.compare_digest(session.token.encode(), brought.encode("utf-8", "replace")):
        raise NotAllowed("A session's writes carry its token, as GET /ui/session tells it.", field="Omma-Csrf")
