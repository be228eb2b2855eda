"""Who may call: keys as the catalog keeps them, and what each role may do."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from omma.identity import Tenant

_ID_CHARACTERS: Final = 12


class Role(StrEnum):
    """Each includes the ones before it. All but admin, who runs the whole Omma, concern one tenant."""

    READ = "read"
    WRITE = "write"
    TENANT_ADMIN = "tenant-admin"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """hash: sha256 hex of the secret; the secret itself is never stored."""

    hash: str
    name: str
    tenant: Tenant
    role: Role
    created_at_ms: int
    revoked: bool = False

    @property
    def id(self) -> str:
        """The start of its hash: enough to tell a machine's keys apart."""
        return self.hash[:_ID_CHARACTERS]


class KeyBook(Protocol):
    """The catalog's calls about keys; each is one transaction and raises as the catalog's others do."""

    async def add_api_key(self, key: ApiKey) -> None: ...

    async def api_keys(self) -> list[ApiKey]:
        """Every one, oldest first; one with a role that this version does not know lets nobody in and is left out."""

    async def revoke_api_key(
        self, hash_prefix: str, tenant: Tenant | None = None, *, leave_an_admin: bool = False
    ) -> ApiKey:
        """tenant: among its keys only. leave_an_admin: not the last valid admin key, even of two at once.

        Raises Absent, InvalidQuery when the prefix fits several, WrongState for the last admin key.
        """

    async def secret(self, name: str) -> bytes:
        """32 random bytes that every process on this catalog knows by this name; made when first asked for."""
