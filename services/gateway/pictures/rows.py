"""Rows of uploads. Those that come while a transaction is under way share the next one: with 16 at once a gateway
spends two fifths less on each (docs/benchmarks.md, REST load on a cluster).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from omma.catalog.interface import Catalog
from omma.catalog.orphan import Collected
from omma.catalog.picture import NewPicture, Upserted
from omma.gathered import Gathered
from omma.identity import Tenant
from omma.viewing import Viewer

_MOST: Final = 64
"""Rows in a transaction."""

_Whose: TypeAlias = tuple[Tenant, Viewer]


class Row(NamedTuple):
    """collected: what happened to its bytes before the row was durable, as OrphanBook has it."""

    upserted: Upserted
    collected: Collected


class Rows:
    """Belongs to one event loop."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._gathered: Gathered[_Whose, NewPicture, Row] = Gathered(self._made, most=_MOST)

    async def upsert(self, tenant: Tenant, new: NewPicture, viewer: Viewer) -> Row:
        """As the catalog's, of one picture."""
        return await self._gathered.ask((tenant, viewer), new, new.key)

    async def _made(self, whose: _Whose, new: Sequence[NewPicture]) -> list[Row]:
        tenant, viewer = whose
        upserted = await self._catalog.upsert(tenant, new, viewer=viewer)
        collected = await self._catalog.collected([one.sha256 for one in new])
        return [Row(one, collected[picture.sha256]) for picture, one in zip(new, upserted, strict=True)]
