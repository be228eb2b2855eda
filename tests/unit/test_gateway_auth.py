"""API keys: who is let in, as what, and for how long after a key is revoked."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from omma.catalog.api_key import ApiKey, Role
from omma.errors import NotAllowed, NotSignedIn, Overloaded, ReplicaDown
from omma.identity import DEFAULT_TENANT, Tenant
from services.gateway.callers.auth import Authenticator, Caller, hash_secret, is_loopback, secret_of
from services.gateway.rest.signed_in import SESSION_COOKIE, signed_in


class Keys:
    """The calls of a catalog that authentication makes."""

    def __init__(self, *keys: ApiKey) -> None:
        self.keys = list(keys)
        self.reads = 0
        self.locked = False
        self.hangs: asyncio.Event | None = None

    async def api_keys(self) -> list[ApiKey]:
        self.reads += 1
        if self.hangs is not None:
            await self.hangs.wait()
        if self.locked:
            raise Overloaded("locked")
        return list(self.keys)

    async def secret(self, _: str) -> bytes:
        return bytes(32)


def key(secret: str, role: Role = Role.READ, revoked: bool = False) -> ApiKey:
    return ApiKey(hash_secret(secret), f"key {secret}", Tenant("ann"), role, 0, revoked)


def authenticator(keys: Keys, clock: list[float], *, open_without_keys: bool = False, **options: Any) -> Authenticator:
    async def sleep(seconds: float) -> None:
        until = clock[0] + seconds
        await asyncio.sleep(0)
        clock[0] = max(clock[0], until)

    return Authenticator(
        keys,  # type: ignore[arg-type]  # only these are called
        open_without_keys=open_without_keys,
        max_age_seconds=5,
        now=lambda: clock[0],
        sleep=sleep,
        **options,
    )


async def test_a_key_gives_tenant_and_role() -> None:
    keys = authenticator(Keys(key("a"), key("b", Role.WRITE)), [0.0])
    assert await keys.caller("a", Role.READ) == Caller(
        Tenant("ann"), Role.READ, "key a", f"key:{hash_secret('a')[:12]}"
    )
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


async def test_while_the_catalog_cannot_be_read_the_known_keys_count_until_the_bound() -> None:
    keys, clock = Keys(key("a")), [0.0]
    door = authenticator(keys, clock, outage_seconds=600)
    await door.caller("a", Role.READ)
    keys.locked = True
    for clock[0] in (10.0, 66.0, 599.0):
        assert (await door.caller("a", Role.READ)).tenant == "ann"
        with pytest.raises(NotSignedIn):
            await door.caller("b", Role.READ)
    clock[0] = 601.0
    with pytest.raises(ReplicaDown):
        await door.caller("a", Role.READ)
    keys.locked = False
    clock[0] += 1.0
    assert (await door.caller("a", Role.READ)).tenant == "ann"


async def test_a_catalog_that_hangs_costs_one_reading_and_then_nobody_waits() -> None:
    keys, clock = Keys(key("a")), [0.0]
    door = authenticator(keys, clock)
    await door.caller("a", Role.READ)
    keys.hangs = asyncio.Event()
    clock[0] = 10.0
    loop = asyncio.get_running_loop()
    first = [asyncio.create_task(door.caller("a", Role.READ)) for _ in range(20)]
    await asyncio.gather(*first)  # together they wait for one reading's time
    assert keys.reads == 2
    began = loop.time()
    for clock[0] in (11.5, 13.0, 3_000.0):  # a try each is under way beside them
        await asyncio.gather(*(door.caller("a", Role.READ) for _ in range(20)))
    assert loop.time() - began < 0.5
    assert keys.reads <= 4
    keys.hangs.set()


async def test_keys_are_read_again_before_they_are_too_old_so_that_nobody_waits() -> None:
    keys = Keys(key("a"))
    door = Authenticator(keys, open_without_keys=False, max_age_seconds=5)  # type: ignore[arg-type]
    running = asyncio.create_task(door.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert keys.reads == 1
    keys.hangs = asyncio.Event()
    assert (await door.caller("a", Role.READ)).tenant == "ann"
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_key_that_is_made_or_revoked_here_counts_at_once() -> None:
    keys, clock = Keys(), [100.0]
    door = authenticator(keys, clock, open_without_keys=True)
    await door.caller(None, Role.ADMIN)
    keys.keys = [key("a")]
    clock[0] += 0.1
    door.changed()
    with pytest.raises(NotSignedIn):
        await door.caller(None, Role.READ)
    keys.keys = [key("a", revoked=True)]
    clock[0] += 0.1
    door.changed()
    with pytest.raises(NotSignedIn):
        await door.caller("a", Role.READ)
    assert keys.reads == 3
    keys.locked = True
    clock[0] += 0.1
    door.changed()
    with pytest.raises(NotSignedIn):  # by what is known: a catalog that is away holds nobody up
        await door.caller("a", Role.READ)


async def test_a_caller_that_goes_away_takes_the_reading_from_nobody() -> None:
    keys = Keys(key("a"))
    keys.hangs = asyncio.Event()
    door = authenticator(keys, [0.0])
    gone, stays = (asyncio.create_task(door.caller("a", Role.READ)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    keys.hangs.set()
    assert (await stays).tenant == "ann"
    assert keys.reads == 1


async def test_a_key_that_was_just_made_is_never_refused_however_lately_the_keys_were_read() -> None:
    keys, clock = Keys(key("a")), [100.0]
    door = authenticator(keys, clock)
    await door.caller("a", Role.READ)
    for number in range(5):
        clock[0] += 0.01
        keys.keys.append(key(f"new {number}"))
        clock[0] += 0.01
        assert (await door.caller(f"new {number}", Role.READ)).name == f"key new {number}"


async def test_guesses_begin_one_reading_a_second_and_wait_for_it_together() -> None:
    keys, clock = Keys(key("a")), [100.0]
    door = authenticator(keys, clock)
    await door.caller("a", Role.READ)
    clock[0] += 0.1
    for number in range(50):
        with pytest.raises(NotSignedIn):
            await door.caller(f"guess {number}", Role.READ)
        clock[0] += 0.01
    began = clock[0]
    together = [asyncio.create_task(door.caller(f"guess {number}", Role.READ)) for number in range(50)]
    assert all(isinstance(one, NotSignedIn) for one in await asyncio.gather(*together, return_exceptions=True))
    assert clock[0] <= began + 1.0
    assert keys.reads <= 2 + (clock[0] - 100.0)


async def test_the_owner_of_the_server_may_do_everything_whatever_the_catalog_says() -> None:
    keys = Keys(key("a"))
    keys.locked = True
    door = authenticator(keys, [0.0], open_without_keys=True, owner_secret="o" * 40)
    assert await door.caller("o" * 40, Role.ADMIN) == Caller(DEFAULT_TENANT, Role.ADMIN, "owner", "owner")
    with pytest.raises(ReplicaDown):
        await door.caller("o" * 39, Role.READ)
    for secret in ("", None):
        with pytest.raises(ReplicaDown):
            await authenticator(keys, [0.0], open_without_keys=True).caller(secret, Role.READ)


async def test_keys_that_were_never_read_let_nobody_in() -> None:
    keys = Keys()
    keys.locked = True
    with pytest.raises(ReplicaDown):
        await authenticator(keys, [0.0], open_without_keys=True).caller(None, Role.READ)


async def test_it_is_keyless_until_it_knows_a_key_where_it_may_be() -> None:
    assert not authenticator(Keys(), [0.0]).keyless
    door = authenticator(Keys(key("a", revoked=True)), [0.0], open_without_keys=True)
    assert door.keyless
    with pytest.raises(NotSignedIn):
        await door.caller(None, Role.READ)
    assert not door.keyless


@pytest.mark.parametrize(("keys", "in_without_one"), [(Keys(), True), (Keys(key("a")), False)])
async def test_the_first_request_of_a_session_waits_for_the_keys(keys: Keys, in_without_one: bool) -> None:
    """A page that was open while the server started again was told that its session is over."""
    door = authenticator(keys, [0.0], open_without_keys=True)
    session, _ = await door.begin_session("a")
    again = authenticator(keys, [0.0], open_without_keys=True)
    cookie = f"{SESSION_COOKIE}={session.cookie}".encode()
    request = Request({"type": "http", "method": "GET", "path": "/", "headers": [(b"cookie", cookie)], "state": {}})
    caller = await signed_in(again, Role.READ)(request)
    assert (caller.name == "") is in_without_one


def test_where_the_secret_stands() -> None:
    assert secret_of("Bearer  abc ", None) == "abc"
    assert secret_of("bearer abc", "other") == "abc"
    assert secret_of("Basic abc", "other") is None
    assert secret_of(None, "abc") == "abc"
    assert secret_of(None, None) is None


def test_loopback() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "omma.example", ""]))


async def test_keys_that_were_never_read_are_waited_for() -> None:
    keys, clock = Keys(key("a")), [0.0]
    keys.locked = True
    door = authenticator(keys, clock)
    waiting = asyncio.create_task(door.caller("a", Role.READ))
    while keys.reads < 3:  # noqa: ASYNC110  the clock is injected, and nobody tells of a reading
        await asyncio.sleep(0)
    keys.locked = False
    assert (await waiting).tenant == "ann"
    assert clock[0] < 10


async def test_who_waits_for_the_first_reading_is_told_in_time() -> None:
    keys, clock = Keys(key("a")), [0.0]
    keys.locked = True
    door = authenticator(keys, clock)
    with pytest.raises(ReplicaDown):
        await door.caller("a", Role.READ)
    assert clock[0] == 10
    assert keys.reads <= 11
