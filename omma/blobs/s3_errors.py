"""What S3's and botocore's errors mean to a caller."""

from collections.abc import Callable
from typing import Final, TypeVar

from botocore.exceptions import (
    ClientError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.exceptions import ConnectionError as NotConnected

from omma.blobs.interface import absent
from omma.errors import Corrupt, OmmaError, Overloaded, ReplicaDown, StorageFull

T = TypeVar("T")

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; those that start with XMinio are MinIO's.
_ABSENT: Final = frozenset({"NoSuchKey", "NotFound", "404"})
_FULL: Final = frozenset({"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "507"})
_NO_SPACE: Final = "no space left on device"
"""MinIO says so in an InternalError, once, before it sees that its disk is full."""
_BUSY: Final = frozenset(
    {"SlowDown", "SlowDownRead", "SlowDownWrite", "TooManyRequests", "RequestLimitExceeded", "Throttling", "429"}
)
_BROKEN: Final = (NotConnected, HTTPClientError, IncompleteReadError)


def is_broken(error: BaseException) -> bool:
    """The answer broke off: a read may be tried again."""
    return isinstance(error, (*_BROKEN, FlexibleChecksumError))


def read_again(read: Callable[[], T], tries: int) -> T:
    """botocore repeats requests, but not an answer that broke off while it was read. Blocks."""
    for _ in range(1, tries):
        try:
            return read()
        except Exception as error:
            if not is_broken(error):
                raise
    return read()


def storage_error(error: BaseException, key: str) -> OmmaError | None:
    """The error with a kind that this error stands for; None when it is something else."""
    if isinstance(error, FlexibleChecksumError):
        return Corrupt(f"Blob {key!r} came with another checksum than it was put with.")
    if isinstance(error, _BROKEN):
        return ReplicaDown("The object storage does not answer; try again.", retry_after_seconds=1.0)
    if not isinstance(error, ClientError):
        return None
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _ABSENT:
        return absent(key)
    if code in _FULL or status == 507 or _NO_SPACE in str(error):
        return StorageFull("The object storage is full. Nothing was written; free some space and try again.")
    if code in _BUSY or status == 429:
        return Overloaded("The object storage asks for less; try again.", retry_after_seconds=1.0)
    if status >= 500:
        return ReplicaDown("The object storage fails; try again.", retry_after_seconds=1.0)
    return None
