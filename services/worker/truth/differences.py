"""The closed list of what can differ, what it means and what mends it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

MAX_EXAMPLES: Final = 20


class DifferenceKind(StrEnum):
    """Between rows and blobs, rows and the log, the log and a replica."""

    ROW_WITHOUT_BLOB = "row_without_blob"
    BLOB_WITHOUT_ROW = "blob_without_row"
    NOT_INDEXED = "not_indexed"
    NO_VECTOR = "no_vector"
    VECTOR_OLDER = "vector_older"
    VECTOR_NEWER = "vector_newer"
    VECTOR_NOT_DELETED = "vector_not_deleted"
    VECTOR_WITHOUT_ROW = "vector_without_row"
    REPLICA_LACKS = "replica_lacks"
    REPLICA_OTHER_VERSION = "replica_other_version"
    REPLICA_EXTRA = "replica_extra"
    REPLICA_DOUBLED = "replica_doubled"


@dataclass(frozen=True, slots=True)
class About:
    """meaning: for people. remedy: what --repair does, or what else does. by_repair: whether --repair mends it.

    on_its_way: an event that is not handled yet looks the same. harmless: nobody finds a wrong answer for it.
    """

    meaning: str
    remedy: str
    by_repair: bool = False
    on_its_way: bool = False
    harmless: bool = False


_SENT_AGAIN: Final = "the row gets a higher version and its event is sent again"
_REPLAY: Final = "a shard is a view of the log: start this replica with an empty folder, and it replays"

ABOUT: Final[Mapping[DifferenceKind, About]] = {
    DifferenceKind.ROW_WITHOUT_BLOB: About("the original of a row is gone", "upload the picture again"),
    DifferenceKind.BLOB_WITHOUT_ROW: About(
        "an original that no row names",
        "kept: it may be the only copy of a picture whose row was lost; ingest it again, or delete the object",
        harmless=True,
    ),
    DifferenceKind.NOT_INDEXED: About("a row waits and no event of it is left", _SENT_AGAIN, True, True),
    DifferenceKind.NO_VECTOR: About("a row says indexed and the log has no vector of it", _SENT_AGAIN, True, True),
    DifferenceKind.VECTOR_OLDER: About("the log's vector is of an older version of its row", _SENT_AGAIN, True, True),
    DifferenceKind.VECTOR_NEWER: About("the log has a newer version than the row", _SENT_AGAIN, True),
    DifferenceKind.VECTOR_NOT_DELETED: About(
        "the picture is deleted or unreadable and its vector is live", _SENT_AGAIN, True, True
    ),
    DifferenceKind.VECTOR_WITHOUT_ROW: About(
        "a live vector that has no row", "a deleted record is written after it", True
    ),
    DifferenceKind.REPLICA_LACKS: About("a replica lacks a picture of the log", _REPLAY),
    DifferenceKind.REPLICA_OTHER_VERSION: About("a replica has another version than the log", _REPLAY),
    DifferenceKind.REPLICA_EXTRA: About("a replica finds a picture that the log has not, or deleted", _REPLAY),
    DifferenceKind.REPLICA_DOUBLED: About("a replica holds a picture twice", _REPLAY),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One picture, or one blob. row_version, log_version: None when there is none. shard, replica: of a replica's."""

    kind: DifferenceKind
    image_id: int
    bucket: int
    row_version: int | None = None
    log_version: int | None = None
    shard: int | None = None
    replica: int | None = None

    def document(self) -> dict[str, Any]:
        """What applies of it."""
        columns = ("image_id", "bucket", "row_version", "log_version", "shard", "replica")
        return {name: value for name in columns if (value := getattr(self, name)) is not None}


@dataclass(slots=True)
class Report:
    """What a comparison found: counts by kind, and some examples of each; never a list of everything.

    rows: by state, as they were read. buckets, bucket_details: compared by their digests, and picture by picture.
    settled: everything that was on its way when differences were seen has arrived; else what may only be late is left
    out. replicas: those that could not be compared, and why.
    """

    index: str
    rows: dict[str, int] = field(default_factory=dict)
    buckets: int = 0
    bucket_details: int = 0
    settled: bool = True
    replicas: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[DifferenceKind, int] = field(default_factory=dict)
    repaired: dict[DifferenceKind, int] = field(default_factory=dict)
    took_seconds: float = 0.0
    _examples: dict[DifferenceKind, list[Any]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Everything was compared and nothing differs but what is harmless."""
        return self.settled and not self.replicas and all(ABOUT[kind].harmless for kind in self.counts)

    def add(self, differences: Iterable[Difference]) -> None:
        for one in differences:
            self.count(one.kind, 1, [one.document()])

    def count(self, kind: DifferenceKind, count: int, examples: Iterable[Any]) -> None:
        """Add so many; examples past the bound are dropped."""
        if count:
            self.counts[kind] = self.counts.get(kind, 0) + count
            kept = self._examples.setdefault(kind, [])
            kept.extend(list(examples)[: MAX_EXAMPLES - len(kept)])

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "clean": self.clean,
            "settled": self.settled,
            "index": self.index,
            "rows": self.rows,
            "buckets": self.buckets,
            "bucket_details": self.bucket_details,
            "replicas": self.replicas,
            "differences": [
                {
                    "kind": kind,
                    "count": count,
                    "repaired": self.repaired.get(kind, 0),
                    "meaning": ABOUT[kind].meaning,
                    "remedy": ABOUT[kind].remedy,
                    "by_repair": ABOUT[kind].by_repair,
                    "harmless": ABOUT[kind].harmless,
                    "examples": self._examples.get(kind, []),
                }
                for kind, count in sorted(self.counts.items())
            ],
            "took_seconds": round(self.took_seconds, 3),
        }
