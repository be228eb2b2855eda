"""Latencies as counts by bucket: minutes and gateways add up, and every quantile is known within a tenth."""

import math
from collections.abc import Mapping
from typing import Final

_STEP: Final = 1.1
_TOP: Final = 128


def bucket_of(milliseconds: float) -> int:
    """0 … 128: up to 1 ms, then each bucket a tenth wider than the one before; the last takes what is longer."""
    return min(_TOP, max(0, math.ceil(math.log(max(milliseconds, 1.0), _STEP))))


def upper_ms(bucket: int) -> float:
    """The longest latency of a bucket; of the last, the shortest."""
    return float(_STEP**bucket)


def quantile_ms(counts: Mapping[int, int], share: float) -> float | None:
    """The latency that `share`, 0 … 1, of what is counted does not exceed, as its bucket's upper end; None: nothing."""
    wanted = share * sum(counts.values())
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= wanted and seen:
            return upper_ms(bucket)
    return None


def slower_than(counts: Mapping[int, int], milliseconds: float) -> int:
    """How many lie in buckets that end beyond this."""
    return sum(count for bucket, count in counts.items() if upper_ms(bucket) > milliseconds)
