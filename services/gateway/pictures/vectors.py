"""Pictures with their vectors, page by page: what is exported."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from omma.buckets import shard_of
from omma.catalog.interface import Catalog
from omma.catalog.picture import Picture
from omma.errors import InvalidQuery, ReplicaDown
from omma.filters import Filter
from omma.hits import FetchedPicture
from omma.identity import ImageId, Tenant
from omma.rpc.deadline import Deadline
from omma.together import together
from omma.vectors import Float16
from services.nn_shard.client import ShardClient
from services.topology.indexes import ServedIndex, ServedIndexes

MAX_VECTORS: Final = 256


@dataclass(frozen=True, slots=True)
class VectorPage:
    """pictures: with the vector of the whole picture, float16[dim]; those that have none yet are left out."""

    served: ServedIndex
    pictures: tuple[tuple[Picture, Float16], ...]
    cursor: str | None


class Vectors:
    """Of the live index, or of one that is named."""

    def __init__(self, catalog: Catalog, indexes: ServedIndexes) -> None:
        self._catalog = catalog
        self._indexes = indexes

    async def page(
        self,
        tenant: Tenant,
        filter: Filter | None,
        cursor: str | None,
        limit: int,
        deadline: Deadline,
        *,
        index: str = "",
    ) -> VectorPage:
        """By id. index: "" is the live one. Raises InvalidQuery, field `limit` or `cursor`; Absent, WrongState, field
        `index`; ReplicaDown when no replica of a shard answers.
        """
        if not 1 <= limit <= MAX_VECTORS:
            raise InvalidQuery(f"limit must be 1 to {MAX_VECTORS}.", field="limit", limit=MAX_VECTORS)
        served = self._indexes.pinned(index)
        page = await self._catalog.list_pictures(tenant, filter, cursor, limit)
        of_shard: dict[int, list[ImageId]] = {}
        for picture in page.pictures:
            shard = shard_of(picture.id, len(served.shards), served.space.buckets)
            of_shard.setdefault(shard, []).append(picture.id)
        fetched = await together(
            _fetch(shard, served.shards[shard], tenant, ids, deadline) for shard, ids in of_shard.items()
        )
        vectors = {one.image_id: one.vectors[0] for found in fetched for one in found}
        found = tuple((picture, vectors[picture.id]) for picture in page.pictures if picture.id in vectors)
        return VectorPage(served, found, page.cursor)


async def _fetch(
    shard: int, replicas: Sequence[ShardClient], tenant: Tenant, ids: Sequence[ImageId], deadline: Deadline
) -> list[FetchedPicture]:
    down: ReplicaDown | None = None
    for replica in replicas:
        try:
            return await replica.fetch(tenant, ids, deadline)
        except ReplicaDown as error:
            down = error
    raise ReplicaDown(f"Shard {shard} does not answer.") from down
