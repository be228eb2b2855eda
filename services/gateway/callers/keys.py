"""API keys as administrators handle them: a tenant's own those of the tenant, an admin everybody's."""

import secrets
import time
from collections.abc import Callable
from typing import Final

from omma.catalog.api_key import ApiKey, Role
from omma.catalog.interface import Catalog
from omma.errors import NotAllowed
from omma.identity import DEFAULT_TENANT, Tenant
from services.gateway.callers.auth import KEY, Caller, hash_secret
from services.gateway.callers.changes import concerns

_SECRET_BYTES: Final = 32


class Keys:
    """Nobody makes or revokes a key that may more than their own. Other tenants' keys are absent to a tenant-admin."""

    def __init__(
        self, catalog: Catalog, on_change: Callable[[], None] = lambda: None, now: Callable[[], float] = time.time
    ) -> None:
        """on_change: told when a key was made or revoked."""
        self._catalog = catalog
        self._on_change = on_change
        self._now = now

    async def create(self, caller: Caller, name: str, role: Role, tenant: Tenant | None) -> tuple[str, ApiKey]:
        """The secret, which is nowhere else, and its key. tenant: None is an admin's `default`, else the caller's own.

        Raises NotAllowed, field `tenant` or `role`.
        """
        if tenant is None:
            tenant = DEFAULT_TENANT if caller.may(Role.ADMIN) else caller.tenant
        if tenant != caller.tenant and not caller.may(Role.ADMIN):
            raise NotAllowed("Keys of other tenants need an API key with role admin.", field="tenant")
        _require_reach(caller, role)
        secret = f"omma_{secrets.token_urlsafe(_SECRET_BYTES)}"
        key = ApiKey(hash_secret(secret), name, tenant, role, round(self._now() * 1000))
        await self._catalog.add_api_key(key)
        concerns("key", key.id)
        self._on_change()
        return secret, key

    async def every(self, caller: Caller) -> list[ApiKey]:
        """Those that the caller may see, oldest first."""
        tenant = _reach(caller)
        return [key for key in await self._catalog.api_keys() if tenant in (None, key.tenant)]

    async def revoke(self, caller: Caller, hash_prefix: str) -> ApiKey:
        """Who came by a key leaves at least one admin's: without one nobody could make another. The owner, and whom a
        token lets in, need no key for that.

        Raises Absent, InvalidQuery for a prefix that fits several, NotAllowed, WrongState for the last admin key.
        """
        for key in await self.every(caller):
            if key.hash.startswith(hash_prefix):
                _require_reach(caller, key.role)
        revoked = await self._catalog.revoke_api_key(
            hash_prefix, _reach(caller), leave_an_admin=caller.credential.startswith(KEY)
        )
        concerns("key", revoked.id)
        self._on_change()
        return revoked


def _reach(caller: Caller) -> Tenant | None:
    """The tenant whose keys the caller handles; None: every one's."""
    return None if caller.may(Role.ADMIN) else caller.tenant


def _require_reach(caller: Caller, role: Role) -> None:
    if not caller.may(role):
        raise NotAllowed(f"A key of role {caller.role.value} has no say over one of role {role.value}.", field="role")
