"""A memory cgroup of our own, version 1 or 2, and what a process holds."""

import contextlib
import os
from pathlib import Path

_V2 = Path("/sys/fs/cgroup")
_V1 = Path("/sys/fs/cgroup/memory")


class MemoryCgroup:
    """Made on construction; raises OSError where this user may not make one. A process enters it before it execs."""

    def __init__(self, limit_bytes: int) -> None:
        v1 = (_V1 / "memory.limit_in_bytes").exists()
        self._path = (_V1 if v1 else _V2) / f"omma-bench-{os.getpid()}"
        self._path.mkdir()
        (self._path / ("memory.limit_in_bytes" if v1 else "memory.max")).write_text(str(limit_bytes))

    def enter(self) -> None:
        (self._path / "cgroup.procs").write_text(str(os.getpid()))

    def close(self) -> None:
        """Once every process in it has ended."""
        with contextlib.suppress(OSError):
            self._path.rmdir()


def rss_anon_mib(pid: int) -> float:
    """Memory that belongs to the process alone: the page cache of mapped files can be dropped and is not counted."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} tells no RssAnon")


def forget(folder: Path) -> None:
    """Drop the folder's files from the page cache, so that whoever reads them next is charged for them."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
