"""What the audit log keeps, on every backend."""

from omma.catalog.audit import AuditedCall
from omma.catalog.interface import Catalog
from omma.identity import Tenant


def entry(number: int, tenant: str = "ann", at_ms: int = 1_000) -> AuditedCall:
    id = f"{number:022x}"
    return AuditedCall(
        id, at_ms, Tenant(tenant), "key:1", "a", "POST /images", f"picture {number}", "201", f"r{number}"
    )


async def test_entries_come_newest_first_page_by_page_and_each_once(catalog: Catalog) -> None:
    every = [entry(number, tenant="bob" if number % 3 == 0 else "ann") for number in range(10)]
    await catalog.add_audit(every[:6])
    await catalog.add_audit(every[4:])
    await catalog.add_audit([])
    first = await catalog.audit(4)
    assert first == every[:5:-1]
    assert await catalog.audit(100, before=first[-1].id) == every[5::-1]
    assert await catalog.audit(100, tenant=Tenant("bob")) == [every[9], every[6], every[3], every[0]]
    assert await catalog.audit(100, tenant=Tenant("carl")) == []


async def test_what_is_older_goes(catalog: Catalog) -> None:
    await catalog.add_audit([entry(number, at_ms=number) for number in range(6_000)])
    assert await catalog.forget_audit(5_500) == 5_500
    assert [one.at_ms for one in await catalog.audit(1_000)] == list(range(5_999, 5_499, -1))
    assert await catalog.forget_audit(5_500) == 0
