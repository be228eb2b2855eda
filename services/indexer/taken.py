"""What the indexer has taken from the log and not yet handled."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError

from omma.blobs.originals import uri_of
from omma.catalog.picture import Picture
from omma.errors import OmmaError
from omma.log.interface import LogRecord, Producer
from omma.records import ImageEvent
from services.indexer.sources import Seen

UPLOADS: Final = "uploads"


@dataclass(slots=True, eq=False)
class Taken:
    """A record of `omma.images`, from when it was polled until what it asked for is durable.

    claim: with what its partition was held then: whoever lost the partition since, and even got it again, cannot write
    it any more. event: None for a record that is none. overtaken: a newer event of its picture was taken: nothing is
    written for it any more. failing_since: when it first failed for a fault that is not its own.
    """

    record: LogRecord
    claim: Producer
    event: ImageEvent | None
    overtaken: bool = False
    failing_since: float | None = None
    failures: int = 0

    @classmethod
    def of(cls, record: LogRecord, claim: Producer) -> "Taken":
        try:
            return cls(record, claim, ImageEvent.decode(record.value or b""))
        except (DecodeError, ValueError):
            return cls(record, claim, None)


@dataclass(frozen=True, slots=True)
class Settled:
    """What comes of a record. row: to be written; None: only the offset moves, or a letter says that it is no event.

    outcome: the vectors of a living picture, or the fault that it died of; None: it is deleted.
    """

    taken: Taken
    row: Picture | None = None
    outcome: Seen | OmmaError | None = None


def source_of(row: Picture) -> str:
    """Where its original comes from: what fails together, and takes turns with others."""
    if row.uri == uri_of(row.sha256):
        return UPLOADS
    parts = urlsplit(row.uri)
    return f"{parts.scheme}://{parts.netloc}"
