"""What was found before, until its index is written to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from omma.index import IndexId
from services.gateway.search.finding import Found, Said, Verdicts
from services.gateway.search.kept.bounded import Bounded
from services.gateway.search.query import SearchQuery
from services.nn_shard.client import ShardQuery
from services.topology.indexes import ServedIndex

_HIT_BYTES: Final = 1_200
"""Of a candidate: its columns, its payload as stored and as read."""
_ENTRY_BYTES: Final = 2_000

State: TypeAlias = tuple[int, ...]
_Key: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    found: Found
    said: Said


class KeptResults:
    """By index, tenant, filter and everything else that the query says. Only of shards in this process, whose state can
    be looked at without asking them: any record that one of them applied since empties what is kept of its index.
    """

    def __init__(self, max_bytes: int, verdicts: Verdicts) -> None:
        """max_bytes: 0: none are kept. verdicts: what is said of pairs counts at once."""
        self._kept: Bounded[_Key, _Entry] = Bounded("results", max_bytes)
        self._verdicts = verdicts
        self._states: dict[IndexId, State] = {}

    def asked(
        self, served: ServedIndex, query: SearchQuery, shard_query: ShardQuery, phash: int | None
    ) -> "Lookup | None":
        """None for a search that is not to be kept: it waits for writes, is to be explained, or its shards are
        elsewhere.
        """
        if not self._kept or query.receipts or query.explain:
            return None
        state = _state(served)
        if state is None:
            return None
        self._follow(served.index.id, state)
        key = (served.index.id, *_said(query, shard_query), phash)
        entry = self._kept.get(key)
        if entry is not None and entry.said != self._verdicts(entry.found.candidates.ids):
            self._kept.drop(key)
            entry = None
        return Lookup(None if entry is None else entry.found, lambda found: self._keep(key, served, state, found))

    def _keep(self, key: _Key, served: ServedIndex, state: State, found: Found) -> None:
        """Unless something was written meanwhile, or something was left out."""
        whole = found.reranked is not None and found.coverage.shards_answered == found.coverage.shards_total
        left_out = {reason for one in found.outcomes if one.answer is not None for reason in one.answer.degraded}
        if not whole or left_out or _state(served) != state:
            return
        said = self._verdicts(found.candidates.ids)
        self._kept.put(key, _Entry(found, said), _ENTRY_BYTES + _HIT_BYTES * len(found.candidates))

    def _follow(self, index: IndexId, state: State) -> None:
        if self._states.get(index) != state:
            # Of one live index nearly always, so that telling indexes apart would free nothing more.
            self._kept.clear()
            self._states[index] = state


@dataclass(frozen=True, slots=True)
class Lookup:
    """found: what is known; None: it has to be found, and keep is told of it."""

    found: Found | None
    keep: Callable[[Found], None]


def _state(served: ServedIndex) -> State | None:
    """Changes with every record that a shard applies; None when it cannot be told here and now."""
    states = [client.state for replicas in served.shards for client in replicas]
    return None if any(one is None for one in states) else tuple(one for one in states if one is not None)


def _said(query: SearchQuery, asked: ShardQuery) -> _Key:
    """All that decides what is found."""
    return (
        asked.tenant,
        asked.query.tobytes(),
        asked.filter,
        asked.visible_to,
        asked.effort,
        asked.exact,
        asked.use_crops,
        asked.exclude_ids,
        query.k,
        query.policy,
        query.near_duplicates,
        query.duplicate_bits,
        query.phash_gate,
        query.score_threshold,
        query.min_coverage,
    )
