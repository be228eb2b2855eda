"""Verdicts on pairs in the catalog; see omma.catalog.verdict.VerdictBook."""

from collections.abc import Sequence

from sqlalchemy import select

from omma.catalog.copied import Copied
from omma.catalog.database import uninterrupted
from omma.catalog.picture import PictureState
from omma.catalog.schema.people import pair_verdicts
from omma.catalog.schema.pictures import images
from omma.catalog.verdict import PairVerdict
from omma.errors import Absent
from omma.identity import ImageId, Tenant


class Verdicts(Copied):
    """See omma.catalog.verdict.VerdictBook."""

    @uninterrupted
    async def judge_pairs(
        self, tenant: Tenant, pairs: Sequence[tuple[ImageId, ImageId]], *, same: bool, given_by: str
    ) -> None:
        named = {int(id) for pair in pairs for id in pair}
        live = select(images.c.id).where(
            images.c.tenant_id == tenant,
            self._database.dialect.among(images.c.id, sorted(named)),
            images.c.state != PictureState.DELETED,
        )
        rows = [
            {
                "tenant_id": tenant,
                "first_id": min(pair),
                "second_id": max(pair),
                "same": same,
                "given_by": given_by,
                "ts": self._database.now_ms(),
            }
            for pair in pairs
        ]
        async with self._database.writing() as connection:
            absent = named - set((await connection.execute(live)).scalars())
            if absent:
                raise Absent(f"There is no picture {min(absent)}.", field="ids")
            await connection.execute(pair_verdicts.insert(), rows)
            await self._look_again(connection, tenant, named)

    @uninterrupted
    async def pair_verdicts(self, after: int, limit: int) -> list[PairVerdict]:
        columns = pair_verdicts.c
        query = select(columns.id, columns.first_id, columns.second_id, columns.same).where(columns.id > after)
        async with self._database.reading() as connection:
            found = (await connection.execute(query.order_by(columns.id).limit(limit))).all()
        return [PairVerdict(row.id, ImageId(row.first_id), ImageId(row.second_id), bool(row.same)) for row in found]
