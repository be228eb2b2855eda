"""Requests a second of a tenant: what is over is refused with when to come again, and costs nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.catalog.api_key import ApiKey, Role
from omma.errors import Overloaded
from omma.identity import Tenant
from services.gateway.callers.auth import Authenticator, hash_secret
from services.gateway.callers.rates import Rates
from tests.clock import Clock

ANN, BOB, CAT = Tenant("ann"), Tenant("bob"), Tenant("cat")


def taken(rates: Rates, tenant: Tenant, times: int) -> int:
    done = 0
    for _ in range(times):
        try:
            rates.spend(tenant)
        except Overloaded as error:
            assert error.retry_after_seconds is not None and error.retry_after_seconds >= 1
        else:
            done += 1
    return done


def test_each_tenant_has_its_own_and_the_others_theirs() -> None:
    clock = Clock(0.0)
    rates = Rates({"ann": 10.0, "*": 2.0}, clock)
    assert (taken(rates, ANN, 50), taken(rates, BOB, 50), taken(rates, CAT, 3)) == (20, 4, 3)
    clock.seconds = 1.0
    assert (taken(rates, ANN, 50), taken(rates, BOB, 50), taken(rates, CAT, 9)) == (10, 2, 3)
    assert taken(Rates({"ann": 1.0}), BOB, 1_000) == 1_000


@given(st.floats(0.1, 100), st.lists(st.floats(0, 3), max_size=40))
def test_no_more_than_the_rate_and_its_burst(rate: float, pauses: list[float]) -> None:
    clock = Clock(0.0)
    rates = Rates({"*": rate}, clock)
    done = 0
    for pause in pauses:
        clock.seconds += pause
        done += taken(rates, ANN, 20)
    assert done <= max(1.0, 2 * rate) + clock.seconds * rate + 1e-6


class Book:
    """What an authenticator asks of a catalog."""

    async def api_keys(self) -> list[ApiKey]:
        return [ApiKey(hash_secret("secret"), "a", ANN, Role.READ, 0)]


async def test_a_caller_over_the_rate_is_refused() -> None:
    authenticator = Authenticator(Book(), open_without_keys=False, rates=Rates({"ann": 0.5}))
    assert (await authenticator.caller("secret", Role.READ)).tenant == ANN
    with pytest.raises(Overloaded):
        await authenticator.caller("secret", Role.READ)
