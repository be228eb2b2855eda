"""The way of a query through the parts: PQ scores pick candidates, originals score them, the best are ranked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from omma.hits import Degraded, Hits
from omma.vectors import Float16, Float32, Int64
from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.options import SearchOptions
from services.nn_shard.engine.part import Part
from services.nn_shard.engine.ranking import Scored, rank
from services.nn_shard.engine.rescore import Scratch
from services.nn_shard.engine.segment import Segment
from services.nn_shard.engine.selection import Selection, Selector, live_rows, parameters
from services.nn_shard.engine.view import View

_HURRY_SECONDS = 0.1
"""With less than this left, originals are read in small chunks: 200 cold random rows take 17 ms from a disk."""
_HURRIED_ROWS = 32


class Candidates(NamedTuple):
    """PQ estimates, rows and positions in `segments`, [b, n] each or [n] of one query; rows of -1 are none.

    of: None when there is one segment.
    """

    estimates: Float32
    rows: Int64
    of: Int64 | None
    segments: Sequence[Part]


@dataclass(slots=True)
class Outcome:
    """What the queries of one batch came to: hits and candidates by query."""

    hits: list[Hits]
    cut: bool
    lists_probed: int
    candidates: list[int]
    stage_us: dict[str, int]


class Searcher:
    """Searches views of one engine. Any thread; holds no state but caches and scratch space."""

    def __init__(self, dim: int, min_candidates: int, selector: Selector, clock: Callable[[], float]) -> None:
        self._dim = dim
        self._min_candidates = min_candidates
        self._selector = selector
        self._scratch = Scratch(dim)
        self._clock = clock

    def search(self, view: View, queries: Float32, options: SearchOptions, deadline_at: float) -> Outcome:
        """queries: float32[b, dim], C-contiguous."""
        return _Search(self, view, queries, options, deadline_at).run()


class _Search:
    """One batch."""

    def __init__(
        self, searcher: Searcher, view: View, queries: Float32, options: SearchOptions, deadline_at: float
    ) -> None:
        self._scratch = searcher._scratch
        self._clock = searcher._clock
        self._min_candidates = searcher._min_candidates
        self._dim = searcher._dim
        self._view, self._queries, self._options, self._deadline_at = view, queries, options, deadline_at
        self._cut = False
        self._probes = 0
        self._rescored = [0] * len(queries)
        select = searcher._selector.select
        self._chosen = [(part, chosen) for part in view.parts if (chosen := select(part, options)) is not None]
        self._folded = options.use_crops and any(part.store.max_regions > 1 for part, _ in self._chosen)
        pictures = options.k + len(options.exclude)
        # The best k pictures lie among the best k x regions rows.
        most = max((part.store.max_regions for part, _ in self._chosen), default=1) if self._folded else 1
        self._wanted = pictures * most

    def run(self) -> Outcome:
        marks = [("begin", self._clock())]
        found: list[list[Scored]] = [[] for _ in range(len(self._queries))]
        fine: list[tuple[Part, Selection]] = []
        codebook = None if self._options.exact else self._view.codebook
        for part, chosen in self._chosen:
            if chosen.rows is not None:
                self._score_few(part, live_rows(part, chosen.rows), found)
            elif codebook is not None and part.store.listed:
                fine.append((part, chosen))
            else:
                self._scan(part, chosen, None, found)
        marks.append(("exact", self._clock()))
        if codebook is not None and fine:
            candidates = self._candidates(codebook, fine, found)
            marks.append(("candidates", self._clock()))
            if candidates is not None:
                self._rescore(candidates, found)
                marks.append(("rescore", self._clock()))
        hits = [rank(scored, self._options, self._dim, fold=self._folded) for scored in found]
        marks.append(("rank", self._clock()))
        stages = {name: int((at - marks[i][1]) * 1e6) for i, (name, at) in enumerate(marks[1:])}
        return Outcome(hits, self._cut, self._probes, self._rescored, stages)

    def _score_few(self, part: Part, rows: Int64, found: list[list[Scored]]) -> None:
        if not len(rows):
            return
        vectors = part.store.vectors(rows)
        for number, of_query in enumerate(found):
            scores, at = self._scratch.best(self._queries[number : number + 1], vectors, self._wanted)
            of_query.append((part, scores, rows[at]))

    def _scan(self, part: Part, chosen: Selection, keys: Int64 | None, found: list[list[Scored]]) -> None:
        selector = parameters(part, chosen, 1)
        sel = None if selector is None else selector.sel
        asked = min(self._wanted + 1, part.rows)
        while True:
            scores, rows = part.store.scan(self._queries, asked, keys, sel)
            # Among equals FAISS keeps any: ask for more until the last one wanted is told from the first one left out.
            tied = asked > self._wanted and bool(
                np.any((rows[:, -1] >= 0) & (scores[:, -1] == scores[:, self._wanted - 1]))
            )
            if not tied or asked == part.rows:
                break
            asked = min(4 * asked, part.rows)
        for number, of_query in enumerate(found):
            of_query.append((part, scores[number], rows[number]))

    def _candidates(
        self, codebook: Codebook, fine: list[tuple[Part, Selection]], found: list[list[Scored]]
    ) -> Candidates | None:
        tuning, effort = codebook.tuning, self._options.effort
        kept = sum(chosen.count for _, chosen in fine) / sum(part.rows for part, _ in fine)
        depth = (self._options.k + len(self._options.exclude)) / kept
        probes = self._probes = codebook.probes_at(depth, effort)
        rotated = codebook.rotate(self._queries)
        keys, coarse = codebook.assign(rotated, probes)
        sealed = [(part, chosen) for part, chosen in fine if part.store.encoded]
        for part, chosen in fine:
            if not part.store.encoded:
                self._scan(part, chosen, keys, found)
        if not sealed:
            return None
        count = tuning.candidates_for(self._wanted, effort, self._min_candidates)
        every: list[tuple[Float32, Int64]] = []
        for part, chosen in sealed:
            segment = part.store
            assert isinstance(segment, Segment), "only segments are encoded"
            of_part = keys, coarse
            if chosen.lists is not None:
                of_part = _lists_that_hold(codebook, rotated, chosen.lists, probes)
            if segment.clone is not None and chosen.bits is None:
                every.append(segment.clone.candidates(part, rotated, count, of_part))
                continue
            selector = parameters(part, chosen, of_part[0].shape[1])
            every.append(segment.candidates(rotated, count, of_part, selector))
        segments = [part for part, _ in sealed]
        if len(every) == 1:
            return Candidates(*every[0], None, segments)
        return _best_of(every, count, segments)

    def _rescore(self, candidates: Candidates, found: list[list[Scored]]) -> None:
        for number, of_query in enumerate(found):
            rows, estimates = candidates.rows[number], candidates.estimates[number]
            of = None if candidates.of is None else candidates.of[number]
            if rows[-1] < 0 or of is not None:
                there = rows >= 0
                rows, estimates = rows[there], estimates[there]
                of = None if of is None else of[there]
            self._rescored[number] = len(rows)
            query = self._queries[number : number + 1]
            left = self._deadline_at - self._clock()
            if left < _HURRY_SECONDS:
                some = Candidates(estimates, rows, of, candidates.segments)
                self._rescore_in_a_hurry(query, some, of_query)
            elif of is None:
                rows = np.sort(rows)
                part = candidates.segments[0]
                scores, at = self._scratch.best(query, part.store.vectors(rows), self._wanted)
                of_query.append((part, scores, rows[at]))
            else:
                self._rescore_many(candidates.segments, query, rows, of, of_query)

    def _rescore_many(
        self, segments: Sequence[Part], query: Float32, rows: Int64, of: Int64, of_query: list[Scored]
    ) -> None:
        order = np.lexsort((rows, of))
        rows, of = rows[order], of[order]
        bounds = np.searchsorted(of, np.arange(len(segments) + 1)).tolist()
        vectors: Float16 = np.empty((len(rows), self._dim), np.float16)
        for part, begin, end in zip(segments, bounds, bounds[1:], strict=False):
            if end > begin:
                vectors[begin:end] = part.store.vectors(rows[begin:end])
        scores, at = self._scratch.best(query, vectors, self._wanted)
        of_query.extend(_by_part(segments, scores, rows[at], of[at]))

    def _rescore_in_a_hurry(self, query: Float32, candidates: Candidates, of_query: list[Scored]) -> None:
        """The best first, a few at a time; what time does not reach keeps its PQ estimate."""
        estimates, rows, of, segments = candidates
        of = np.zeros(len(rows), np.int64) if of is None else of
        order = np.argsort(-estimates, kind="stable")
        for begin in range(0, len(order), _HURRIED_ROWS):
            some = order[begin : begin + _HURRIED_ROWS]
            if self._clock() >= self._deadline_at:
                self._cut = True
                rest = order[begin:]
                of_query.extend(_by_part(segments, estimates[rest], rows[rest], of[rest]))
                return
            self._rescore_many(segments, query, rows[some], of[some], of_query)


def _lists_that_hold(
    codebook: Codebook, rotated: Float32, holding: npt.NDArray[np.bool_], probes: int
) -> tuple[Int64, Float32]:
    """The nearest lists among those that hold a selected row: a filter that follows the clusters costs no recall."""
    keys = np.flatnonzero(holding)
    scores = codebook.coarse_scores(rotated)[:, keys]
    if len(keys) > probes:
        best = np.argpartition(-scores, probes - 1, axis=1)[:, :probes]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), axis=1), 1)
        return np.ascontiguousarray(keys[best]), np.ascontiguousarray(np.take_along_axis(scores, best, 1))
    return np.repeat(keys[None], len(rotated), 0), np.ascontiguousarray(scores)


def _best_of(every: list[tuple[Float32, Int64]], count: int, segments: Sequence[Part]) -> Candidates:
    """The best `count` over all segments: estimates of one codebook compare."""
    estimates = np.concatenate([one[0] for one in every], axis=1)
    rows = np.concatenate([one[1] for one in every], axis=1)
    of = np.broadcast_to(np.repeat(np.arange(len(every)), [one[1].shape[1] for one in every]), rows.shape)
    best = np.argpartition(-estimates, count - 1, axis=1)[:, :count]
    estimates, rows, of = (np.take_along_axis(column, best, 1) for column in (estimates, rows, of))
    return Candidates(estimates, rows, of, segments)


def _by_part(segments: Sequence[Part], scores: Float32, rows: Int64, of: Int64) -> list[Scored]:
    return [(segments[number], scores[of == number], rows[of == number]) for number in np.unique(of).tolist()]


def degraded(cut: bool) -> frozenset[Degraded]:
    """What an answer says it left out."""
    return frozenset({Degraded.RESCORE_CUT}) if cut else frozenset()
