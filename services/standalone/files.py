"""Files that somebody named to a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omma.errors import InvalidQuery, StorageFull
from omma.os_errors import file_error
from services.standalone.output import shown


def is_file(path: Path) -> bool:
    """Of any words at all: what is longer than a name may be, as keys and addresses are, or lies where nobody may look,
    is none.
    """
    try:
        return path.is_file()
    except OSError:
        return False


def may_become(path: Path) -> bool:
    """Whether a file can have this name: its folder is there, and it is none itself."""
    try:
        return not path.is_dir() and path.absolute().parent.is_dir()
    except OSError:
        return False


def content_of(path: Path, field: str) -> bytes:
    """Its bytes. Blocks. Raises InvalidQuery, which says why it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error, field) from None


@contextmanager
def writing(path: Path, field: str) -> Iterator[None]:
    """Around what writes there. Raises InvalidQuery, which says why nothing can be written; StorageFull."""
    try:
        yield
    except OSError as error:
        full = file_error(error, shown(path))
        if isinstance(full, StorageFull):
            raise full from None
        raise InvalidQuery(f"{shown(path)} cannot be written: {error.strerror or error}.", field=field) from None


def unreadable(path: Path, error: OSError, field: str) -> InvalidQuery:
    return InvalidQuery(f"{shown(path)} cannot be read: {error.strerror}.", field=field)
