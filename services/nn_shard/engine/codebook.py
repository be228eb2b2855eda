"""The trained part of an index: OPQ matrix, coarse centroids, PQ, and the tuning measured on the training sample."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, eq=False)
class Codebook:
    """id: sha256 hex of its file. dim: of the vectors it encodes. train_rows: rows it was trained on."""

    id: str
    dim: int
    nlist: int
    train_rows: int

    @classmethod
    def load(cls, path: Path, sha256: str | None = None) -> "Codebook":
        """Raises Corrupt when the file does not have this checksum, or is no codebook."""
        raise NotImplementedError

    @classmethod
    def from_bytes(cls, content: bytes, sha256: str | None = None) -> "Codebook":
        """Raises Corrupt as `load` does."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """The one file's content, byte for byte what it was loaded from."""
        raise NotImplementedError
