"""Which space a row's state is of: the live index's; and what a promotion to another space makes of the rows."""

from sqlalchemy import exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from omma.catalog.picture import PictureState
from omma.catalog.schema.pictures import image_spaces, images, space_deaths
from omma.catalog.schema.serving import indexes
from omma.index import IndexState


async def counts_for_rows(connection: AsyncConnection, space: str) -> bool:
    """Whether what happens in this space is what a row's state tells: of the live index's, and of any before there
    is one. space: "" is the live one's.
    """
    live = (await connection.execute(select(indexes.c.space).where(indexes.c.state == IndexState.LIVE.value))).scalar()
    return not space or live is None or live == space


async def tell_rows_of(connection: AsyncConnection, space: str) -> None:
    """This space answers from now on: rows that died here only are dead, and those that died elsewhere only are not.

    Touches rows whose fate differs between the two spaces, which are few. A row that this space has not seen yet keeps
    its state: its event is on its way.
    """
    columns = images.c
    died = (
        select(space_deaths.c.reason)
        .where(space_deaths.c.space == space, space_deaths.c.image_id == columns.id)
        .where(space_deaths.c.version == columns.version, space_deaths.c.tenant_id == columns.tenant_id)
    )
    seen = exists().where(
        image_spaces.c.space == space,
        image_spaces.c.image_id == columns.id,
        image_spaces.c.tenant_id == columns.tenant_id,
        image_spaces.c.version == columns.version,
    )
    alive = columns.state.in_((PictureState.PENDING, PictureState.INDEXED))
    await connection.execute(
        update(images)
        .where(alive, columns.id.in_(select(space_deaths.c.image_id).where(space_deaths.c.space == space)))
        .where(died.exists())
        .values(state=PictureState.DEAD, reason=died.scalar_subquery())
    )
    fated = columns.state.in_((PictureState.PENDING, PictureState.DEAD))
    await connection.execute(
        update(images).where(fated, seen, ~died.exists()).values(state=PictureState.INDEXED, reason="")
    )
