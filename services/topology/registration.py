"""The space and the index that answer: registered at the first start on a new catalog, checked at every other."""

import logging

from omma.catalog.interface import Catalog
from omma.errors import Absent, WrongState
from omma.index import DEFAULT_FACTORY, Index, IndexId, IndexState
from omma.space import Space

logger = logging.getLogger(__name__)


async def space_in_use(catalog: Catalog) -> Space | None:
    """The live index's; None in a new folder."""
    live = await _live_index(catalog)
    if live is None:
        return None
    return next(space for space in await catalog.spaces() if space.id == live.space)


async def live_index(catalog: Catalog, space: Space, shards: int, name: str = "", factory: str = "") -> Index:
    """The live index, which is made when there is none. shards, name, factory: of a new one; `<space>.1` and the
    default unless told.

    Raises WrongState, field `OMMA_MODEL`, when the live index is of another space.
    """
    await _require_space(catalog, space)
    live = await _live_index(catalog)
    if live is None:
        live = Index(IndexId(name or f"{space.id}.1"), space.id, factory or DEFAULT_FACTORY, shards, IndexState.LIVE)
        await catalog.register_index(live)
    if live.shards != shards:
        logger.warning("the index keeps its shards", extra={"index": live.id, "shards": live.shards, "wanted": shards})
    return live


async def has_live(catalog: Catalog) -> bool:
    """False of a new catalog."""
    return await _live_index(catalog) is not None


async def live_in(catalog: Catalog) -> tuple[Index, Space]:
    """The live index and its space. Raises Absent while the catalog has none yet."""
    index = await _live_index(catalog)
    if index is None:
        raise Absent("The catalog has no live index yet.")
    return index, next(space for space in await catalog.spaces() if space.id == index.space)


async def _require_space(catalog: Catalog, space: Space) -> None:
    live = await _live_index(catalog)
    if live is not None and live.space != space.id:
        stored = next(one.model for one in await catalog.spaces() if one.id == live.space)
        raise WrongState(
            f"What is stored is embedded with {stored or 'vectors of your own'} ({live.space}), and {space.model} has "
            f"another space, {space.id}. Start with what is stored, and roll the other out.",
            field="OMMA_MODEL",
        )
    await catalog.register_space(space)


async def _live_index(catalog: Catalog) -> Index | None:
    return next((index for index in await catalog.indexes() if index.state is IndexState.LIVE), None)
