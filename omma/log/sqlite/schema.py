"""The tables of the log, and how a connection to them is opened."""

import sqlite3
import uuid
from pathlib import Path
from typing import Final

from omma.errors import WrongState

_FORMAT: Final = 1
_CACHE_KIB: Final = 32 << 10
_CHECKPOINT_PAGES: Final = 8_192
"""32 MiB; at the default of 1,000, single records over 256 partitions wrote 1.4 x as much (docs/adr/0004)."""

# A record's position packs partition id and offset into the rowid: a partition's records lie side by side, reading
# them is one range of one b-tree, and no second index has to be kept.
OFFSET_BITS: Final = 40
OFFSET_MASK: Final = (1 << OFFSET_BITS) - 1

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS log (format INTEGER NOT NULL, identity TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS topic (
    name TEXT PRIMARY KEY,
    first_partition_id INTEGER NOT NULL UNIQUE,
    partitions INTEGER NOT NULL,
    compacted INTEGER NOT NULL,
    retention_seconds INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS partition (
    id INTEGER PRIMARY KEY,
    beginning INTEGER NOT NULL DEFAULT 0,
    next INTEGER NOT NULL DEFAULT 0,
    cleaned INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS record (
    position INTEGER PRIMARY KEY,
    timestamp_ms INTEGER NOT NULL,
    key BLOB NOT NULL,
    value BLOB
);
CREATE TABLE IF NOT EXISTS group_offset (
    group_name TEXT NOT NULL,
    partition_id INTEGER NOT NULL,
    next INTEGER NOT NULL,
    PRIMARY KEY (group_name, partition_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS producer (transactional_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
"""


def position(partition_id: int, offset: int) -> int:
    """The key of a record; all of a partition's lie in [position(p, 0), position(p + 1, 0))."""
    return partition_id << OFFSET_BITS | offset


def open_writer(path: Path, busy_timeout_seconds: float) -> sqlite3.Connection:
    """The one connection that writes; makes the tables and the identity when the file is new. Blocking.

    What it commits survives a power loss (synchronous=FULL). Raises WrongState for a file of another format.
    """
    connection = _connect(path, busy_timeout_seconds)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        connection.execute("BEGIN IMMEDIATE")
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        row = connection.execute("SELECT format FROM log").fetchone()
        if row is None:
            connection.execute("INSERT INTO log VALUES (?, ?)", (_FORMAT, str(uuid.uuid4())))
        elif row[0] != _FORMAT:
            raise WrongState(f"{path} is a log of format {row[0]}; this version reads format {_FORMAT}.")
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path, busy_timeout_seconds: float) -> sqlite3.Connection:
    """A connection that cannot write. Blocking."""
    connection = _connect(path, busy_timeout_seconds)
    connection.execute("PRAGMA query_only=ON")
    return connection


def _connect(path: Path, busy_timeout_seconds: float) -> sqlite3.Connection:
    # A connection stays on its thread but for its close, which comes from the thread that closes the log.
    return sqlite3.connect(
        path, timeout=busy_timeout_seconds, isolation_level=None, check_same_thread=False, cached_statements=64
    )
