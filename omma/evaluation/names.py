"""What people call a picture of a folder, and which one it is."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

from omma.errors import InvalidQuery

_SEVERAL: Final = -1
_SCHEME: Final = "file://"


class PictureNames:
    """The pictures of a folder, by row: their position in the order of their relative paths."""

    def __init__(self, paths: Sequence[str], root: str = "") -> None:
        """paths: relative to root, with forward slashes, sorted, none twice. root: so that absolute ones are known."""
        self.paths = tuple(paths)
        self._root = root.rstrip("/") + "/"
        self._rows: dict[str, int] = {}
        for row, path in enumerate(self.paths):
            short = PurePosixPath(path)
            for name in {short.name, short.stem}:
                self._rows[name] = _SEVERAL if name in self._rows else row
        self._rows.update({path: row for row, path in enumerate(self.paths)})

    def __len__(self) -> int:
        return len(self.paths)

    def find(self, said: str, field: str) -> int | None:
        """The row of a relative or absolute path, a file URI, or a file name with or without its suffix; None: absent.

        Raises InvalidQuery with this field when several pictures have that file name.
        """
        name = unquote(said[len(_SCHEME) :]) if said.startswith(_SCHEME) else said
        row = self._rows.get(name.removeprefix(self._root).removeprefix("./"))
        if row == _SEVERAL:
            raise InvalidQuery(f"Several pictures are named {said!r}: give the path within the folder.", field=field)
        return row
