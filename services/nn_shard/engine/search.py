"""The way of a query through the parts: PQ scores pick candidates, originals score them, the best are ranked."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from omma.hits import Degraded, Hits
from omma.vectors import Float16, Float32, Int64
from services.nn_shard.engine.candidates import Candidates, OfQuery
from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.options import SearchOptions
from services.nn_shard.engine.part import Part
from services.nn_shard.engine.ranking import Scored, rank
from services.nn_shard.engine.rescore import Scratch
from services.nn_shard.engine.selection import Selection, Selector, live_rows, parameters
from services.nn_shard.engine.ties import lowest_equals
from services.nn_shard.engine.view import View

_HURRY_SECONDS = 0.1
"""With less than this left, originals are read in small chunks: 200 cold random rows take 17 ms from a disk."""
_HURRIED_ROWS = 32
_MOST_WANTED = 262_144
"""Rows that one batch asks of each part: 3 MB of scores and numbers, some ten times as much of candidates."""


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
        """queries: float32[b, dim], C-contiguous. Many that want much are searched a few at a time."""
        search = _Search(self, view, queries, options, deadline_at)
        step = max(1, _MOST_WANTED // search.wanted)
        if len(queries) <= step:
            return search.run()
        return _joined(
            [
                _Search(self, view, queries[begin : begin + step], options, deadline_at).run()
                for begin in range(0, len(queries), step)
            ]
        )


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
        self.wanted = pictures * most

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
            scores, at = self._scratch.best(self._queries[number : number + 1], vectors, self.wanted)
            of_query.append((part, scores, rows[at]))

    def _scan(self, part: Part, chosen: Selection, keys: Int64 | None, found: list[list[Scored]]) -> None:
        selector = parameters(part, chosen, 1)
        # One more than is wanted tells whether there are equals, of which FAISS keeps any.
        scores, rows = part.store.scan(
            self._queries, min(self.wanted + 1, part.rows), keys, None if selector is None else selector.sel
        )
        for number, of_query in enumerate(found):
            of_query.append((part, *self._settled(part, chosen, number, scores[number], rows[number])))

    def _settled(
        self, part: Part, chosen: Selection, number: int, scores: Float32, rows: Int64
    ) -> tuple[Float32, Int64]:
        """The best as they are when the last one wanted is told from the next; else with the equals of lowest ids."""
        wanted = self.wanted
        if len(rows) <= wanted or rows[-1] < 0 or scores[wanted] != scores[wanted - 1]:
            return scores, rows
        edge = scores[wanted]
        above = int(np.searchsorted(-scores, -edge))
        query = self._queries[number : number + 1]
        equal_scores, equals = lowest_equals(
            part, chosen, query, score=edge, wanted=wanted - above, scratch=self._scratch
        )
        return np.concatenate([scores[:above], equal_scores]), np.concatenate([rows[:above], equals])

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
        count = tuning.candidates_for(self.wanted, effort, self._min_candidates)
        return Candidates(codebook, sealed, rotated, (keys, coarse), count=count, equals=self.wanted)

    def _rescore(self, candidates: Candidates, found: list[list[Scored]]) -> None:
        segments = candidates.segments
        for number, of_query in enumerate(found):
            some = candidates.of_query(number)
            self._rescored[number] = len(some.rows)
            query = self._queries[number : number + 1]
            left = self._deadline_at - self._clock()
            if left < _HURRY_SECONDS:
                self._rescore_in_a_hurry(segments, query, some, of_query)
            elif some.of is None:
                rows = np.sort(some.rows)
                scores, at = self._scratch.best(query, segments[0].store.vectors(rows), self.wanted)
                of_query.append((segments[0], scores, rows[at]))
            else:
                self._rescore_many(segments, query, some.rows, some.of, of_query)

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
        scores, at = self._scratch.best(query, vectors, self.wanted)
        of_query.extend(_by_part(segments, scores, rows[at], of[at]))

    def _rescore_in_a_hurry(
        self, segments: Sequence[Part], query: Float32, some: OfQuery, of_query: list[Scored]
    ) -> None:
        """The best first, a few at a time; what time does not reach keeps its PQ estimate."""
        estimates, rows, of = some
        of = np.zeros(len(rows), np.int64) if of is None else of
        order = np.argsort(-estimates, kind="stable")
        for begin in range(0, len(order), _HURRIED_ROWS):
            now = order[begin : begin + _HURRIED_ROWS]
            if self._clock() >= self._deadline_at:
                self._cut = True
                rest = order[begin:]
                of_query.extend(_by_part(segments, estimates[rest], rows[rest], of[rest]))
                return
            self._rescore_many(segments, query, rows[now], of[now], of_query)


def _joined(outcomes: Sequence[Outcome]) -> Outcome:
    stages: Counter[str] = Counter()
    for one in outcomes:
        stages.update(one.stage_us)
    return Outcome(
        [hits for one in outcomes for hits in one.hits],
        any(one.cut for one in outcomes),
        max(one.lists_probed for one in outcomes),
        [candidates for one in outcomes for candidates in one.candidates],
        dict(stages),
    )


def _by_part(segments: Sequence[Part], scores: Float32, rows: Int64, of: Int64) -> list[Scored]:
    return [(segments[number], scores[of == number], rows[of == number]) for number in np.unique(of).tolist()]


def degraded(cut: bool) -> frozenset[Degraded]:
    """What an answer says it left out."""
    return frozenset({Degraded.RESCORE_CUT}) if cut else frozenset()
