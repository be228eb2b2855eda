"""Files whose checksum was seen to be right since this machine booted, and that nobody wrote since: a start of the
process need not read them again. After a loss of power they are: a disk may have said that it has what it has not.
"""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from services.nn_shard.engine.manifest import FileSum

SEEN: Final = "seen.json"
_DAYS: Final = 7
"""After which a file is read again at a start all the same: a disk may lose what nobody wrote."""
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
"""Of Linux (https://docs.kernel.org/admin-guide/sysctl/kernel.html#random). Where there is none, all is read."""


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
    """Of an engine's folder, kept in it. A loss costs time and nothing else. Belongs to one thread."""

    def __init__(self, folder: Path, *, boot: Path = _BOOT, clock: Callable[[], float] = time.time) -> None:
        """boot: the file that says which boot this is. clock: seconds since 1970."""
        self._boot = boot.read_text().strip() if boot.exists() else ""
        self._folder = folder
        self._clock = clock
        self._sights = _read(folder / SEEN)

    def holds(self, file: FileSum) -> bool:
        """Whether it is as it was when its checksum was compared, no longer than a week ago."""
        sight = self._sights.get(file.path)
        if not self._boot or sight is None or not 0 <= self._clock() - sight.at < _DAYS * 86_400:
            return False
        return self._look(file, sight.at) == sight

    def note(self, files: Iterable[FileSum]) -> None:
        """All the files there are, whose checksums are right: those that are not known yet were compared just now."""
        now, sights = self._clock(), {}
        for file in files:
            known = self._sights.get(file.path)
            sight = known if known is not None and self.holds(file) else self._look(file, now)
            if sight is not None:
                sights[file.path] = sight
        if sights != self._sights:
            self._sights = sights
            _write(self._folder / SEEN, sights)

    def _look(self, file: FileSum, at: float) -> _Sight | None:
        try:
            found = (self._folder / file.path).stat()
        except OSError:
            return None
        return _Sight(self._boot, file.sha256, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, at)


def _read(path: Path) -> dict[str, _Sight]:
    try:
        return {name: _Sight(*sight) for name, sight in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write(path: Path, sights: dict[str, _Sight]) -> None:
    """Not synced: after a crash the files are read once more."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(sights))
    temporary.replace(path)
