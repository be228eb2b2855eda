"""What the SDK returns. Fields that this version does not know are passed over, so a newer server does no harm."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from omma.hits import Degraded

Json: TypeAlias = Mapping[str, Any]
Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the upright picture, right and bottom exclusive."""


@dataclass(frozen=True, slots=True)
class SearchHit:
    """score: cosine, -1 … 1. bbox: of the region that matched, with use_crops. duplicates: ids, best first.

    arm, index, space: of an interleaved answer, who brought it (control, candidate or both), and what its score is of.
    """

    id: int
    score: float
    uri: str
    thumbnail_url: str
    bbox: Box | None = None
    phash_distance: int | None = None
    duplicates: tuple[int, ...] = ()
    attributes: Json = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    owner: str = ""
    source_url: str = ""
    width: int = 0
    height: int = 0
    arm: str = ""
    index: str = ""
    space: str = ""

    @classmethod
    def from_json(cls, hit: Json) -> "SearchHit":
        return cls(
            id=hit["id"],
            score=hit["score"],
            uri=hit["uri"],
            thumbnail_url=hit["thumbnail_url"],
            bbox=_box(hit.get("bbox")),
            phash_distance=hit.get("phash_distance"),
            duplicates=tuple(one["id"] for one in hit.get("duplicates") or ()),
            attributes=hit.get("attributes") or {},
            tags=tuple(hit.get("tags") or ()),
            owner=hit.get("owner") or "",
            source_url=hit.get("source_url") or "",
            width=hit.get("width") or 0,
            height=hit.get("height") or 0,
            arm=hit.get("arm") or "",
            index=hit.get("index") or "",
            space=hit.get("space") or "",
        )


@dataclass(frozen=True, slots=True)
class Coverage:
    """fraction: share of live vectors that the answer rests on."""

    fraction: float
    shards_answered: int
    shards_total: int


@dataclass(frozen=True, slots=True)
class Variant:
    """On which side of which rollout an answer is. arm: control, candidate or interleaved."""

    rollout: str
    arm: str

    @classmethod
    def from_json(cls, variant: Json) -> "Variant":
        return cls(variant["rollout"], variant["arm"])


@dataclass(frozen=True, slots=True)
class SearchResults:
    """Iterates over its hits, best first. degraded: what the search left out. explain: only when asked for.

    understood: 0 … 1, how far the model understood the words; None without words. variant: None outside of a rollout.
    no_good_match: nothing of it is likely what was sought.
    """

    results: tuple[SearchHit, ...]
    latency_ms: float
    query_id: str
    space: str
    index: str
    coverage: Coverage
    degraded: frozenset[Degraded] = frozenset()
    next_cursor: str | None = None
    explain: Json | None = None
    understood: float | None = None
    variant: Variant | None = None
    no_good_match: bool = False

    def __iter__(self) -> Iterator[SearchHit]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    @classmethod
    def from_json(cls, answer: Json) -> "SearchResults":
        coverage = answer["coverage"]
        return cls(
            results=tuple(SearchHit.from_json(hit) for hit in answer["results"]),
            latency_ms=answer["latency_ms"],
            query_id=answer["query_id"],
            space=answer["space"],
            index=answer["index"],
            coverage=Coverage(coverage["fraction"], coverage["shards_answered"], coverage["shards_total"]),
            degraded=frozenset(Degraded(reason) for reason in answer["degraded"]),
            next_cursor=answer.get("next_cursor"),
            explain=answer.get("explain"),
            understood=answer.get("understood"),
            variant=Variant.from_json(answer["variant"]) if "variant" in answer else None,
            no_good_match=answer.get("no_good_match", False),
        )


@dataclass(frozen=True, slots=True)
class Uploaded:
    """receipt: give it to a search that must see this picture. duplicate: it was already there."""

    id: int
    sha256: str
    receipt: str
    duplicate: bool

    @classmethod
    def from_json(cls, answer: Json) -> "Uploaded":
        return cls(answer["id"], answer["sha256"], answer["receipt"], answer["duplicate"])


@dataclass(frozen=True, slots=True)
class Picture:
    """A row. state: pending, indexed or dead (reason says why). width, height: 0 until it is embedded.

    key: the caller's external_id, else the uri or the sha256. receipt: of the row's last change. space: of a vector
    that was given, of which there is no content. quality_score: 0 … 1; None until it is embedded.
    """

    id: int
    key: str
    sha256: str
    uri: str
    version: int
    receipt: str
    state: str
    created_at: datetime
    reason: str = ""
    width: int = 0
    height: int = 0
    owner: str = ""
    tags: tuple[str, ...] = ()
    source_url: str = ""
    attributes: Json = field(default_factory=dict)
    space: str = ""
    private: bool = False
    quality_score: float | None = None

    @classmethod
    def from_json(cls, row: Json) -> "Picture":
        return cls(
            id=row["id"],
            key=row["key"],
            sha256=row["sha256"],
            uri=row["uri"],
            version=row["version"],
            receipt=row["receipt"],
            state=row["state"],
            created_at=datetime.fromisoformat(row["created_at"]),
            reason=row.get("reason") or "",
            width=row.get("width") or 0,
            height=row.get("height") or 0,
            owner=row.get("owner") or "",
            tags=tuple(row.get("tags") or ()),
            source_url=row.get("source_url") or "",
            attributes=row.get("attributes") or {},
            space=row.get("space") or "",
            private=row.get("private") or False,
            quality_score=row.get("quality_score"),
        )


def _box(corners: Any) -> Box | None:
    if corners is None:
        return None
    left, top, right, bottom = corners
    return left, top, right, bottom
