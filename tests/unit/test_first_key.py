"""The admin key that a container is given from outside."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omma.catalog.api_key import Role
from omma.catalog.interface import Catalog
from omma.catalog.sqlite import open_sqlite_catalog
from omma.errors import InvalidQuery, NotSignedIn
from services.gateway.callers.auth import Authenticator, hash_secret
from services.gateway.callers.first_key import FirstKeySettings, ensure_first_key

SECRET = "a-secret-of-25-characters"


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    catalog = await open_sqlite_catalog(tmp_path / "catalog.db")
    yield catalog
    await catalog.close()


async def role_of(catalog: Catalog, secret: str) -> Role:
    return (await Authenticator(catalog, open_without_keys=False).caller(secret, Role.ADMIN)).role


async def test_it_is_an_admins_from_the_start_and_stays_one(catalog: Catalog, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(SECRET + "\n")
    for _ in range(2):
        await ensure_first_key(catalog, FirstKeySettings(admin_key_file=file))
    assert await role_of(catalog, SECRET) is Role.ADMIN
    assert len(await catalog.api_keys()) == 1


async def test_another_one_takes_its_place(catalog: Catalog) -> None:
    await ensure_first_key(catalog, FirstKeySettings.model_validate({"admin_key": SECRET}))
    await ensure_first_key(catalog, FirstKeySettings.model_validate({"admin_key": SECRET + "-2"}))
    assert await role_of(catalog, SECRET + "-2") is Role.ADMIN
    with pytest.raises(NotSignedIn):
        await role_of(catalog, SECRET)


async def test_one_that_was_revoked_by_hand_stays_revoked(catalog: Catalog) -> None:
    settings = FirstKeySettings.model_validate({"admin_key": SECRET})
    await ensure_first_key(catalog, settings)
    await catalog.revoke_api_key(hash_secret(SECRET))
    await ensure_first_key(catalog, settings)
    with pytest.raises(NotSignedIn):
        await role_of(catalog, SECRET)


@pytest.mark.parametrize("given", ["", "short", "a secret with spaces in it", "a-secret-\x00-with-a-nul-in-it"])
async def test_what_is_no_key_is_refused_by_name(catalog: Catalog, given: str) -> None:
    with pytest.raises(InvalidQuery) as failure:
        await ensure_first_key(catalog, FirstKeySettings.model_validate({"admin_key": given}))
    assert failure.value.field == "OMMA_ADMIN_KEY" and not await catalog.api_keys()


async def test_a_file_that_is_not_there_is_said(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(InvalidQuery) as failure:
        await ensure_first_key(catalog, FirstKeySettings(admin_key_file=tmp_path / "none"))
    assert failure.value.field == "OMMA_ADMIN_KEY_FILE"
