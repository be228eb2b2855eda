"""An index: a space plus how it is searched. Every change to how search answers is a new index."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from omma.space import SpaceId

IndexId = NewType("IndexId", str)
"""`<space id>.<n>`."""

DEFAULT_FACTORY = "OPQ64_256,IVF{nlist},PQ64x8"
"""nlist is chosen from the training size when the codebook is trained."""


class IndexState(StrEnum):
    """The walk of an index: built beside the live one, compared, given a share, live, kept for going back, gone.

    standby: was live, reads the log and can be gone back to.
    """

    BUILDING = "building"
    SHADOW = "shadow"
    CANARY = "canary"
    LIVE = "live"
    STANDBY = "standby"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Index:
    """factory: a FAISS factory string. codebook: sha256 of the published codebook, None while search is exact.

    match_score: from this cosine on a picture's neighbour is more likely right than not; None while it is not known.
    """

    id: IndexId
    space: SpaceId
    factory: str
    shards: int
    state: IndexState
    codebook: str | None = None
    match_score: float | None = None
