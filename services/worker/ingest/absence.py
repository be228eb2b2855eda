"""Which absences are deletions: single files of folders that are there otherwise, and nothing en masse."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from omma.blobs.opening import is_gone, open_folder
from omma.blobs.originals import path_of
from omma.os_errors import require_some_left

_HANDFUL: Final = 5


@dataclass(frozen=True, slots=True)
class Absence:
    """gone: keys of files that were deleted. missing: keys of files that are away with the folders that they were in.

    folders: the topmost of those, as URIs.
    """

    gone: tuple[str, ...]
    missing: tuple[str, ...]
    folders: tuple[str, ...]


def away(keys: Iterable[str]) -> list[str]:
    """Those of these files' URIs where there is nothing any more. Blocking."""
    return [key for key in keys if is_gone(path_of(key))]


def judge(root: str, held: Mapping[str, int], absent: Iterable[str]) -> Absence:
    """root: the source's URI. held: files that the catalog had, by the URI of their folder. absent: of files.

    A folder is taken as away, not as emptied, when more than a handful and more than half of what it held are not
    there; when it is there and has nothing in it, as a mount point without its disk; and the root when all of it is
    gone. What is in such a folder is missing. Blocking. Raises Overloaded where no file can be opened.
    """
    absent = list(absent)
    lost = _with_folders_above(root, Counter(map(_folder_of, absent)))
    whole = _with_folders_above(root, held)
    fallen = {
        folder
        for folder, count in lost.items()
        if (count > _HANDFUL and 2 * count > whole[folder]) or (folder == root and count == whole[folder])
    }
    fallen |= {folder for folder in set(map(_nearest, map(_folder_of, absent))) if _is_bare(folder)}
    topmost = {key: _topmost(root, _folder_of(key), fallen) for key in absent}
    return Absence(
        gone=tuple(key for key, folder in topmost.items() if folder is None),
        missing=tuple(key for key, folder in topmost.items() if folder is not None),
        folders=tuple(sorted({folder for folder in topmost.values() if folder is not None})),
    )


def folders_of(keys: Iterable[str]) -> Counter[str]:
    """How many of these files' URIs lie in each folder."""
    return Counter(map(_folder_of, keys))


def _folder_of(uri: str) -> str:
    return uri.rpartition("/")[0]


def _up(root: str, folder: str) -> Iterator[str]:
    """The folder and those above it, to the root."""
    while len(folder) >= len(root):
        yield folder
        folder = _folder_of(folder)


def _with_folders_above(root: str, direct: Mapping[str, int]) -> Counter[str]:
    """Counts of folders with all that is below them."""
    sums: Counter[str] = Counter()
    for folder, count in direct.items():
        for above in _up(root, folder):
            sums[above] += count
    return sums


def _topmost(root: str, folder: str, fallen: set[str]) -> str | None:
    found = None
    for above in _up(root, folder):
        if above in fallen:
            found = above
    return found


def _nearest(folder: str) -> str:
    """The folder, or the one above it that is there."""
    while is_gone(path_of(folder)) and folder != _folder_of(folder):
        folder = _folder_of(folder)
    return folder


def _is_bare(folder: str) -> bool:
    """Whether nothing is in it, or its disk does not say what is: then nothing that is not seen there was deleted.

    Raises Overloaded where the machine has no file left to open.
    """
    path = path_of(folder)
    try:
        handle = open_folder(path)
        try:
            with os.scandir(handle) as entries:
                return next(entries, None) is None
        finally:
            os.close(handle)
    except PermissionError:
        return False
    except OSError as error:
        require_some_left(error, str(path))
        return True
