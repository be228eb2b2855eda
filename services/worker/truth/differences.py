"""The closed list of what can differ, what it means and what mends it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Any, Final


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


class Mend(Enum):
    """What a repair does. send: the row is right; rebuild: the log is."""

    SEND = auto()
    REBUILD = auto()


@dataclass(frozen=True, slots=True)
class About:
    """meaning: for people. remedy: what --repair does, or what else does. mend: None: no repair mends it.

    on_its_way: an event that is not handled yet looks the same.
    """

    meaning: str
    remedy: str
    mend: Mend | None = None
    on_its_way: bool = False


_SENT_AGAIN: Final = "--repair: the row gets a higher version and its event is sent again"
_REPLAY: Final = "a shard is a view of the log: start this replica with an empty folder, and it replays"

ABOUT: Final[Mapping[DifferenceKind, About]] = {
    DifferenceKind.ROW_WITHOUT_BLOB: About("the original of a row is gone", "upload the picture again"),
    DifferenceKind.BLOB_WITHOUT_ROW: About(
        "an original that no row needs is there an hour after its grace",
        "a worker collects it every OMMA_WORKER__COLLECT_SECONDS: see why none does",
    ),
    DifferenceKind.NOT_INDEXED: About("a row waits and no event of it is left", _SENT_AGAIN, Mend.SEND, True),
    DifferenceKind.NO_VECTOR: About("a row says indexed and the log has no vector of it", _SENT_AGAIN, Mend.SEND, True),
    DifferenceKind.VECTOR_OLDER: About(
        "the log's vector is of an older version of its row", _SENT_AGAIN, Mend.SEND, True
    ),
    DifferenceKind.VECTOR_NEWER: About(
        "the catalog lost a change: the log has a newer version than the row",
        "--repair: the row becomes what the log says",
        Mend.REBUILD,
    ),
    DifferenceKind.VECTOR_NOT_DELETED: About(
        "the picture is deleted or unreadable and its vector is live", _SENT_AGAIN, Mend.SEND, True
    ),
    DifferenceKind.VECTOR_WITHOUT_ROW: About(
        "the catalog lost a row: a live vector has none",
        "--repair: the row is made again from the log, but for one whose key another picture has by now; --bury: then "
        "its vector is deleted",
        Mend.REBUILD,
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
