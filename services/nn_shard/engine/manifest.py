"""The engine's manifest: which sealed segments make up its state, with the checksum of every file."""

import base64
import errno
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from pyroaring import BitMap

from omma.errors import Corrupt, causes
from omma.vectors import Int64
from services.nn_shard.engine.arrayfile import sync, sync_folder

MANIFEST: Final = "manifest.json"
DAMAGE: Final = (errno.EIO, errno.EBADMSG, errno.EUCLEAN, errno.ENOENT)
"""What a disk says of a file that it cannot give any more; the others (no memory, too many files) pass."""
_FORMAT: Final = 1
_SUM: Final = "sha256"
"""Of all else in the manifest. It lies in the stamp, where earlier versions pass over what they do not know."""


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

    def dead_rows(self) -> Int64:
        """Row numbers that were dead, rising."""
        return np.array(BitMap.deserialize(base64.b64decode(self.dead)), np.int64)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that `Engine.open` needs: `files()`, and `to_json()` as manifest.json beside them."""

    space: str
    index: str
    dim: int
    codebook: str | None
    segments: tuple[SegmentSum, ...]
    stamp: Mapping[str, Any]

    def files(self) -> tuple[FileSum, ...]:
        """The files of every segment."""
        return tuple(file for segment in self.segments for file in segment.files)

    def to_json(self) -> bytes:
        """What `manifest.json` holds: with a checksum of its own, since a changed offset or dead row is JSON, too."""
        value = {"format": _FORMAT, **asdict(self)}
        return json.dumps({**value, "stamp": {**self.stamp, _SUM: _sum(value)}}, indent=1).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Checkpoint":
        """Raises Corrupt for anything that `to_json` did not write. One of an earlier version has no checksum."""
        try:
            value = json.loads(text)
            told = value["stamp"].pop(_SUM, None)
            if told not in (None, _sum(value)):
                raise Corrupt("The manifest does not have its checksum.")
            if value.pop("format") != _FORMAT:
                raise Corrupt("The manifest is of another version of Omma.")
            segments = tuple(
                SegmentSum(**{**segment, "files": tuple(FileSum(**file) for file in segment["files"])})
                for segment in value.pop("segments")
            )
            return cls(**value, segments=segments)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Corrupt(f"The manifest cannot be read: {error}.") from None


def dead_text(rows: Int64) -> str:
    """Row numbers as SegmentSum.dead."""
    return base64.b64encode(BitMap(rows.astype(np.uint32)).serialize()).decode()


def read_manifest(folder: Path) -> Checkpoint | None:
    """The folder's manifest; None when there is none. Raises Corrupt, also where the disk does not give it."""
    path = folder / MANIFEST
    try:
        return Checkpoint.from_json(path.read_bytes()) if path.exists() else None
    except OSError as error:
        if error.errno not in DAMAGE:
            raise
        raise Corrupt(f"The manifest cannot be read: {causes(error)}.") from error


def write_manifest(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the folder's manifest, durably and at once: a crash leaves the old one or the new one."""
    temporary = folder / f"{MANIFEST}.new"
    with temporary.open("wb") as file:
        file.write(checkpoint.to_json())
        sync(file)
    temporary.replace(folder / MANIFEST)
    sync_folder(folder)


def _sum(value: Mapping[str, Any]) -> str:
    """sha256 of what the manifest says, however it is written."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
