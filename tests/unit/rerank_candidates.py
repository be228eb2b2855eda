"""Candidates as shards find them, for tests of the re-ranker."""

import numpy as np
from hypothesis import strategies as st

from omma.hits import Hits, Payload
from services.rerank.client import Reranked
from services.rerank.policies import Policies

COPY = 0xF0F0_F0F0_F0F0_F0F0


OTHER = 0x0F0F_0F0F_0F0F_0F0F


UNLIKE = [0, *(0xFFFF << shift for shift in (0, 16, 32, 48))]


FIRST = Policies().get("default@1")


EAST, NORTH = (1.0, 0.0), (0.0, 1.0)


def candidates(
    phashes: list[int],
    vectors: list[tuple[float, ...]] | None = None,
    scores: list[float] | None = None,
    payloads: list[Payload] | None = None,
    known: list[bool] | None = None,
    signatures: list[bytes] | None = None,
) -> Hits:
    """Ids 1, 2, 3 …, best first."""
    count = len(phashes)
    return Hits(
        ids=np.arange(1, count + 1),
        scores=np.array(scores or np.linspace(0.9, 0.1, count), np.float32),
        versions=np.ones(count, np.int64),
        phashes=np.array(phashes, np.uint64),
        boxes=np.zeros((count, 4), np.int32),
        payloads=None if payloads is None else tuple(payloads),
        vectors=None if vectors is None else np.array(vectors, np.float16).reshape(count, 2),
        phash_known=np.array([True] * count if known is None else known),
        signatures=None if signatures is None else tuple(signatures),
    )


def ids(reranked: Reranked) -> list[int]:
    return [hit.position + 1 for hit in reranked.ranked]


FEW_PHASHES = st.integers(0, 30).map(lambda number: 0 if number == 0 else 0xFFFF << number)
