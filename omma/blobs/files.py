"""Files that appear whole or not at all, and survive a power loss once they have."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path, staging: Path) -> Iterator[BinaryIO]:
    """What the block writes is at path, whole and on the disk, when it ends; if it raises, path is as it was.

    staging: a folder on the same file system, which a crash may leave a part in. Blocking.
    """
    handle, name = tempfile.mkstemp(dir=staging)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable. Blocking."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
