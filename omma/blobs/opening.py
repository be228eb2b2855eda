"""Files and folders of this machine, opened so that none of them holds up who opens it.

A pipe, a socket or a device is no file to read: opening one may block for ever, or wind a tape back. A path may be
longer than the kernel takes at once.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

_PIECE_BYTES: Final = 1_000
"""Of a path, taken at once: Linux has room for 4,095, macOS for 1,023."""
_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class NotAFile(OSError):
    """A folder, pipe, socket or device; as the system says it of a device that nothing is behind."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.ENXIO, "it is no regular file", str(path))


def open_file(path: Path) -> BinaryIO:
    """A regular file, for reading; links are followed. Raises OSError, NotAFile for anything else. Blocking."""
    with _reached(path) as (name, folder):
        if not stat.S_ISREG(os.stat(name, dir_fd=folder).st_mode):
            raise NotAFile(path)
        handle = os.open(name, _FLAGS, dir_fd=folder)
    try:
        # Looked at again: what the name stood for may have been exchanged. With O_NONBLOCK a pipe was not waited for.
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise NotAFile(path)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def open_folder(path: Path) -> int:
    """A handle of a folder, for os.scandir; the caller closes it. Raises OSError. Blocking."""
    with _reached(path) as (name, folder):
        return os.open(name, _FLAGS | os.O_DIRECTORY, dir_fd=folder)


def is_gone(path: Path) -> bool:
    """There is nothing of this name. False also where nobody can tell: it may not be looked at, or the disk fails.

    Blocking.
    """
    try:
        with _reached(path) as (name, folder):
            os.stat(name, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


@contextmanager
def _reached(path: Path) -> Iterator[tuple[bytes, int | None]]:
    """A name that the kernel takes, and the handle of the folder that it is in; None for the path as it is."""
    name = os.fsencode(path)
    folder: int | None = None
    try:
        while len(name) > _PIECE_BYTES:
            cut = name.rfind(b"/", 1, _PIECE_BYTES)
            if cut < 0:
                break  # a single name too long for any folder: the kernel says so
            below = os.open(name[:cut], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
            if folder is not None:
                os.close(folder)
            folder, name = below, name[cut:].lstrip(b"/")
        yield name, folder
    finally:
        if folder is not None:
            os.close(folder)
