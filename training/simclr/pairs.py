"""Pictures known to belong together, from clicks, labels or feedback: positives beside a picture's own two views. And
pairs that look alike and do not belong together: hard negatives.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from omma.errors import InvalidQuery
from omma.vectors import Int64

SOURCES: Final = ("click", "label", "feedback")
APART: Final = "apart"
"""The source of pairs that do not belong together; their weight counts for nothing."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Each picture's partners, both ways: partners[starts[i] : starts[i + 1]] are those of row i, drawn by weight.

    cumulated: float64, of the weights, over all partners. counts: pairs by source. left_out: pairs of a picture that
    is not trained on (held out, unreadable, absent). apart: by row, the rows that it must be told from.
    """

    starts: Int64
    partners: Int64
    cumulated: npt.NDArray[np.float64]
    counts: dict[str, int]
    left_out: int
    apart: Mapping[int, Sequence[int]] = field(default_factory=dict)

    @property
    def none(self) -> bool:
        """Whether each picture comes once in a batch, and only as itself."""
        return self.left_out == 0 and len(self.partners) == 0 and not self.apart

    def partner(self, row: int, uniform: float) -> int | None:
        """A partner of the row, None if it has none. uniform: 0 ... 1, which decides. Pure."""
        start, stop = int(self.starts[row]), int(self.starts[row + 1])
        if start == stop:
            return None
        before = self.cumulated[start - 1] if start else 0.0
        aim = before + uniform * (self.cumulated[stop - 1] - before)
        return int(self.partners[min(start + int(np.searchsorted(self.cumulated[start:stop], aim, "right")), stop - 1)])

    def opposite(self, row: int, uniform: float) -> int | None:
        """A row that this one must be told from, None if none is known. uniform: as of `partner`. Pure."""
        known = self.apart.get(row)
        return known[min(int(uniform * len(known)), len(known) - 1)] if known else None

    def kin(self, rows: Int64, others: Int64) -> npt.NDArray[np.bool_]:
        """bool[rows, others]: which are the same picture or known partners, and so no negatives of each other. Pure."""
        same: npt.NDArray[np.bool_] = rows[:, None] == others[None, :]
        for number, row in enumerate(rows):
            same[number] |= np.isin(others, self.partners[self.starts[row] : self.starts[row + 1]])
        return same


def no_pairs(count: int) -> Pairs:
    """For a run on pictures alone."""
    nothing = np.empty(0, np.int64)
    return Pairs(np.zeros(count + 1, np.int64), nothing, np.empty(0, np.float64), {}, 0)


def read_pairs(file: Path, names: Sequence[str]) -> Pairs:
    """CSV with columns first, second (names of pictures), source (click, label, feedback; apart: they do not belong
    together) and perhaps weight (above 0).

    A pair counts both ways, given once or twice; weights of repeated pairs add up. Raises InvalidQuery, field
    `pairs`, with the line. Blocks.
    """
    row_of = {name: row for row, name in enumerate(names)}
    weights: dict[tuple[int, int], float] = defaultdict(float)
    counts: Counter[str] = Counter()
    apart: dict[int, set[int]] = defaultdict(set)
    left_out = 0
    for line, first, second, source, weight in _lines(file):
        if source not in (*SOURCES, APART) or weight <= 0 or not np.isfinite(weight):
            raise InvalidQuery(
                f"{file}:{line}: source is {', '.join(SOURCES)} or {APART}, weight is above 0.", field="pairs"
            )
        if first not in row_of or second not in row_of or first == second:
            left_out += 1
            continue
        counts[source] += 1
        one, other = row_of[first], row_of[second]
        for key in ((one, other), (other, one)):
            if source == APART:
                apart[key[0]].add(key[1])
            else:
                weights[key] += weight
    ordered = sorted(weights)
    starts = np.searchsorted(np.array([one for one, _ in ordered], np.int64), np.arange(len(names) + 1)).astype(
        np.int64
    )
    partners = np.array([other for _, other in ordered], np.int64)
    cumulated = np.cumsum([weights[key] for key in ordered], dtype=np.float64)
    told_apart = {row: tuple(sorted(others)) for row, others in apart.items()}
    return Pairs(starts, partners, cumulated, dict(counts), left_out, told_apart)


def _lines(file: Path) -> "list[tuple[int, str, str, str, float]]":
    try:
        with file.open(newline="") as lines:
            return [
                (number, row["first"], row["second"], row["source"], float(row.get("weight") or 1))
                for number, row in enumerate(csv.DictReader(lines), 2)
            ]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise InvalidQuery(f"{file} is no CSV of first,second,source[,weight]: {error!r}", field="pairs") from error
