"""Groups of copies by connection: who is a copy of a copy is in the group, whichever of them was asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from omma.vectors import Int64

MERGED: Final = "merged"
"""The rule of pairs that people said are copies: they count before all others."""

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows that one rule takes for copies. distance: bits of the rule's hash that differ; 0 where it has none."""

    first: int
    second: int
    distance: int
    rule: str


def grouped(ids: Int64, pairs: Sequence[Pair], apart: Iterable[tuple[int, int]] = ()) -> tuple[Rows, dict[int, Pair]]:
    """The lowest row of each row's group, and by row, of those in a group of several, the nearest of its pairs.

    ids: int64[n], each once; what is near counts before what is far, and of equals the pair with the lower ids, so that
    the order of the rows changes nothing. apart: rows that never share a group, whatever connects them. Pure.
    """
    if not pairs:
        return np.arange(len(ids)), {}
    # Plain numbers and lists: numpy's take longer one at a time.
    id_of, leader = ids.tolist(), list(range(len(ids)))
    members: dict[int, list[int]] = {}
    enemies: dict[int, set[int]] = {}
    for one, other in apart:
        enemies.setdefault(one, set()).add(other)
        enemies.setdefault(other, set()).add(one)
    nearest: dict[int, Pair] = {}
    for pair in sorted(pairs, key=lambda pair: _order(pair, id_of)):
        first, second = leader[pair.first], leader[pair.second]
        if first != second:
            first, second = min(first, second), max(first, second)
            joining = members.get(second, [second])
            if enemies and any(leader[foe] == first for one in joining for foe in enemies.get(one, ())):
                continue
            members.setdefault(first, [first]).extend(joining)
            for row in joining:
                leader[row] = first
        nearest.setdefault(pair.first, pair)
        nearest.setdefault(pair.second, pair)
    return np.array(leader, np.intp), nearest


def _order(pair: Pair, ids: Sequence[int]) -> tuple[bool, int, int, int]:
    one, other = ids[pair.first], ids[pair.second]
    return pair.rule != MERGED, pair.distance, min(one, other), max(one, other)
