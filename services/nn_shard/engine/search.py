"""The way of a query through the parts: PQ scores pick candidates, originals score them, the best are ranked."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from omma.hits import Degraded, Hits
from omma.vectors import Float16, Float32, Int64
from services.nn_shard.engine.candidates import Candidates
from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.columns import along
from services.nn_shard.engine.options import SearchOptions
from services.nn_shard.engine.ranking import Scored, padded, rank
from services.nn_shard.engine.rescore import LISTS, Scratch
from services.nn_shard.engine.selection import Selector, live_rows, parameters
from services.nn_shard.engine.ties import lowest_equals
from services.nn_shard.engine.view import View

_HURRY_SECONDS = 0.1
"""With less than this left, originals are read in small chunks: 200 cold random rows take 17 ms from a disk."""
_HURRIED_ROWS = 32
_ROWS_AT_ONCE = 4_096
"""Originals read and scored in one call: 2 MB at 256 dimensions, which a core's cache keeps in between."""
_NO_SCORES, _NO_ROWS = np.empty(0, np.float32), np.empty(0, np.int64)
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
        chosen = [(part, chosen) for part in view.parts if (chosen := select(part, options)) is not None]
        self._parts = [part for part, _ in chosen]
        self._selections = [selection for _, selection in chosen]
        self._folded = options.use_crops and any(part.store.max_regions > 1 for part in self._parts)
        pictures = options.k + len(options.exclude)
        # The best k pictures lie among the best k x regions rows.
        most = max((part.store.max_regions for part in self._parts), default=1) if self._folded else 1
        self.wanted = pictures * most

    def run(self) -> Outcome:
        marks = [("begin", self._clock())]
        found: list[Scored] = []
        fine: list[int] = []
        codebook = None if self._options.exact else self._view.codebook
        for number, (part, chosen) in enumerate(zip(self._parts, self._selections, strict=True)):
            if chosen.rows is not None:
                found += self._score_few(number, live_rows(part, chosen.rows))
            elif codebook is not None and part.store.listed:
                fine.append(number)
            else:
                found.append(self._scan(number, None))
        marks.append(("exact", self._clock()))
        if codebook is not None and fine:
            sealed, candidates = self._candidates(codebook, fine, found)
            marks.append(("candidates", self._clock()))
            if candidates is not None:
                self._rescored = candidates.counts.tolist()
                found.append(self._rescore(candidates, np.array(sealed)))
                marks.append(("rescore", self._clock()))
        hits = rank(self._parts, found, len(self._queries), self._options, self._dim, fold=self._folded)
        marks.append(("rank", self._clock()))
        stages = {name: int((at - marks[i][1]) * 1e6) for i, (name, at) in enumerate(marks[1:])}
        return Outcome(hits, self._cut, self._probes, self._rescored, stages)

    def _score_few(self, number: int, rows: Int64) -> list[Scored]:
        if not len(rows):
            return []
        vectors = self._parts[number].store.vectors(rows)
        scored = []
        for begin in range(0, len(self._queries), LISTS):
            scores, at = self._scratch.best_of_same(self._queries[begin : begin + LISTS], vectors, self.wanted)
            scored.append(Scored(scores, np.where(at >= 0, rows[at], -1), number))
        return [_stacked(scored)]

    def _scan(self, number: int, keys: Int64 | None) -> Scored:
        part, chosen = self._parts[number], self._selections[number]
        selector = parameters(part, chosen, 1)
        # One more than is wanted tells whether there are equals, of which FAISS keeps any.
        scores, rows = part.store.scan(
            self._queries, min(self.wanted + 1, part.rows), keys, None if selector is None else selector.sel
        )
        wanted = self.wanted
        if rows.shape[1] <= wanted:
            return Scored(scores, rows, number)
        tied = (rows[:, -1] >= 0) & (scores[:, wanted] == scores[:, wanted - 1])
        if not tied.any():
            return Scored(scores, rows, number)
        return padded(
            [
                (*(self._settled(number, query, scores[query], rows[query]) if tied[query]
                   else (scores[query], rows[query])), number)
                for query in range(len(rows))
            ]
        )  # fmt: skip

    def _settled(self, number: int, query: int, scores: Float32, rows: Int64) -> tuple[Float32, Int64]:
        """The best, and of those that equal the last one wanted the ones of the lowest ids."""
        wanted, edge = self.wanted, scores[self.wanted]
        above = int(np.searchsorted(-scores, -edge))
        equal_scores, equals = lowest_equals(
            self._parts[number],
            self._selections[number],
            self._queries[query : query + 1],
            score=edge,
            wanted=wanted - above,
            scratch=self._scratch,
        )
        return np.concatenate([scores[:above], equal_scores]), np.concatenate([rows[:above], equals])

    def _candidates(
        self, codebook: Codebook, fine: list[int], found: list[Scored]
    ) -> tuple[list[int], Candidates | None]:
        """Numbers of the sealed parts, and the candidates in them; None when there is no such part."""
        tuning, effort = codebook.tuning, self._options.effort
        kept = sum(self._selections[at].count for at in fine) / sum(self._parts[at].rows for at in fine)
        depth = (self._options.k + len(self._options.exclude)) / kept
        probes = self._probes = codebook.probes_at(depth, effort)
        rotated = codebook.rotate(self._queries)
        keys, coarse = codebook.assign(rotated, probes)
        sealed = [at for at in fine if self._parts[at].store.encoded]
        found += [self._scan(at, keys) for at in fine if not self._parts[at].store.encoded]
        if not sealed:
            return sealed, None
        growth = sum(self._parts[at].rows for at in sealed) / codebook.train_rows
        count = tuning.candidates_for(self.wanted, effort, self._min_candidates, growth)
        chosen = [(self._parts[at], self._selections[at]) for at in sealed]
        return sealed, Candidates(codebook, chosen, rotated, (keys, coarse), count=count, equals=self.wanted)

    def _rescore(self, candidates: Candidates, sealed: Int64) -> Scored:
        """sealed: the number of the part that each of the candidates' segments is."""
        width = candidates.rows.shape[1]
        step = min(LISTS, max(1, _ROWS_AT_ONCE // max(1, width)))
        scored = []
        for begin in range(0, len(self._queries) if width else 0, step):
            queries = slice(begin, min(begin + step, len(self._queries)))
            if self._deadline_at - self._clock() < _HURRY_SECONDS:
                hurried = [self._rescore_in_a_hurry(candidates, query) for query in range(queries.start, queries.stop)]
                scored.append(padded([(scores, rows, sealed[of]) for scores, rows, of in hurried]))
            else:
                scored.append(self._rescore_some(candidates, queries, sealed))
        if not scored:
            return padded([(_NO_SCORES, _NO_ROWS, _NO_ROWS)] * len(self._queries))
        return _stacked(scored)

    def _rescore_some(self, candidates: Candidates, queries: slice, sealed: Int64) -> Scored:
        rows = candidates.rows[queries]
        of = None if candidates.of is None else candidates.of[queries]
        scores, at = self._scratch.best(self._queries[queries], self._originals(candidates, rows, of), self.wanted)
        best, there = along(rows, at), at >= 0
        if not there.all():
            best = np.where(there, best, -1)
        places: Int64 | int = int(sealed[0]) if of is None else sealed[along(of, at)]
        equals = candidates.cut_among_equals(queries, at)
        if equals is None or not (equals & there).any():
            return Scored(scores, best, places)
        ragged = []
        for number, query in enumerate(range(queries.start, queries.stop)):
            mine = there[number]
            if (equals[number] & mine).any():
                some = candidates.among_equals(query)
                found, found_rows, segments = self._exact(candidates, query, some.rows, some.of)
                ragged.append((found, found_rows, sealed[segments]))
            else:
                where = np.full(len(mine), places) if isinstance(places, int) else places[number]
                ragged.append((scores[number, mine], best[number, mine], where[mine]))
        return padded(ragged)

    def _originals(self, candidates: Candidates, rows: Int64, of: Int64 | None) -> Float16:
        """float16[b, w, dim] of rows [b, w]; NaN where there is none."""
        flat = rows.reshape(-1)
        none = flat < 0
        some_are_none = none.any()
        if some_are_none:
            flat = np.maximum(flat, 0)
        if of is None:
            vectors = candidates.segments[0].store.vectors(flat)
        else:
            vectors = np.empty((len(flat), self._dim), np.float16)
            flat_of = of.reshape(-1)
            for number, part in enumerate(candidates.segments):
                mine = np.flatnonzero(flat_of == number)
                vectors[mine] = part.store.vectors(flat[mine])
        if some_are_none:
            vectors[none] = np.nan
        return vectors.reshape(*rows.shape, self._dim)

    def _exact(self, candidates: Candidates, query: int, rows: Int64, of: Int64) -> tuple[Float32, Int64, Int64]:
        """The best of these rows for one query: scores, rows, and which segment each lies in."""
        vectors = self._originals(candidates, rows[None], of[None])
        scores, at = self._scratch.best(self._queries[query : query + 1], vectors, self.wanted)
        best = at[0, at[0] >= 0]
        return scores[0, : len(best)], rows[best], of[best]

    def _rescore_in_a_hurry(self, candidates: Candidates, query: int) -> tuple[Float32, Int64, Int64]:
        """The best first, a few at a time; what time does not reach keeps its PQ estimate."""
        rows, estimates = candidates.rows[query], candidates.estimates[query]
        of = np.zeros(len(rows), np.int64) if candidates.of is None else candidates.of[query]
        order = np.flatnonzero(rows >= 0)
        scored: list[tuple[Float32, Int64, Int64]] = [(_NO_SCORES, _NO_ROWS, _NO_ROWS)]
        for begin in range(0, len(order), _HURRIED_ROWS):
            now = order[begin : begin + _HURRIED_ROWS]
            if self._clock() >= self._deadline_at:
                self._cut = True
                rest = order[begin:]
                scored.append((estimates[rest], rows[rest], of[rest]))
                break
            scored.append(self._exact(candidates, query, rows[now], of[now]))
        scores, found, segments = (np.concatenate(column) for column in zip(*scored, strict=True))
        return scores, found, segments


def _stacked(scored: Sequence[Scored]) -> Scored:
    """Of several batches one; each has rows of its own width."""
    if len(scored) == 1:
        return scored[0]
    if len({one.rows.shape[1] for one in scored}) == 1:
        of = scored[0].of
        if not isinstance(of, int):
            of = np.concatenate([np.broadcast_to(one.of, one.rows.shape) for one in scored])
        return Scored(np.concatenate([one.scores for one in scored]), np.concatenate([one.rows for one in scored]), of)
    return padded(
        [
            (scores, rows, of)
            for one in scored
            for scores, rows, of in zip(one.scores, one.rows, np.broadcast_to(one.of, one.rows.shape), strict=True)
        ]
    )


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


def degraded(cut: bool) -> frozenset[Degraded]:
    """What an answer says it left out."""
    return frozenset({Degraded.RESCORE_CUT}) if cut else frozenset()
