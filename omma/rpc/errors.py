"""An OmmaError as a gRPC status and back, by the one table of omma.errors.

The status carries the detail as its message; trailing metadata carries `omma-kind`, `omma-field`, `omma-limit` and
`omma-retry-after-seconds`.
"""

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, unquote

import grpc

from omma.errors import ERROR_OF_KIND, STATUS, Bug, Kind, OmmaError
from omma.v1 import types_pb2

_MAX_DETAIL_CHARACTERS: Final = 2_000
"""gRPC refuses more than 8 KiB of metadata by default."""

_KINDS: Final = frozenset(kind.value for kind in Kind)

_KIND_OF_CODE: Final[dict[str, Kind]] = {
    # STATUS maps several kinds to one code; a status without `omma-kind` comes from gRPC itself and means the first.
    **{status.grpc: kind for kind, status in reversed(STATUS.items())},
    "RESOURCE_EXHAUSTED": Kind.OVERLOADED,
    # A server that stops cancels the calls that outlive its grace; our own cancelling is a CancelledError.
    "CANCELLED": Kind.REPLICA_DOWN,
}

_DID: Final[dict[Kind, str]] = {
    Kind.REPLICA_DOWN: "did not answer",
    Kind.OUT_OF_TIME: "did not answer in time",
    Kind.OVERLOADED: "is busy",
    Kind.TOO_LARGE: "was sent, or sent back, more than one message holds",
    Kind.ABSENT: "does not have what was asked for",
}
_FAILED: Final = "failed"


def status_of(error: OmmaError) -> tuple[grpc.StatusCode, str, tuple[tuple[str, str], ...]]:
    """The code, the message and the trailing metadata that tell a caller of this error."""
    said = {
        "omma-kind": error.kind.value,
        "omma-field": None if error.field is None else quote(error.field[:200]),
        "omma-limit": None if error.limit is None else repr(error.limit),
        "omma-retry-after-seconds": None if error.retry_after_seconds is None else repr(error.retry_after_seconds),
    }
    metadata = tuple((name, value) for name, value in said.items() if value is not None)
    return grpc.StatusCode[STATUS[error.kind].grpc], error.detail[:_MAX_DETAIL_CHARACTERS], metadata


def error_of(error: grpc.aio.AioRpcError, peer: str) -> OmmaError:
    """What the server raised, as the same class with field and limit. peer: who was asked, as callers may know it.

    A status that gRPC made: UNAVAILABLE is ReplicaDown, DEADLINE_EXCEEDED is OutOfTime; what has no kind is a Bug. Its
    words name addresses and gRPC's inside: they are for the log, by way of the cause, and ours are for the caller.
    """
    said = _text_metadata(error.trailing_metadata() or ())
    kind = said.get("omma-kind", "")
    detail = error.details() or ""
    if kind not in _KINDS:
        known = _kind_of(error.code(), detail)
        return ERROR_OF_KIND[known](f"{peer} {_DID.get(known, _FAILED)}.")
    return _raised(Kind(kind), detail, said)


def fault_of(error: OmmaError) -> types_pb2.Fault:
    """The same, for one question among several in a call."""
    _, detail, said = status_of(error)
    return types_pb2.Fault(detail=detail, said=dict(said))


def error_of_fault(fault: types_pb2.Fault, peer: str) -> OmmaError:
    """What `fault_of` was given; a Bug where its kind is none that is known here."""
    kind = fault.said.get("omma-kind", "")
    return _raised(Kind(kind), fault.detail, fault.said) if kind in _KINDS else Bug(f"{peer} {_FAILED}.")


def generic_bug() -> Bug:
    """What a caller is told of an exception without a kind; the log has the rest."""
    return Bug(f"{STATUS[Kind.BUG].title}; the log has it under this request id.")


def _raised(kind: Kind, detail: str, said: Mapping[str, str]) -> OmmaError:
    field = said.get("omma-field")
    return ERROR_OF_KIND[kind](
        detail,
        field=None if field is None else unquote(field),
        limit=_number(said.get("omma-limit")),
        retry_after_seconds=_number(said.get("omma-retry-after-seconds")),
    )


def _kind_of(code: grpc.StatusCode, detail: str) -> Kind:
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in detail:
        return Kind.TOO_LARGE  # gRPC's own words for a message over the limit: sending it again would not help
    return _KIND_OF_CODE.get(code.name, Kind.BUG)


def _text_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    return {name: value for name, value in metadata if isinstance(value, str)}


def _number(text: str | None) -> int | float | None:
    if text is None:
        return None
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return None
