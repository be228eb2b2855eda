"""The re-ranker as other services see it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from omma.copies import GroupPair
from omma.hits import Hits
from omma.identity import ImageId
from omma.rpc.deadline import Deadline


class NearDuplicates(StrEnum):
    COLLAPSE = "collapse"
    DROP = "drop"
    KEEP = "keep"


class DropReason(StrEnum):
    NEAR_DUPLICATE = "near_duplicate"
    PHASH_GATE = "phash_gate"
    BLOCKED_SOURCE = "blocked_source"
    LOW_QUALITY = "low_quality"
    SCORE_THRESHOLD = "score_threshold"


@dataclass(frozen=True, slots=True)
class RerankQuery:
    """policy: name or name@version, empty for the default. query_phash: of the query picture, for phash_gate.

    duplicate_bits: of the hash of the rule that finds a near-duplicate, at most so many differ; 0: as the rule has it.
    together, apart: pairs that people said are copies of each other, or are not; those of no candidates count nothing.
    grouped: pairs of one kept group, with the rule and the distance that brought the second there; they too.
    """

    k: int
    policy: str = ""
    near_duplicates: NearDuplicates = NearDuplicates.COLLAPSE
    query_phash: int | None = None
    phash_gate: int | None = None
    score_threshold: float | None = None
    duplicate_bits: int = 0
    together: tuple[tuple[ImageId, ImageId], ...] = ()
    apart: tuple[tuple[ImageId, ImageId], ...] = ()
    grouped: tuple[GroupPair, ...] = ()


@dataclass(slots=True)
class RankedHit:
    """position: of the hit among the candidates. duplicates: the others of its group, best first.

    Not frozen for the reason that a Payload has.
    """

    position: int
    phash_distance: int | None = None
    duplicates: tuple[ImageId, ...] = ()


@dataclass(frozen=True, slots=True)
class Folded:
    """A near-duplicate and the hit that stands for it. rule: that took it for a copy of one of the group, differing by
    so many bits of the rule's hash.
    """

    id: ImageId
    into: ImageId
    rule: str
    distance: int


@dataclass(frozen=True, slots=True)
class Reranked:
    """policy: name@version of what ran. folded: also those that were dropped."""

    ranked: tuple[RankedHit, ...]
    policy: str
    dropped: tuple[tuple[ImageId, DropReason], ...] = field(default=())
    folded: tuple[Folded, ...] = field(default=())


class Reranker(Protocol):
    def needs_vectors(self, policy: str) -> bool:
        """Whether a policy compares all candidates by their vectors, or may. Raises InvalidQuery, field `policy`."""

    def in_doubt(self, query: RerankQuery, candidates: Hits) -> list[int]:
        """Positions of the candidates whose vectors tell whether they are copies, where not all need theirs.

        The candidates' vectors are zeros for the others then, or None where nobody is in doubt. Pure.
        """

    async def rerank(self, query: RerankQuery, candidates: Hits, deadline: Deadline) -> Reranked:
        """candidates: best first, with payloads and the vectors that are needed.

        Raises InvalidQuery, field `policy`; OutOfTime.
        """

    async def close(self) -> None: ...
