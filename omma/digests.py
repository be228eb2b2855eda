"""One number that says which versions of which pictures a bucket holds: equal where the same is held."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from omma.vectors import Int64, UInt64

_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, slots=True)
class Digests:
    """By bucket, 0 … B-1. pictures: int64[B], how many. sums: uint64[B], of mix(mix(id) + version), modulo 2**64.

    Two sets that differ have the same sum with a probability of 2**-64, unless somebody looked for them.
    """

    pictures: Int64
    sums: UInt64

    @classmethod
    def empty(cls, buckets: int) -> "Digests":
        """Of nothing."""
        return cls(np.zeros(buckets, np.int64), np.zeros(buckets, np.uint64))

    def add(self, ids: Int64, versions: Int64) -> None:
        """Count these pictures in; in any order, in one call or in many."""
        at = buckets_of(ids, len(self.pictures))
        self.pictures[:] += np.bincount(at, minlength=len(self.pictures))
        # Unbuffered: several pictures of one bucket add up, and wrap.
        np.add.at(self.sums, at, mixed(mixed(ids.view(np.uint64)) + versions.view(np.uint64)))


def buckets_of(ids: Int64, buckets: int) -> Int64:
    """int64[n]: omma.buckets.bucket_of each id."""
    return (mixed(ids.view(np.uint64)) % np.uint64(buckets)).astype(np.int64)


def mixed(values: npt.NDArray[np.unsignedinteger[Any]]) -> UInt64:
    """uint64[n]: omma.buckets.mix of each value."""
    x = values.astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))
