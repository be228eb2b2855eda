"""How many lists to probe and how many candidates to rescore, measured on held-out rows rather than assumed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from omma.vectors import Float32, Int64

TARGET_RECALL = 0.985
"""Of recall@10 on held-out rows. At 0.975 two codebooks of the same rows were up to 0.012 apart on other queries, which
a rebuild would show; the flatter end of the curve keeps them within 0.01 for a third more lists."""

DEPTHS = (1, 10, 30, 100, 300, 1_000)


@dataclass(frozen=True, slots=True)
class Tuning:
    """probes: (depth, lists needed), depth rising: the true `depth` nearest rows are then found with TARGET_RECALL.

    candidates: PQ ranks needed for the 10 nearest. oversample: candidates for each hit of a longer list.
    """

    probes: tuple[tuple[int, int], ...]
    candidates: int
    oversample: float

    def probes_at(self, depth: float, effort: int, nlist: int) -> int:
        """Lists to probe when the answer lies among the `depth` nearest rows. effort: 1 … 10, 0 as measured.

        Each step of effort is a factor of 1.41, and 4 is the measured number.
        """
        points = self.probes
        log_depth = math.log(max(depth, 1.0))
        lists = math.exp(
            float(np.interp(log_depth, [math.log(d) for d, _ in points], [math.log(n) for _, n in points]))
        )
        if log_depth > math.log(points[-1][0]):
            # Past the last measurement lists grow at most with the depth.
            lists *= math.exp(0.5 * (log_depth - math.log(points[-1][0])))
        if effort:
            lists *= 2.0 ** ((effort - 4) / 2)
        return min(max(math.ceil(lists), 1), nlist)

    def candidates_for(self, k: int, effort: int, least: int) -> int:
        """PQ candidates that originals score for k hits."""
        wanted = max(least, self.candidates, math.ceil(self.oversample * k))
        return wanted if effort <= 4 else math.ceil(wanted * 2.0 ** ((effort - 4) / 4))

    def to_json(self) -> dict[str, Any]:
        return {"probes": self.probes, "candidates": self.candidates, "oversample": self.oversample}

    @classmethod
    def from_json(cls, value: Any) -> "Tuning":
        """Raises KeyError, TypeError or ValueError for anything else than `to_json` gave."""
        if not isinstance(value, Mapping):
            raise TypeError("tuning is an object")
        probes = tuple((int(depth), int(lists)) for depth, lists in value["probes"])
        return cls(probes, int(value["candidates"]), float(value["oversample"]))


def probes_needed(list_ranks: Int64, target: float) -> int:
    """list_ranks: int64[queries, depth], from 0: where a true neighbour's list stands in the query's order of lists."""
    return int(np.quantile(list_ranks, target, method="higher")) + 1


def true_neighbours(queries: Float32, rows: Float32, depth: int) -> Int64:
    """int64[q, depth]: exact nearest rows by inner product, best first. 10 s for 256 queries on a million rows."""
    best = np.empty((len(queries), 0), np.int64)
    best_scores = np.empty((len(queries), 0), np.float32)
    for start in range(0, len(rows), 16_384):
        scores = queries @ rows[start : start + 16_384].T
        numbers = np.broadcast_to(np.arange(start, start + scores.shape[1]), scores.shape)
        best_scores = np.concatenate([best_scores, scores], axis=1)
        best = np.concatenate([best, numbers], axis=1)
        order = np.argsort(-best_scores, axis=1, kind="stable")[:, :depth]
        best, best_scores = np.take_along_axis(best, order, 1), np.take_along_axis(best_scores, order, 1)
    return best
