"""Every error that crosses a boundary has a kind; one table gives its status in both protocols.

Cores raise these; faces look the kind up in STATUS. Nothing else maps an error to a status.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What went wrong, as the caller sees it: the `kind` of a problem document."""

    INVALID_QUERY = "invalid_query"
    INVALID_PICTURE = "invalid_picture"
    UNSUPPORTED_MEDIA = "unsupported_media"
    TOO_LARGE = "too_large"
    NOT_SIGNED_IN = "not_signed_in"
    NOT_ALLOWED = "not_allowed"
    ABSENT = "absent"
    CONCURRENT_WRITE = "concurrent_write"
    WRONG_SPACE = "wrong_space"
    WRONG_STATE = "wrong_state"
    CURSOR_EXPIRED = "cursor_expired"
    NO_TEXT_TOWER = "model_has_no_text_tower"
    OVERLOADED = "overloaded"
    REPLICA_DOWN = "replica_down"
    COVERAGE_TOO_LOW = "coverage_too_low"
    STORAGE_FULL = "storage_full"
    QUOTA_EXCEEDED = "quota_exceeded"
    OUT_OF_TIME = "out_of_time"
    CORRUPT = "corrupt"
    BUG = "bug"


@dataclass(frozen=True, slots=True)
class Status:
    """http: status code; grpc: name of a grpc.StatusCode; retry: worth trying again unchanged."""

    http: int
    grpc: str
    title: str
    retry: bool = False


STATUS: dict[Kind, Status] = {
    Kind.INVALID_QUERY: Status(422, "INVALID_ARGUMENT", "The query is invalid"),
    Kind.INVALID_PICTURE: Status(422, "INVALID_ARGUMENT", "The picture cannot be read"),
    Kind.UNSUPPORTED_MEDIA: Status(415, "INVALID_ARGUMENT", "This kind of file is not a picture Omma reads"),
    Kind.TOO_LARGE: Status(413, "INVALID_ARGUMENT", "Over a size limit"),
    Kind.NOT_SIGNED_IN: Status(401, "UNAUTHENTICATED", "An API key is needed"),
    Kind.NOT_ALLOWED: Status(403, "PERMISSION_DENIED", "This is not allowed"),
    Kind.ABSENT: Status(404, "NOT_FOUND", "There is no such thing"),
    Kind.CONCURRENT_WRITE: Status(409, "ABORTED", "Someone else changed it first"),
    Kind.WRONG_SPACE: Status(409, "FAILED_PRECONDITION", "Two spaces cannot be mixed"),
    Kind.WRONG_STATE: Status(409, "FAILED_PRECONDITION", "Not in the state that this needs"),
    Kind.CURSOR_EXPIRED: Status(409, "FAILED_PRECONDITION", "The pages of this search have ended"),
    Kind.NO_TEXT_TOWER: Status(409, "FAILED_PRECONDITION", "The model has no text tower"),
    Kind.OVERLOADED: Status(429, "RESOURCE_EXHAUSTED", "Too much at once", retry=True),
    Kind.REPLICA_DOWN: Status(503, "UNAVAILABLE", "No replica answered", retry=True),
    Kind.COVERAGE_TOO_LOW: Status(503, "UNAVAILABLE", "Too little of the index answered", retry=True),
    Kind.STORAGE_FULL: Status(507, "RESOURCE_EXHAUSTED", "The storage is full"),
    Kind.QUOTA_EXCEEDED: Status(413, "RESOURCE_EXHAUSTED", "The tenant keeps as much as it may"),
    Kind.OUT_OF_TIME: Status(504, "DEADLINE_EXCEEDED", "Out of time"),
    Kind.CORRUPT: Status(500, "DATA_LOSS", "A file is damaged"),
    Kind.BUG: Status(500, "INTERNAL", "Something went wrong inside"),
}


class OmmaError(Exception):
    """Base of every error with a kind.

    detail: one sentence that says what to do. field: the input that is wrong, as the caller named it.
    limit: the bound that was passed, in the field's unit. retry_after_seconds: only for overload.
    """

    kind = Kind.BUG

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        limit: int | float | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.limit = limit
        self.retry_after_seconds = retry_after_seconds


class InvalidQuery(OmmaError):
    kind = Kind.INVALID_QUERY


class InvalidPicture(OmmaError):
    kind = Kind.INVALID_PICTURE


class UnsupportedMedia(OmmaError):
    kind = Kind.UNSUPPORTED_MEDIA


class TooLarge(OmmaError):
    kind = Kind.TOO_LARGE


class NotSignedIn(OmmaError):
    kind = Kind.NOT_SIGNED_IN


class NotAllowed(OmmaError):
    kind = Kind.NOT_ALLOWED


class Absent(OmmaError):
    kind = Kind.ABSENT


class ConcurrentWrite(OmmaError):
    kind = Kind.CONCURRENT_WRITE


class WrongSpace(OmmaError):
    kind = Kind.WRONG_SPACE


class WrongState(OmmaError):
    kind = Kind.WRONG_STATE


class CursorExpired(OmmaError):
    kind = Kind.CURSOR_EXPIRED


class NoTextTower(OmmaError):
    kind = Kind.NO_TEXT_TOWER


class Overloaded(OmmaError):
    kind = Kind.OVERLOADED


class ReplicaDown(OmmaError):
    kind = Kind.REPLICA_DOWN


class CoverageTooLow(OmmaError):
    kind = Kind.COVERAGE_TOO_LOW


class StorageFull(OmmaError):
    kind = Kind.STORAGE_FULL


class QuotaExceeded(OmmaError):
    kind = Kind.QUOTA_EXCEEDED


class OutOfTime(OmmaError):
    kind = Kind.OUT_OF_TIME


class Corrupt(OmmaError):
    kind = Kind.CORRUPT


class Bug(OmmaError):
    """What a caller is told of an exception that has no kind: generic words only."""


ERROR_OF_KIND: dict[Kind, type[OmmaError]] = {error.kind: error for error in [*OmmaError.__subclasses__()]}

_MAX_REASON_CHARACTERS = 500
TOLD_OF_A_BUG: Final = "Something went wrong inside; the log of the server says what."
"""What is kept as the reason of what failed by one."""


def may_pass(error: Exception) -> bool:
    """Whether another try may go better: it was the machine's fault, or another part's, not the input's."""
    return isinstance(error, OmmaError) and (
        STATUS[error.kind].retry or error.kind in (Kind.OUT_OF_TIME, Kind.STORAGE_FULL)
    )


def unforeseen(error: Exception, *expected: type[Exception]) -> Exception | None:
    """For the log, which then has where it came from: this error; None where somebody foresaw it: of a kind, of the
    machine, or an expected one.
    """
    return None if isinstance(error, (OmmaError, OSError, *expected)) else error


def causes(error: BaseException) -> str:
    """For the log: what an error says and, below it, what it came from, which callers are not told."""
    said = []
    known: BaseException | None = error
    while known is not None:
        text = " ".join(str(known).split())[:_MAX_REASON_CHARACTERS]
        said.append(f"{type(known).__name__}: {text}" if text else type(known).__name__)
        known = known.__cause__
    return " <- ".join(said)
