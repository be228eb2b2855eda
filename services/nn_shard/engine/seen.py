"""Files whose checksum was seen to be right since this machine booted, and that nobody wrote since: a start of the
process need not read them again. After a loss of power they are: a disk may have said that it has what it has not.
"""

import json
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from omma.errors import causes
from services.nn_shard.engine.manifest import FileSum
from services.nn_shard.engine.segment import file_sum, verify

SEEN: Final = "seen.json"
_DAYS: Final = 7
"""After which a file is read again at a start all the same: a disk may lose what nobody wrote."""
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
"""Of Linux (https://docs.kernel.org/admin-guide/sysctl/kernel.html#random). Where there is none, all is read."""

logger = logging.getLogger(__name__)


class _Sight(NamedTuple):
    """at: seconds since 1970. Size, times and inode are the file system's: a write sets the times, a copy has another
    inode.
    """

    boot: str
    sha256: str
    bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    at: float


class Seen:
    """Of an engine's folder, kept in it. A loss costs time and nothing else. Threads may verify files of their own at
    once; all else belongs to one.
    """

    def __init__(self, folder: Path, *, boot: Path = _BOOT, clock: Callable[[], float] = time.time) -> None:
        """boot: the file that says which boot this is. clock: seconds since 1970."""
        self._boot = boot.read_text().strip() if boot.exists() else ""
        self._folder = folder
        self._clock = clock
        self._sights = _read(folder / SEEN)
        self._kept = dict(self._sights)

    def holds(self, file: FileSum) -> bool:
        """Whether it is as it was when its checksum was compared, no longer than a week ago."""
        sight = self._sights.get(file.path)
        if not self._boot or sight is None or not 0 <= self._clock() - sight.at < _DAYS * 86_400:
            return False
        return sight.bytes == file.bytes and self._look(file.path)._replace(sha256=file.sha256, at=sight.at) == sight

    def verify(self, file: FileSum) -> None:
        """Read and compare it, unless it is held; it is from now on. Raises Corrupt, or what reading raises."""
        if not self.holds(file):
            # Looked at before it is read: what is written meanwhile makes it another file than the one that was seen.
            before = self._look(file.path)
            verify(self._folder, file)
            self._sights[file.path] = before._replace(sha256=file.sha256)

    def sum(self, path: Path) -> FileSum:
        """Hash what this process has just written below the folder, and hold it from now on."""
        before = self._look(path.relative_to(self._folder).as_posix())
        summed = file_sum(path, self._folder)
        self._sights[summed.path] = before._replace(sha256=summed.sha256)
        return summed

    def take(self, files: Iterable[FileSum]) -> None:
        """Hold what somebody else has just hashed, as a restore does."""
        for file in files:
            self._sights[file.path] = self._look(file.path)._replace(sha256=file.sha256)

    def keep(self, files: Iterable[FileSum]) -> None:
        """All the files there are: what is known of them is written down as it is, what is known of others goes.

        A file that changed since it was hashed stays as it was seen then, so that the next start reads it.
        """
        known = {file.path: self._sights[file.path] for file in files if file.path in self._sights}
        self._sights = known
        if known != self._kept:
            self._kept = dict(known)
            _write(self._folder / SEEN, known)

    def _look(self, path: str) -> _Sight:
        """As it is now, of no checksum. One that is absent has no bytes: what is read of it raises."""
        try:
            found = (self._folder / path).stat()
        except OSError:
            return _Sight(self._boot, "", -1, 0, 0, 0, self._clock())
        times = found.st_mtime_ns, found.st_ctime_ns
        return _Sight(self._boot, "", found.st_size, *times, found.st_ino, self._clock())


def _read(path: Path) -> dict[str, _Sight]:
    try:
        return {name: _Sight(*sight) for name, sight in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write(path: Path, sights: dict[str, _Sight]) -> None:
    """Not synced, and nothing where the disk is full: then the next start reads the files once more."""
    temporary = path.with_suffix(".new")
    try:
        temporary.write_text(json.dumps(sights))
        temporary.replace(path)
    except OSError as error:
        logger.warning("The next start reads every file: %s", causes(error))
