"""Records on their way in: each is checked, and of each picture only the newest counts."""

from collections.abc import Iterable

from omma.errors import InvalidQuery
from omma.records import VectorRecord
from omma.space import SpaceId, require_same_space


def newest_of(records: Iterable[VectorRecord], space: SpaceId, dim: int) -> dict[int, VectorRecord]:
    """The record of the highest version of each picture, by id.

    Raises WrongSpace for a record of another space; InvalidQuery, field `vector`, for no vector or one of another dim.
    """
    newest: dict[int, VectorRecord] = {}
    for record in records:
        require_same_space(space, record.space)
        if not record.deleted and (
            record.vectors.ndim != 2 or record.vectors.shape[1] != dim or not len(record.vectors)
        ):
            raise InvalidQuery(f"A picture has at least one vector of {dim} dimensions.", field="vector")
        before = newest.get(record.image_id)
        if before is None or record.version > before.version:
            newest[record.image_id] = record
    return newest
