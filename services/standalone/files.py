"""Files that somebody named to a command."""

from pathlib import Path

from omma.errors import InvalidQuery
from services.standalone.output import shown


def is_file(path: Path) -> bool:
    """Of any words at all: what is longer than a name may be, as keys and addresses are, or lies where nobody may look,
    is none.
    """
    try:
        return path.is_file()
    except OSError:
        return False


def content_of(path: Path, field: str) -> bytes:
    """Its bytes. Blocks. Raises InvalidQuery, which says why it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error, field) from None


def unreadable(path: Path, error: OSError, field: str) -> InvalidQuery:
    return InvalidQuery(f"{shown(path)} cannot be read: {error.strerror}.", field=field)
