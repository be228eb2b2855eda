"""The log in one SQLite file: Kafka's semantics for one process. See docs/adr/0004-sqlite-log.md."""

from omma.log.sqlite.log import SqliteLog

__all__ = ["SqliteLog"]
