"""Words with their vectors, as bytes that a job reads."""

import hashlib
import io
from dataclasses import dataclass

import numpy as np

from omma.blobs.interface import of_space
from omma.identity import Tenant
from omma.vectors import Float32


def words_of_space_key(space: str) -> str:
    """Of the blob that holds a vocabulary in a space, for whoever has no embedder. space: its id."""
    return f"{of_space(space)}words"


def known_words_key(tenant: Tenant, sha256: str) -> str:
    """Of the blob that holds words until their job has ended. Tenants may be any text, keys may not."""
    return f"words/{hashlib.sha256(tenant.encode()).hexdigest()[:16]}/{sha256}"


@dataclass(frozen=True, slots=True)
class KnownWords:
    """vectors: float32[n, dim], unit, as likely_words has them: the words' first."""

    words: tuple[str, ...]
    vectors: Float32

    @classmethod
    def none(cls, dim: int) -> "KnownWords":
        return cls((), np.empty((0, dim), np.float32))

    def encode(self) -> bytes:
        """The same words have the same bytes. Blocks: some milliseconds."""
        out = io.BytesIO()
        np.save(out, np.array(self.words, np.str_), allow_pickle=False)
        np.save(out, self.vectors.astype("<f4"), allow_pickle=False)
        return out.getvalue()

    @classmethod
    def decode(cls, content: bytes) -> "KnownWords":
        """Of what `encode` made."""
        given = io.BytesIO(content)
        words = np.load(given, allow_pickle=False)
        return cls(tuple(map(str, words.tolist())), np.load(given, allow_pickle=False))
