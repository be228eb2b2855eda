"""What SQLite's result codes mean to a caller: the log and the catalog map them in this one place."""

import sqlite3
from typing import Final

from omma.errors import Corrupt, OmmaError, Overloaded, ReplicaDown, StorageFull

BUSY_TIMEOUT_SECONDS: Final = 5.0
"""How long a writer waits for another process that holds the database."""

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_MACHINE: Final = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
    }
)
"""What may pass: no room for the file that readers share, no file left to open, a disk that fails or is read-only."""


def storage_error(error: BaseException, what: str) -> OmmaError | None:
    """The error with a kind that this SQLite error stands for; None when it is something else. what: "The log"."""
    if not isinstance(error, sqlite3.Error):
        return None
    # Extended codes carry the primary code in their low byte: https://sqlite.org/rescode.html
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageFull(f"{what} cannot grow: the disk is full. Nothing was written; free some space and try again.")
    if code in _BUSY:
        return Overloaded(
            f"{what} is locked by another process. Nothing was written; stop that process or try again.",
            retry_after_seconds=1.0,
        )
    if code in _CORRUPT:
        return Corrupt(f"{what} is damaged. Restore it from a backup.")
    if code in _MACHINE:
        return ReplicaDown(
            f"{what} cannot be read or written now: {error}. Its disk may be full, failing or read-only, or too many "
            "files open."
        )
    return None
