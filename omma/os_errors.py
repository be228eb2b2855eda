"""Whose fault an operating system's error is: the file's own, the full disk's, or the machine's, which may pass.

One table for whoever reads a file: what is the file's own fault is told of it and not tried again; what is the
machine's (too many open files, a disk that fails, a share that does not answer) says nothing of the file.
"""

import errno
from typing import Final

from omma.errors import Absent, OmmaError, Overloaded, ReplicaDown, StorageFull

_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL})
_BARRED: Final = frozenset({errno.EACCES, errno.EPERM})
_NO_FILE: Final = frozenset({errno.ENXIO, errno.EOPNOTSUPP})
"""A socket, a pipe or a device."""
_SHORT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""Whatever file it is: the process or its machine has no more of something."""
_RETRY_SECONDS: Final = 1.0
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def file_error(error: OSError, what: str) -> OmmaError:
    """The error with a kind that this one stands for; what: the file, as people know it.

    Absent: this file is not there, is none, or may not be read. StorageFull. Overloaded: no file can be opened now.
    ReplicaDown: every other one, since a number that nobody thought of must cost time and no picture.
    """
    if error.errno in _GONE:
        return Absent(f"{what} is no longer there; ingest its folder again.", field="uri")
    if error.errno in _BARRED:
        return Absent(f"{what} may not be read by this process.", field="uri")
    if error.errno in _NO_FILE:
        return Absent(f"{what} is no file.", field="uri")
    if error.errno in _FULL:
        return StorageFull(f"There is no room for {what}; free some space and try again.")
    reason = error.strerror or type(error).__name__
    if error.errno in _SHORT:
        return Overloaded(f"{what} cannot be read now: {reason}.", field="uri", retry_after_seconds=_RETRY_SECONDS)
    return ReplicaDown(f"{what} cannot be read now: {reason}.", field="uri")


def require_some_left(error: OSError, what: str) -> None:
    """Raises Overloaded for an error that says nothing of this file: none can be opened now, or memory is short."""
    if error.errno in _SHORT:
        raise file_error(error, what) from error
