"""Spaces, indexes and leases."""

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.catalog.database import Database, uninterrupted
from omma.catalog.schema import indexes, leases, spaces
from omma.errors import Absent, WrongSpace, WrongState
from omma.index import Index, IndexId, IndexState
from omma.space import Space, SpaceId


class Registry:
    """The catalog's calls about how search answers; see omma.catalog.interface.Catalog."""

    _database: Database

    @uninterrupted
    async def register_space(self, space: Space) -> None:
        insert = self._database.dialect.insert(spaces).on_conflict_do_nothing(index_elements=["id"])
        values = {
            "id": space.id,
            "model": space.model,
            "signature": space.signature,
            "dim": space.dim,
            "buckets": space.buckets,
            "metric": space.metric,
        }
        async with self._database.writing() as connection:
            await connection.execute(insert, values)
            (stored,) = await _spaces(connection, space.id)
        if (stored.signature, stored.dim, stored.buckets) != (space.signature, space.dim, space.buckets):
            raise WrongSpace(
                f"Space {space.id!r} is registered with another signature, dimension or number of buckets.",
                field="space",
            )

    @uninterrupted
    async def spaces(self) -> list[Space]:
        async with self._database.reading() as connection:
            return await _spaces(connection)

    @uninterrupted
    async def register_index(self, index: Index) -> None:
        insert = self._database.dialect.insert(indexes).on_conflict_do_nothing(index_elements=["id"])
        values = {
            "id": index.id,
            "space": index.space,
            "factory": index.factory,
            "shards": index.shards,
            "state": index.state.value,
            "codebook": index.codebook,
        }
        async with self._database.writing() as connection:
            if index.space not in await _held_spaces(connection):
                raise WrongState(f"Space {index.space!r} is not registered.", field="space")
            if not await _indexes(connection, index.id):
                if index.state is IndexState.LIVE:
                    await _retire_live(connection)
                await connection.execute(insert, values)
            (stored,) = await _indexes(connection, index.id)
        # State and codebook are the index's walk; what it is does not change.
        if (stored.space, stored.factory, stored.shards) != (index.space, index.factory, index.shards):
            raise WrongState(f"Index {index.id!r} is registered and differs: {stored}.", field="index")

    @uninterrupted
    async def indexes(self) -> list[Index]:
        async with self._database.reading() as connection:
            return await _indexes(connection)

    @uninterrupted
    async def set_index_state(self, index_id: str, state: IndexState) -> None:
        async with self._database.writing() as connection:
            await _held_spaces(connection)
            if not await _indexes(connection, index_id):
                raise _absent(index_id)
            if state is IndexState.LIVE:
                await _retire_live(connection)
            await connection.execute(update(indexes).where(indexes.c.id == index_id).values(state=state.value))

    @uninterrupted
    async def adopt_codebook(self, index_id: str, codebook: str) -> bool:
        first = update(indexes).where(indexes.c.id == index_id, indexes.c.codebook.is_(None)).values(codebook=codebook)
        async with self._database.writing() as connection:
            adopted = (await connection.execute(first)).rowcount == 1
            if not adopted and not await _indexes(connection, index_id):
                raise _absent(index_id)
        return adopted

    @uninterrupted
    async def acquire_lease(self, name: str, holder: str, ttl_seconds: float) -> bool:
        now_ms = self._database.shared_now_ms()
        insert = self._database.dialect.insert(leases).values(
            name=name, holder=holder, expires_at=now_ms + int(ttl_seconds * 1000)
        )
        take = insert.on_conflict_do_update(
            index_elements=["name"],
            set_={"holder": insert.excluded.holder, "expires_at": insert.excluded.expires_at},
            where=or_(leases.c.holder == holder, leases.c.expires_at <= now_ms),
        ).returning(leases.c.holder)
        async with self._database.writing() as connection:
            return (await connection.execute(take)).first() is not None

    @uninterrupted
    async def release_lease(self, name: str, holder: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(leases.delete().where(leases.c.name == name, leases.c.holder == holder))


async def _spaces(connection: AsyncConnection, space_id: str | None = None) -> list[Space]:
    query = select(spaces).order_by(spaces.c.id)
    if space_id is not None:
        query = query.where(spaces.c.id == space_id)
    found = (await connection.execute(query)).mappings().all()
    return [Space(**{**row, "id": SpaceId(row["id"])}) for row in found]


async def _indexes(connection: AsyncConnection, index_id: str | None = None) -> list[Index]:
    query = select(indexes).order_by(indexes.c.id)
    if index_id is not None:
        query = query.where(indexes.c.id == index_id)
    found = (await connection.execute(query)).mappings().all()
    return [
        Index(
            id=IndexId(row["id"]),
            space=SpaceId(row["space"]),
            factory=row["factory"],
            shards=row["shards"],
            state=IndexState(row["state"]),
            codebook=row["codebook"],
        )
        for row in found
    ]


async def _held_spaces(connection: AsyncConnection) -> set[str]:
    """Ids of all spaces, locked until the transaction ends: whoever changes which index is live waits in line here."""
    query = select(spaces.c.id).order_by(spaces.c.id).with_for_update()
    return set((await connection.execute(query)).scalars())


async def _retire_live(connection: AsyncConnection) -> None:
    live = indexes.c.state == IndexState.LIVE.value
    await connection.execute(update(indexes).where(live).values(state=IndexState.RETIRED.value))


def _absent(index_id: str) -> Absent:
    return Absent(f"There is no index {index_id!r}.", field="index")
