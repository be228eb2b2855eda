"""A picture's place is arithmetic: bucket, and the shard that owns the bucket."""

from collections.abc import Sequence
from math import gcd
from typing import Final

from omma.errors import InvalidQuery

ROW_BUCKETS: Final = 256
"""Of the catalog's rows, whatever the spaces have: a row's bucket is read by index."""

_MASK = (1 << 64) - 1


def mix(x: int) -> int:
    """The splitmix64 finaliser (without the increment) on x as uint64.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, variant 13 of Stafford.
    """
    x &= _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def bucket_of(image_id: int, buckets: int) -> int:
    """The bucket, 0 … buckets - 1, which is also the partition of the space's vectors topic."""
    return mix(image_id) % buckets


def row_bucket_of(image_id: int) -> int:
    """The bucket that the catalog keeps with a row."""
    return bucket_of(image_id, ROW_BUCKETS)


def bucket_classes(buckets: int) -> list[tuple[Sequence[int], Sequence[int]]]:
    """Buckets of a space and row buckets that hold the same ids, the smallest such sets: one bucket a class for 256
    and fewer, several of a space's buckets for 512; any other number shares its factors of two.
    """
    classes = gcd(buckets, ROW_BUCKETS)
    return [(range(one, buckets, classes), range(one, ROW_BUCKETS, classes)) for one in range(classes)]


def buckets_of_shard(shard: int, shards: int, buckets: int) -> range:
    """The buckets that shard `shard` of `shards` owns: [i*B/n, (i+1)*B/n).

    Raises InvalidQuery unless 0 <= shard < shards <= buckets.
    """
    if not 0 <= shard < shards <= buckets:
        raise InvalidQuery(
            f"shard {shard} of {shards} over {buckets} buckets: shards must be 1 to {buckets}.", field="shards"
        )
    return range(shard * buckets // shards, (shard + 1) * buckets // shards)


def shard_of(image_id: int, shards: int, buckets: int) -> int:
    """The shard that owns the picture's bucket: the inverse of buckets_of_shard."""
    bucket = bucket_of(image_id, buckets)
    return ((bucket + 1) * shards - 1) // buckets
