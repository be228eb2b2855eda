"""API keys: who is let in, as what, and for how long after a key is revoked."""

import pytest

from omma.catalog.interface import ApiKey, Role
from omma.errors import NotAllowed, NotSignedIn, Overloaded
from omma.identity import DEFAULT_TENANT, Tenant
from services.gateway.auth import Authenticator, Caller, hash_secret, is_loopback, secret_of


class Keys:
    """The one call of a catalog that authentication makes."""

    def __init__(self, *keys: ApiKey) -> None:
        self.keys = list(keys)
        self.reads = 0
        self.locked = False

    async def api_keys(self) -> list[ApiKey]:
        self.reads += 1
        if self.locked:
            raise Overloaded("locked")
        return list(self.keys)


def key(secret: str, role: Role = Role.READ, revoked: bool = False) -> ApiKey:
    return ApiKey(hash_secret(secret), f"key {secret}", Tenant("ann"), role, 0, revoked)


def authenticator(keys: Keys, clock: list[float], *, open_without_keys: bool = False) -> Authenticator:
    return Authenticator(keys, open_without_keys=open_without_keys, max_age_seconds=5, now=lambda: clock[0])  # type: ignore[arg-type]  # only api_keys is called


async def test_a_key_gives_tenant_and_role() -> None:
    keys = authenticator(Keys(key("a"), key("b", Role.WRITE)), [0.0])
    assert await keys.caller("a", Role.READ) == Caller(Tenant("ann"), Role.READ, "key a")
    assert (await keys.caller("b", Role.WRITE)).role is Role.WRITE
    with pytest.raises(NotAllowed):
        await keys.caller("a", Role.WRITE)
    with pytest.raises(NotAllowed):
        await keys.caller("b", Role.ADMIN)


@pytest.mark.parametrize("secret", [None, "", "wrong", "a" * 10_000, "\ud800"])
async def test_what_is_no_key_is_refused(secret: str | None) -> None:
    with pytest.raises(NotSignedIn):
        await authenticator(Keys(key("a")), [0.0]).caller(secret, Role.READ)


async def test_without_keys_only_a_loopback_address_is_open() -> None:
    assert await authenticator(Keys(), [0.0], open_without_keys=True).caller(None, Role.ADMIN) == Caller(
        DEFAULT_TENANT, Role.ADMIN
    )
    with pytest.raises(NotSignedIn):
        await authenticator(Keys(), [0.0]).caller(None, Role.READ)
    with pytest.raises(NotSignedIn):
        await authenticator(Keys(key("a")), [0.0], open_without_keys=True).caller(None, Role.READ)
    # A revoked key is a key: revoking the last one opens nothing.
    with pytest.raises(NotSignedIn):
        await authenticator(Keys(key("a", revoked=True)), [0.0], open_without_keys=True).caller(None, Role.READ)


async def test_a_revoked_key_works_no_longer_than_the_cache_lives() -> None:
    keys, clock = Keys(key("a")), [100.0]
    door = authenticator(keys, clock)
    await door.caller("a", Role.READ)
    keys.keys = [key("a", revoked=True)]
    clock[0] += 4.9
    await door.caller("a", Role.READ)
    assert keys.reads == 1
    clock[0] += 0.2
    with pytest.raises(NotSignedIn):
        await door.caller("a", Role.READ)


async def test_while_the_catalog_is_locked_the_known_keys_count_for_a_minute() -> None:
    keys, clock = Keys(key("a")), [0.0]
    door = authenticator(keys, clock)
    await door.caller("a", Role.READ)
    keys.locked = True
    clock[0] = 59.0
    assert (await door.caller("a", Role.READ)).tenant == "ann"
    with pytest.raises(NotSignedIn):
        await door.caller("b", Role.READ)
    clock[0] = 66.0
    with pytest.raises(Overloaded):
        await door.caller("a", Role.READ)
    keys.locked = False
    assert (await door.caller("a", Role.READ)).tenant == "ann"


async def test_keys_that_were_never_read_let_nobody_in() -> None:
    keys = Keys()
    keys.locked = True
    with pytest.raises(Overloaded):
        await authenticator(keys, [0.0], open_without_keys=True).caller(None, Role.READ)


def test_where_the_secret_stands() -> None:
    assert secret_of("Bearer  abc ", None) == "abc"
    assert secret_of("bearer abc", "other") == "abc"
    assert secret_of("Basic abc", "other") is None
    assert secret_of(None, "abc") == "abc"
    assert secret_of(None, None) is None


def test_loopback() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "omma.example", ""]))
