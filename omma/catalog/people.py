"""The keys that people sign in with, and what their sessions are signed with."""

from dataclasses import replace
from secrets import token_bytes
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.catalog.api_key import ApiKey, Role
from omma.catalog.database import Database, uninterrupted
from omma.catalog.schema.work import api_keys, secrets
from omma.errors import Absent, ConcurrentWrite, InvalidQuery, WrongState
from omma.identity import Tenant

_ADMINS: Final = (
    select(api_keys.c.hash)
    .where(api_keys.c.role == Role.ADMIN.value, api_keys.c.revoked.is_(False))
    .order_by(api_keys.c.hash)
    .with_for_update()
)
"""The valid ones, held: of two that revoke each other's key the second sees what the first did."""
_ROLES: Final = frozenset(Role)
_SECRET_BYTES: Final = 32


class People:
    """The catalog's calls about keys; see omma.catalog.api_key.KeyBook."""

    _database: Database

    @uninterrupted
    async def add_api_key(self, key: ApiKey) -> None:
        insert = self._database.dialect.insert(api_keys).on_conflict_do_nothing().returning(api_keys.c.hash)
        values = {
            "hash": key.hash,
            "name": key.name,
            "tenant_id": key.tenant,
            "role": key.role.value,
            "created_at": key.created_at_ms,
            "revoked": key.revoked,
        }
        async with self._database.writing() as connection:
            if (await connection.execute(insert, values)).first() is None:
                raise ConcurrentWrite("This API key exists already.", field="key")

    @uninterrupted
    async def api_keys(self) -> list[ApiKey]:
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.hash)
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).mappings().all()
        return [
            ApiKey(
                hash=row["hash"],
                name=row["name"],
                tenant=Tenant(row["tenant_id"]),
                role=Role(row["role"]),
                created_at_ms=row["created_at"],
                revoked=row["revoked"],
            )
            for row in found
            if row["role"] in _ROLES  # a newer version's, in a catalog that both use while they change places
        ]

    @uninterrupted
    async def revoke_api_key(
        self, hash_prefix: str, tenant: Tenant | None = None, *, leave_an_admin: bool = False
    ) -> ApiKey:
        keys = [key for key in await self.api_keys() if tenant in (None, key.tenant)]
        fitting = [key for key in keys if hash_prefix and key.hash.startswith(hash_prefix)]
        if not fitting:
            raise Absent(f"There is no API key {hash_prefix[:80]!r}.", field="key")
        if len(fitting) > 1:
            raise InvalidQuery(f"{len(fitting)} API keys start with {hash_prefix!r}; give more of it.", field="key")
        (key,) = fitting
        async with self._database.writing() as connection:
            if leave_an_admin:
                await _leave_an_admin(connection, key)
            await connection.execute(update(api_keys).where(api_keys.c.hash == key.hash).values(revoked=True))
        return replace(key, revoked=True)

    @uninterrupted
    async def secret(self, name: str) -> bytes:
        query = select(secrets.c.value).where(secrets.c.name == name)
        async with self._database.reading() as connection:
            known = (await connection.execute(query)).scalar()
        if known is None:
            insert = self._database.dialect.insert(secrets).on_conflict_do_nothing()
            async with self._database.writing() as connection:
                await connection.execute(insert, {"name": name, "value": token_bytes(_SECRET_BYTES)})
                known = (await connection.execute(query)).scalar_one()
        return bytes(known)


async def _leave_an_admin(connection: AsyncConnection, key: ApiKey) -> None:
    """Raises WrongState, field `key`, when no other key is a valid admin's."""
    if list((await connection.execute(_ADMINS)).scalars()) == [key.hash]:
        raise WrongState(
            f"{key.id} is the last admin key that is valid: make another first. Where the catalog is, `omma key` "
            "revokes it all the same.",
            field="key",
        )
