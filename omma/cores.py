"""How many cores this process may use: a container's quota is not seen in the affinity mask."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc/self/cgroup")
_GROUPS: Final = Path("/sys/fs/cgroup")


def cores(proc: Path = _PROC, groups: Path = _GROUPS) -> int:
    """At least 1: the affinity mask's, or the cgroup's CPU quota if that is less; a part of a core counts as one.

    proc, groups: where Linux tells of cgroups, version 1 or 2. Reads files; blocks no longer than that.
    """
    allowed = len(os.sched_getaffinity(0))
    return max(1, min([allowed, *(math.ceil(quota) for quota in _quotas(proc, groups))]))


def _quotas(proc: Path, groups: Path) -> Iterator[float]:
    """Cores that each group from ours to the root may use, where one is limited."""
    for folder in _folders(proc, groups):
        v2 = _words(folder / "cpu.max")
        v1 = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        for said in (v2, v1):
            if len(said) == 2 and said[0].isdigit() and said[1].isdigit() and int(said[1]):
                yield int(said[0]) / int(said[1])


def _folders(proc: Path, groups: Path) -> Iterator[Path]:
    for line in _lines(proc):
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # Version 1 has a hierarchy for each set of controllers. In a container its own group is often mounted as root.
        for root in [groups / controllers, groups / "cpu"] if controllers else [groups, groups / "unified"]:
            own = root / path.lstrip("/")
            yield root
            yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(root) and folder != root)


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text().splitlines() if line.count(":") >= 2]
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
