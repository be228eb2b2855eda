"""A picture's place is arithmetic: bucket, and the shard that owns the bucket."""

from omma.errors import InvalidQuery

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
