"""API keys: who is calling, for which tenant, and whether the role suffices."""

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from omma.catalog.interface import ApiKey, Catalog, Role
from omma.errors import NotAllowed, NotSignedIn, OmmaError, Overloaded
from omma.identity import DEFAULT_TENANT, Tenant

_RANK: Final = {role: rank for rank, role in enumerate(Role)}
_MAX_SECRET_CHARACTERS: Final = 512
_READ_SECONDS: Final = 1.0
_STALE_SECONDS: Final = 60.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. key_name: empty where no key is needed."""

    tenant: Tenant
    role: Role
    key_name: str = ""

    def require(self, role: Role) -> None:
        """Raises NotAllowed when the caller's role is below this one."""
        if _RANK[self.role] < _RANK[role]:
            raise NotAllowed(f"This needs an API key with role {role.value}; this one has {self.role.value}.")


class Authenticator:
    """Knows the keys of the catalog, as of at most max_age_seconds ago: a revoked key works no longer than that.

    While the catalog cannot be read, say because another process has locked it, what was known last counts, for a
    minute: searches read no database to answer.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        open_without_keys: bool,
        max_age_seconds: float = 5.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """open_without_keys: while no key exists everyone is admin of the default tenant; for loopback only."""
        self._catalog = catalog
        self._open_without_keys = open_without_keys
        self._max_age_seconds = max_age_seconds
        self._now = now
        self._keys: list[ApiKey] = []
        self._read_at = float("-inf")
        self._known_at = float("-inf")
        self._reading = asyncio.Lock()

    async def caller(self, secret: str | None, role: Role) -> Caller:
        """Who holds this secret, with at least this role. Raises NotSignedIn, NotAllowed, Overloaded."""
        keys = await self._fresh_keys()
        if not keys and self._open_without_keys:
            return Caller(DEFAULT_TENANT, Role.ADMIN)
        if not secret:
            raise NotSignedIn("Send an API key: Authorization: Bearer <key>, or X-API-Key: <key>.")
        key = _matching(keys, secret)
        if key is None or key.revoked:
            raise NotSignedIn("This API key is unknown or revoked.")
        caller = Caller(key.tenant, key.role, key.name)
        caller.require(role)
        return caller

    async def _fresh_keys(self) -> list[ApiKey]:
        if self._now() - self._read_at >= self._max_age_seconds:
            async with self._reading:
                if self._now() - self._read_at >= self._max_age_seconds:
                    await self._read()
        return self._keys

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                self._keys = await self._catalog.api_keys()
        except (TimeoutError, OmmaError) as error:
            if self._now() - self._known_at > _STALE_SECONDS:
                raise Overloaded("API keys cannot be checked now.", retry_after_seconds=_READ_SECONDS) from error
            logger.warning("API keys could not be read; those known still count", extra={"reason": repr(error)})
        else:
            self._known_at = self._now()
        self._read_at = self._now()


def hash_secret(secret: str) -> str:
    """What is stored of a key: sha256 hex. Secrets are random, so they need no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def secret_of(authorization: str | None, x_api_key: str | None) -> str | None:
    """The secret in `Authorization: Bearer <key>` or `X-API-Key: <key>`; the first counts."""
    if authorization:
        scheme, _, secret = authorization.partition(" ")
        return secret.strip() if scheme.lower() == "bearer" else None
    return x_api_key


def is_loopback(address: str) -> bool:
    """Whether a bind address is reachable from this machine only."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def _matching(keys: list[ApiKey], secret: str) -> ApiKey | None:
    if len(secret) > _MAX_SECRET_CHARACTERS:
        return None
    hashed = hash_secret(secret)
    found = None
    for key in keys:  # all of them, so that the time taken says nothing
        if hmac.compare_digest(key.hash, hashed):
            found = key
    return found
