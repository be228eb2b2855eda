"""Two arms' answers to one search as one list: drafted by omma.judging.draft, then freed of near-duplicates."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from omma.hits import Hits, picked
from omma.judging.draft import Brought, Drafted, collapsed, team_draft
from omma.rollouts.arms import Arm
from services.gateway.search.answer import Duplicate, Origin, SearchHit, hits_of
from services.gateway.search.cursor import Draft, encode_cursor
from services.gateway.search.fanout import Coverage
from services.gateway.search.finding import Side
from services.gateway.search.paging import Page, dropped_by, has_more, mark_of
from services.gateway.search.query import SearchQuery
from services.rerank.client import NearDuplicates, Reranked

Sides: TypeAlias = Mapping[Brought, Side]
"""CONTROL and CANDIDATE, in this order."""

SEED_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Draw:
    """sides: what both arms found. drafted: everything that either ranked, in the order of the draft.

    candidates: the drafted hits and then their near-duplicates, each once, without vectors: of two spaces they cannot
    be compared.
    """

    sides: Sides
    seed: int
    drafted: Sequence[Drafted]
    candidates: Hits


def draw(control: Side, candidate: Side, seed: int) -> Draw:
    """Pure."""
    sides = {Brought.CONTROL: control, Brought.CANDIDATE: candidate}
    drafted = team_draft(_ranked(control), _ranked(candidate), seed)
    parts = [replace(side.found.candidates, vectors=None) for side in sides.values()]
    start = {Brought.CONTROL: 0, Brought.CANDIDATE: len(parts[0])}
    row_of = {arm: _rows(side.found.candidates, start[arm]) for arm, side in sides.items()}
    rows = {one.picture: row_of[one.picked_by][one.picture] for one in drafted}
    for arm, side in sides.items():
        for hit in side.found.ranked:
            for id in hit.duplicates:
                rows.setdefault(int(id), row_of[arm][int(id)])
    return Draw(sides, seed, drafted, picked(parts, np.array([*rows.values()], np.intp)))


def page_of(
    query: SearchQuery, drawn: Draw, regrouped: Reranked | None
) -> tuple[tuple[SearchHit, ...], frozenset[int]]:
    """The first k, one a group of near-duplicates, each with its origin; and all that these stand for, by id.

    regrouped: the draw's candidates re-ranked together; None where that was skipped: then each arm's own groups count.
    """
    keep = query.near_duplicates is NearDuplicates.KEEP
    groups = {} if keep else _groups(drawn, regrouped)
    leader_of = {id: leader for leader, ids in groups.items() for id in (leader, *ids)}
    own = {
        arm: {hit.id: hit for hit in hits_of(side.found.candidates, side.found.ranked, with_boxes=query.use_crops)}
        for arm, side in drawn.sides.items()
    }
    row_of = _rows(drawn.candidates)
    page, stood_for = [], set[int]()
    for one in collapsed(drawn.drafted, leader_of)[: query.k]:
        leader = leader_of.get(one.picture, one.picture)
        others = [id for id in (leader, *groups.get(leader, ())) if id != one.picture]
        stood_for.update((one.picture, *others))
        shown = others if query.near_duplicates is NearDuplicates.COLLAPSE else ()
        index = drawn.sides[one.picked_by].served.index
        page.append(
            replace(
                own[one.picked_by][one.picture],
                duplicates=tuple(_duplicate(drawn.candidates, row_of[id]) for id in shown),
                origin=Origin(one.arm, one.credited, index.id, index.space),
            )
        )
    return tuple(page), frozenset(stood_for)


def next_interleaved(page: Page, query: SearchQuery, drawn: Draw, shown: frozenset[int]) -> str | None:
    """What either arm ranked and the page did not show is drafted again; None when neither arm has more. shown: with
    the near-duplicates that stood behind.
    """
    if not any(has_more(side, query) for side in drawn.sides.values()):
        return None
    control, candidate = drawn.sides.values()
    before = page.draft.seen if page.draft else ()
    draft = Draft(
        candidate.served.index.id,
        random.Random(drawn.seed).getrandbits(SEED_BITS),
        tuple({*before, *shown, *dropped_by(candidate.found)}),
    )
    seen = {*page.seen, *shown, *dropped_by(control.found)}
    return encode_cursor(mark_of(control.served, query), seen, control.served.index.id, page.chosen.variant, draft)


def coverage_of(sides: Mapping[Arm, Side]) -> Coverage:
    """Of all: the answer rests on what the worst one reached."""
    of = [side.found.coverage for side in sides.values()]
    return Coverage(
        min(one.fraction for one in of),
        sum(one.shards_answered for one in of),
        sum(one.shards_total for one in of),
    )


def _ranked(side: Side) -> list[int]:
    if side.resolved.nothing_understood:
        return []
    ids = side.found.candidates.ids
    return [int(ids[one.position]) for one in side.found.ranked]


def _rows(hits: Hits, start: int = 0) -> dict[int, int]:
    return {id: start + row for row, id in enumerate(hits.ids.tolist())}


def _groups(drawn: Draw, regrouped: Reranked | None) -> dict[int, tuple[int, ...]]:
    """By leader, the others of its group."""
    if regrouped is not None:
        known = drawn.candidates.ids
        return {int(known[one.position]): tuple(map(int, one.duplicates)) for one in regrouped.ranked}
    groups: dict[int, tuple[int, ...]] = {}
    taken: set[int] = set()
    for side in drawn.sides.values():
        for one in side.found.ranked:
            ids = [int(side.found.candidates.ids[one.position]), *map(int, one.duplicates)]
            if new := [id for id in ids if id not in taken]:
                groups[new[0]] = tuple(new[1:])
                taken.update(new)
    return groups


def _duplicate(candidates: Hits, row: int) -> Duplicate:
    payload = (candidates.payloads or ())[row]
    return Duplicate(int(candidates.ids[row]), round(float(candidates.scores[row]), 6), payload.uri, payload.sha256)
