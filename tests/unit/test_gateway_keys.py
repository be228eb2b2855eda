"""Who handles whose API keys."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from omma.catalog.api_key import Role
from omma.catalog.schema.work import api_keys
from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import Absent, NotAllowed, WrongState
from omma.identity import DEFAULT_TENANT, Tenant
from services.gateway.callers.auth import Caller, hash_secret
from services.gateway.callers.keys import Keys

ANN, BOB = Tenant("ann"), Tenant("bob")
ADMIN = Caller(DEFAULT_TENANT, Role.ADMIN)
ANNS = Caller(ANN, Role.TENANT_ADMIN)


@pytest.fixture
async def keys(tmp_path: Path) -> AsyncIterator[Keys]:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    yield Keys(catalog)
    await catalog.close()


async def test_an_admin_handles_every_tenants_keys(keys: Keys) -> None:
    secret, made = await keys.create(ADMIN, "first", Role.ADMIN, None)
    assert (made.tenant, made.hash) == (DEFAULT_TENANT, hash_secret(secret))
    _, bobs = await keys.create(ADMIN, "bob's", Role.TENANT_ADMIN, BOB)
    assert {key.hash for key in await keys.every(ADMIN)} == {made.hash, bobs.hash}
    assert (await keys.revoke(ADMIN, bobs.hash[:12])).revoked


async def test_a_tenants_administrator_handles_its_own_and_sees_no_other(keys: Keys) -> None:
    _, bobs = await keys.create(ADMIN, "bob's", Role.READ, BOB)
    _, made = await keys.create(ANNS, "a camera", Role.WRITE, None)
    assert made.tenant == ANN
    assert (await keys.create(ANNS, "a deputy", Role.TENANT_ADMIN, ANN))[1].role is Role.TENANT_ADMIN
    with pytest.raises(NotAllowed) as failure:
        await keys.create(ANNS, "a spy", Role.READ, BOB)
    assert failure.value.field == "tenant"
    with pytest.raises(NotAllowed) as failure:
        await keys.create(ANNS, "more", Role.ADMIN, ANN)
    assert failure.value.field == "role"
    assert {key.tenant for key in await keys.every(ANNS)} == {ANN}
    with pytest.raises(Absent):
        await keys.revoke(ANNS, bobs.hash)
    assert not any(key.revoked for key in await keys.every(ADMIN))
    assert (await keys.revoke(ANNS, made.hash)).revoked


async def test_who_came_by_a_key_leaves_an_admins(keys: Keys) -> None:
    _, only = await keys.create(ADMIN, "only", Role.ADMIN, None)
    _, write = await keys.create(ADMIN, "a camera", Role.WRITE, None)
    by_key = replace(ADMIN, credential=f"key:{only.id}")
    with pytest.raises(WrongState, match="last admin key") as failure:
        await keys.revoke(by_key, only.hash)
    assert failure.value.field == "key"
    assert not any(key.revoked for key in await keys.every(ADMIN))
    assert (await keys.revoke(by_key, write.hash)).revoked, "of another role"
    _, other = await keys.create(by_key, "another", Role.ADMIN, ANN)
    assert (await keys.revoke(by_key, only.hash)).revoked, "another valid one is there"
    assert (await keys.revoke(by_key, only.hash)).revoked, "and again: it is no valid one any more"
    with pytest.raises(WrongState):
        await keys.revoke(by_key, other.hash)


@pytest.mark.parametrize("credential", ["owner", "token:ann", ""])
async def test_who_needs_no_key_revokes_the_last(keys: Keys, credential: str) -> None:
    _, only = await keys.create(ADMIN, "only", Role.ADMIN, None)
    assert (await keys.revoke(replace(ADMIN, credential=credential), only.hash)).revoked


async def test_an_admins_key_is_out_of_a_tenant_administrators_reach(keys: Keys) -> None:
    _, made = await keys.create(ADMIN, "the admin's, of ann", Role.ADMIN, ANN)
    with pytest.raises(NotAllowed):
        await keys.revoke(ANNS, made.hash)
    assert not (await keys.every(ADMIN))[0].revoked


async def test_a_key_of_a_role_that_is_not_known_takes_the_others_from_nobody(tmp_path: Path) -> None:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    keys = Keys(catalog)
    _, made = await keys.create(ADMIN, "one", Role.READ, None)
    row = {"hash": "ff", "name": "later", "tenant_id": ANN, "role": "archivist", "created_at": 0, "revoked": False}
    async with catalog._database.writing() as connection:  # type: ignore[attr-defined]  # as a later version would
        await connection.execute(api_keys.insert(), row)
    assert await keys.every(ADMIN) == [made]
    await catalog.close()
