"""What other services know of the re-ranker: the interface, and the client that speaks to one over gRPC."""

from services.rerank.client.interface import (
    DropReason,
    Folded,
    NearDuplicates,
    RankedHit,
    Reranked,
    Reranker,
    RerankQuery,
)
from services.rerank.client.remote import RemoteReranker

__all__ = [
    "DropReason",
    "Folded",
    "NearDuplicates",
    "RankedHit",
    "RemoteReranker",
    "RerankQuery",
    "Reranked",
    "Reranker",
]
