"""How many lists to probe and how many candidates to rescore, as was measured when the codebook was trained."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

_MOST_CANDIDATES: Final = 32_768
"""Unless twice the hits asked for are more: their originals are 16 MB at 256 dimensions."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """probes: (depth, lists needed), depth rising: the true `depth` nearest rows are then found with
    training.measuring.TARGET_RECALL.

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

    def candidates_for(self, k: int, effort: int, least: int, growth: float = 1.0) -> int:
        """PQ candidates that originals score for k hits. growth: rows searched, of those that were measured among.

        More rows near a query come between it and its nearest: with nine times as many the rank that holds 99.5% of
        them was 3.6 times as deep (4-bit codes, 113,184 embeddings and their jittered copies), so it grows as the root.

        Below effort 4 they shrink with the lists: of ten million rows, 2,800 candidates of 10 lists find what 1,400 of
        14 do, for a third more.
        """
        deeper = math.sqrt(max(1.0, growth))
        wanted = deeper * max(self.candidates, self.oversample * k)
        if effort:
            wanted *= 2.0 ** ((effort - 4) / (2 if effort < 4 else 4))
        return math.ceil(min(max(wanted, 2 * k, least), max(2 * k, least, _MOST_CANDIDATES)))

    def to_json(self) -> dict[str, Any]:
        return {"probes": self.probes, "candidates": self.candidates, "oversample": self.oversample}

    @classmethod
    def from_json(cls, value: Any) -> "Tuning":
        """Raises KeyError, TypeError or ValueError for anything else than `to_json` gave."""
        if not isinstance(value, Mapping):
            raise TypeError("tuning is an object")
        probes = tuple((int(depth), int(lists)) for depth, lists in value["probes"])
        return cls(probes, int(value["candidates"]), float(value["oversample"]))
