"""What a name says before anything is opened: a picture, something else, a folder that holds nobody's pictures."""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

_NOBODYS: Final = frozenset(
    {
        "@eadir",  # Synology: thumbnails beside every picture
        "@tmp",
        "#recycle",
        "#snapshot",
        "@recycle",  # QNAP
        "@recently-snapshot",
        "$recycle.bin",  # Windows
        "recycler",
        "system volume information",
        "lost+found",
        "__macosx",  # archives made on a Mac: resource forks under the pictures' names
        "found.000",
        "lost.dir",  # Android
    }
)
"""Folders that a system keeps beside people's pictures: thumbnails and bins. Lower case."""

_NO_SUFFIX: Final = "no suffix"
_OTHER: Final = "other"
_SUFFIX_CHARACTERS: Final = 12


def is_hidden(name: str) -> bool:
    """Of a file or a folder."""
    return name.startswith(".")


def is_nobodys(folder: str) -> bool:
    """A folder of this name holds no person's pictures."""
    return folder.lower() in _NOBODYS


def nobodys_folder(folders: Iterable[str]) -> str | None:
    """The first of these, as a path has them, that holds no person's pictures; None for none."""
    return next(filter(is_nobodys, folders), None)


def suffix_of(name: str) -> str:
    """Lower case with its dot, "" for none."""
    return PurePosixPath(name).suffix.lower()


def kind_of(name: str) -> str:
    """What a file that is no picture is counted as: its suffix."""
    suffix = suffix_of(name)
    if not suffix:
        return _NO_SUFFIX
    return suffix if len(suffix) <= _SUFFIX_CHARACTERS and suffix.isprintable() and suffix.isascii() else _OTHER
