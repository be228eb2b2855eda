"""Spaces, indexes and leases."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import BigInteger, case, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.catalog.database import Database, uninterrupted
from omma.catalog.dialect import Dialect
from omma.catalog.schema.serving import indexes, routing, spaces
from omma.catalog.schema.work import leases
from omma.errors import Absent, WrongSpace, WrongState
from omma.index import Index, IndexId, IndexState
from omma.space import Space, SpaceId

_ROUTING: Final = 1
"""The one row's key."""
_CLOCK_SET_BACK_MS: Final = 3_600_000
"""A lease that lasts so much longer than anybody takes it for was taken before the clock was set back. Less is told
from what another process's settings say by nobody.
"""


class Registry:
    """The catalog's calls about how search answers; see omma.catalog.interface.Catalog."""

    _database: Database

    @uninterrupted
    async def register_space(self, space: Space, index: Index | None = None) -> None:
        async with self._database.writing() as connection:
            await add_space(connection, self._database.dialect, space)
            if index is not None:
                await _add_index(connection, self._database.dialect, index)

    @uninterrupted
    async def spaces(self) -> list[Space]:
        async with self._database.reading() as connection:
            return await _spaces(connection)

    @uninterrupted
    async def register_index(self, index: Index) -> None:
        async with self._database.writing() as connection:
            await _add_index(connection, self._database.dialect, index)

    @uninterrupted
    async def indexes(self) -> list[Index]:
        async with self._database.reading() as connection:
            return await read_indexes(connection)

    @uninterrupted
    async def adopt_codebook(self, index_id: str, codebook: str) -> bool:
        first = update(indexes).where(indexes.c.id == index_id, indexes.c.codebook.is_(None)).values(codebook=codebook)
        async with self._database.writing() as connection:
            adopted = (await connection.execute(first)).rowcount == 1
            if not adopted and not await read_indexes(connection, index_id):
                raise _absent(index_id)
        return adopted

    @uninterrupted
    async def keep_match_score(self, index_id: str, score: float) -> None:
        async with self._database.writing() as connection:
            await connection.execute(update(indexes).where(indexes.c.id == index_id).values(match_score=score))

    @uninterrupted
    async def acquire_lease(
        self, name: str, holder: str, ttl_seconds: float, *, longest_seconds: float | None = None
    ) -> bool:
        now_ms = self._database.shared_now_ms()
        insert = self._database.dialect.insert(leases).values(
            name=name, holder=holder, expires_at=now_ms + int(ttl_seconds * 1000)
        )
        free = or_(leases.c.holder == holder, leases.c.expires_at <= now_ms)
        # The clock was set back since: one that is alive renews it, one that is dead has it no longer than it took it.
        ends_at = now_ms + int((longest_seconds or ttl_seconds) * 1000)
        never_ends = leases.c.expires_at > ends_at + literal(_CLOCK_SET_BACK_MS, BigInteger())
        take = insert.on_conflict_do_update(
            index_elements=["name"],
            set_={
                "holder": case((free, insert.excluded.holder), else_=leases.c.holder),
                "expires_at": case((free, insert.excluded.expires_at), else_=ends_at),
            },
            where=or_(free, never_ends),
        ).returning(leases.c.holder)
        async with self._database.writing() as connection:
            return bool((await connection.execute(take)).scalar() == holder)

    @uninterrupted
    async def release_lease(self, name: str, holder: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(leases.delete().where(leases.c.name == name, leases.c.holder == holder))

    @uninterrupted
    async def forget_leases(self, ended_seconds: float) -> int:
        ended = leases.delete().where(leases.c.expires_at <= self._database.shared_ms_ago(ended_seconds))
        async with self._database.writing() as connection:
            return (await connection.execute(ended)).rowcount


async def add_space(connection: AsyncConnection, dialect: Dialect, space: Space) -> None:
    """As `register_space`, in a transaction of others."""
    insert = dialect.insert(spaces).on_conflict_do_nothing(index_elements=["id"])
    values = {
        "id": space.id,
        "model": space.model,
        "signature": space.signature,
        "dim": space.dim,
        "buckets": space.buckets,
        "metric": space.metric,
    }
    await connection.execute(insert, values)
    (stored,) = await _spaces(connection, space.id)
    if (stored.signature, stored.dim, stored.buckets) != (space.signature, space.dim, space.buckets):
        raise WrongSpace(
            f"Space {space.id!r} is registered with another signature, dimension or number of buckets.",
            field="space",
        )


async def _add_index(connection: AsyncConnection, dialect: Dialect, index: Index) -> None:
    if index.space not in await held_spaces(connection):
        raise WrongState(f"Space {index.space!r} is not registered.", field="space")
    known = {one.id: one for one in await read_indexes(connection)}
    if index.id not in known:
        if index.state is IndexState.LIVE:
            _require_none_live(known.values())
        await insert_index(connection, dialect, index)
        await raise_epoch(connection, dialect)
    stored = known.get(index.id, index)
    # State and codebook are the index's walk; what it is does not change.
    if (stored.space, stored.factory, stored.shards) != (index.space, index.factory, index.shards):
        raise WrongState(
            f"Index {index.id!r} is registered and differs: it is of space {stored.space!r}, with {stored.shards} "
            f"shards and the factory {stored.factory}.",
            field="index",
        )


async def insert_index(connection: AsyncConnection, dialect: Dialect, index: Index) -> None:
    """A row of its own; none if there is one of this id."""
    values = {
        "id": index.id,
        "space": index.space,
        "factory": index.factory,
        "shards": index.shards,
        "state": index.state.value,
        "codebook": index.codebook,
    }
    await connection.execute(dialect.insert(indexes).on_conflict_do_nothing(index_elements=["id"]), values)


async def _spaces(connection: AsyncConnection, space_id: str | None = None) -> list[Space]:
    query = select(spaces).order_by(spaces.c.id)
    if space_id is not None:
        query = query.where(spaces.c.id == space_id)
    found = (await connection.execute(query)).mappings().all()
    return [Space(**{**row, "id": SpaceId(row["id"])}) for row in found]


async def read_indexes(connection: AsyncConnection, index_id: str | None = None) -> list[Index]:
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
            match_score=row["match_score"],
        )
        for row in found
    ]


async def held_spaces(connection: AsyncConnection) -> set[str]:
    """Ids of all spaces, locked until the transaction ends: whoever changes which index is live waits in line here."""
    query = select(spaces.c.id).order_by(spaces.c.id).with_for_update()
    return set((await connection.execute(query)).scalars())


async def raise_epoch(connection: AsyncConnection, dialect: Dialect) -> None:
    """Whatever changes which index answers does so in the same transaction."""
    statement = dialect.insert(routing).values(id=_ROUTING, epoch=1)
    raised = {"epoch": routing.c.epoch + literal(1)}
    await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=raised))


def _require_none_live(known: Iterable[Index]) -> None:
    for one in known:
        if one.state is IndexState.LIVE:
            raise WrongState(f"Index {one.id} is live; another one gets there by a rollout.", field="index")


def _absent(index_id: str) -> Absent:
    return Absent(f"There is no index {index_id!r}.", field="index")
