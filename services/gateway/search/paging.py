"""Where a search's pages go: chosen on the first one, and kept by the cursor on those that follow."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from omma.filters import canonical
from omma.identity import Tenant
from omma.rollouts.arms import Variant
from omma.rollouts.settings import SearchSettings
from services.gateway.search.caller import caller_of
from services.gateway.search.cursor import Draft, decode_cursor, encode_cursor, of_another_query, sought_mark
from services.gateway.search.finding import Found, Side
from services.gateway.search.query import SearchQuery, SoughtVector
from services.rerank.client import NearDuplicates
from services.topology.indexes import Chosen, ServedIndex, ServedIndexes


@dataclass(frozen=True, slots=True)
class Page:
    """seen: what earlier pages showed. draft: of a later page of interleaved ones; seen is then the control's."""

    chosen: Chosen
    seen: tuple[int, ...] = ()
    draft: Draft | None = None


def opened(indexes: ServedIndexes, tenant: Tenant, query: SearchQuery) -> Page:
    """Where the search goes. A cursor is read first, and fixes it.

    Raises InvalidQuery, field `cursor`, for one of another query; CursorExpired; as ServedIndexes.choose.
    """
    if not query.cursor:
        spaces = {one.space for one in query.sought if isinstance(one, SoughtVector)}
        return Page(_taking_part(indexes.choose(query.index, tenant, partial(caller_of, query), spaces), query))
    cursor = decode_cursor(query.cursor)
    if query.index not in ("", cursor.index):
        raise of_another_query()
    chosen = indexes.resumed(cursor.index, cursor.variant, cursor.draft.beside if cursor.draft else "")
    if cursor.query_mark != mark_of(chosen.served, query):
        raise of_another_query()
    return Page(chosen, cursor.seen, cursor.draft)


def settled(query: SearchQuery, settings: SearchSettings) -> SearchQuery:
    """The query, with these where it does not say itself."""
    said = _said(query)
    whole = said.over(settings)
    if whole == said:
        return query
    return replace(query, policy=whole.policy, effort=whole.effort, duplicate_bits=whole.duplicate_bits)


def _taking_part(chosen: Chosen, query: SearchQuery) -> Chosen:
    """Where an experiment's arms differ only in what the query says itself there is nothing to compare."""
    if chosen.control == chosen.candidate:
        return chosen
    arms = [_said(query).over(one) for one in (chosen.control, chosen.candidate)]
    if query.near_duplicates is NearDuplicates.KEEP:
        arms = [replace(one, duplicate_bits=0) for one in arms]
    if arms[0] != arms[1]:
        return chosen
    return replace(chosen, variant=None, beside=None, candidate=chosen.control)


def _said(query: SearchQuery) -> SearchSettings:
    """What the query says itself."""
    return SearchSettings(query.policy, query.effort, query.duplicate_bits)


def next_cursor(seen: Iterable[int], query: SearchQuery, side: Side, variant: Variant | None) -> str | None:
    """Behind what one index found; None where there is no more of it. seen: what its earlier pages showed."""
    if not has_more(side, query):
        return None
    seen = {*seen, *shown_by(side.found), *dropped_by(side.found)}
    return encode_cursor(mark_of(side.served, query), seen, side.served.index.id, variant)


def has_more(side: Side, query: SearchQuery) -> bool:
    return not side.resolved.nothing_understood and len(side.found.ranked) >= query.k


def mark_of(served: ServedIndex, query: SearchQuery) -> int:
    """32 bits that change when the same pages would no longer be the same search."""
    narrowed = f"{served.index.id} {canonical(query.filter)} {query.use_crops}".encode()
    return zlib.crc32(sought_mark(query.sought).to_bytes(4, "little"), zlib.crc32(narrowed))


def shown_by(found: Found) -> Iterator[int]:
    """Ids of the hits, and of the near-duplicates that they stand for."""
    ids = found.candidates.ids.tolist()
    for one in found.ranked:
        yield ids[one.position]
        yield from one.duplicates


def dropped_by(found: Found) -> Iterator[int]:
    return (int(id) for id, _ in found.reranked.dropped) if found.reranked is not None else iter(())
