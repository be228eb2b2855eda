"""What other services know of a shard: the interface, and the client that speaks to one over gRPC."""

from omma.hits import FetchedPicture
from services.nn_shard.client.interface import (
    MAX_ERASED,
    MAX_TOKEN_CHARACTERS,
    BucketDigests,
    BucketPage,
    ShardClient,
    ShardQuery,
    ShardStats,
)
from services.nn_shard.client.remote import RemoteShard

__all__ = [
    "MAX_ERASED",
    "MAX_TOKEN_CHARACTERS",
    "BucketDigests",
    "BucketPage",
    "FetchedPicture",
    "RemoteShard",
    "ShardClient",
    "ShardQuery",
    "ShardStats",
]
