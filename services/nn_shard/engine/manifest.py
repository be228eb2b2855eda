"""The engine's manifest: which sealed segments make up its state, with the checksum of every file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FileSum:
    """path: relative to the engine's folder, with `/`; sha256: lower-case hex."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SegmentSum:
    """name: unique for ever; files are immutable. dead: base64 of a serialised roaring bitmap of dead row numbers."""

    name: str
    rows: int
    files: tuple[FileSum, ...]
    dead: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that `Engine.open` needs: put `files()` and `to_json()` as manifest.json into a folder, and open it."""

    space: str
    index: str
    dim: int
    codebook: str | None
    segments: tuple[SegmentSum, ...]
    stamp: Mapping[str, Any]

    def files(self) -> tuple[FileSum, ...]:
        """The files of every segment."""
        return tuple(file for segment in self.segments for file in segment.files)

    def to_json(self) -> bytes: ...

    @classmethod
    def from_json(cls, text: bytes) -> "Checkpoint":
        """Raises Corrupt for anything that `to_json` did not write."""
        ...
