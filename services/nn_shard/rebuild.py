"""A rebuild: a new index of the same space, with a codebook of its own, built from the log beside the live one."""

from dataclasses import replace

from omma.catalog.interface import Catalog
from omma.index import Index, IndexId, IndexState


async def register_rebuild(catalog: Catalog, index: Index) -> Index:
    """Register the next index of the space, with the factory and the shards of `index`, building, without codebook.

    Its shards, once they run, fill it from the log and train its codebook: see Shard.build. Raises WrongState when
    another one was registered at the same moment.
    """
    numbers = [one.id.rpartition(".")[2] for one in await catalog.indexes() if one.space == index.space]
    newest = max((int(number) for number in numbers if number.isdigit()), default=0)
    rebuilt = replace(index, id=IndexId(f"{index.space}.{newest + 1}"), state=IndexState.BUILDING, codebook=None)
    await catalog.register_index(rebuilt)
    return rebuilt
