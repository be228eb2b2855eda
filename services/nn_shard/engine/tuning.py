"""How many lists to probe and how many candidates to rescore, as was measured when the codebook was trained."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


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
