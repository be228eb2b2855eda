"""Each shard is asked for its portion; what comes of it is what asking for everything would have given."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.hits import Hits, ShardHits, merge
from omma.identity import Receipt, Tenant
from omma.rpc.deadline import Deadline
from services.gateway.search.candidates import best_candidates, may_lack_some, portion
from services.gateway.search.fanout import Fanout, ShardOutcome
from services.nn_shard.client import ShardQuery
from services.topology.indexes import ServedIndex

QUERY = ShardQuery(Tenant("ann"), "i", "s", np.array([1, 0], np.float32), k=75)


def hits_of(scores: dict[int, float]) -> Hits:
    """By id; best first, equal scores by id."""
    ids = sorted(scores, key=lambda one: (-scores[one], one))
    count = len(ids)
    return Hits(
        np.array(ids, np.int64),
        np.array([scores[one] for one in ids], np.float32),
        np.ones(count, np.int64),
        np.zeros(count, np.uint64),
        np.zeros((count, 4), np.int32),
    )


class Shards:
    """Stands for a Fanout whose shards hold these hits. asked: the k of each round."""

    def __init__(self, parts: Sequence[Hits]) -> None:
        self.parts = parts
        self.asked: list[int] = []

    async def search(
        self, served: ServedIndex, query: ShardQuery, receipts: Sequence[Receipt], deadline: Deadline
    ) -> list[ShardOutcome]:
        self.asked.append(query.k)
        return [
            ShardOutcome(shard, 0, 1.0, ShardHits(part.take(np.arange(min(query.k, len(part)))), "i", "s", 9), None)
            for shard, part in enumerate(self.parts)
        ]


@dataclass(frozen=True)
class Served:
    shards: tuple[tuple[Any, ...], ...]


async def found(shards: Shards, query: ShardQuery = QUERY, seconds: float = 60.0) -> list[int]:
    served = cast(ServedIndex, Served(((),) * len(shards.parts)))
    _, best = await best_candidates(cast(Fanout, shards), served, query, (), Deadline.after(seconds))
    ids: list[int] = best.ids.tolist()
    return ids


def of_hashed(pictures: int, shards: int, seed: int = 0) -> list[Hits]:
    random = np.random.default_rng(seed)
    of = random.integers(shards, size=pictures)
    scores = random.random(pictures)
    return [hits_of({id + 1: scores[id] for id in np.flatnonzero(of == shard).tolist()}) for shard in range(shards)]


@pytest.mark.parametrize("shards", [1, 2, 4, 8, 16])
async def test_the_best_are_found_by_asking_for_little(shards: int) -> None:
    world = Shards(of_hashed(5_000, shards))
    assert await found(world) == merge(world.parts, QUERY.k).ids.tolist()
    assert world.asked == [portion(QUERY.k, shards)]
    assert shards * world.asked[0] < 6 * QUERY.k


async def test_one_shard_that_holds_them_all_is_asked_again() -> None:
    world = Shards(
        [hits_of({id: 1 - id / 1_000 for id in range(1, 200)}), hits_of({500: 0.1}), hits_of({}), hits_of({})]
    )
    assert await found(world) == list(range(1, QUERY.k + 1))
    assert world.asked == [portion(QUERY.k, 4), QUERY.k]


async def test_equal_scores_go_by_id_whatever_was_asked() -> None:
    world = Shards([hits_of(dict.fromkeys(range(shard, 400, 4), 0.5)) for shard in range(4)])
    assert await found(world) == list(range(QUERY.k))


async def test_exact_searches_ask_for_everything_at_once() -> None:
    world = Shards(of_hashed(5_000, 4))
    await found(world, replace(QUERY, exact=True))
    assert world.asked == [QUERY.k]


async def test_with_half_of_the_time_gone_what_there_is_must_do() -> None:
    world = Shards([hits_of({id: 1 - id / 1_000 for id in range(1, 200)}), hits_of({}), hits_of({}), hits_of({})])
    assert await found(world, seconds=0.0) == list(range(1, portion(QUERY.k, 4) + 1))
    assert len(world.asked) == 1


@given(k=st.integers(1, 4_000), shards=st.integers(1, 256))
def test_a_portion_is_never_less_than_a_fair_share(k: int, shards: int) -> None:
    assert k / shards <= portion(k, shards) <= k
    assert portion(k, 1) == k


@given(st.lists(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 5)), max_size=30), min_size=1, max_size=4))
def test_nothing_is_lacking_where_it_says_so(drawn: list[list[tuple[int, int]]]) -> None:
    parts = [
        hits_of({4 * id + number: score / 8 for id, score in one}) for number, one in enumerate(drawn)
    ]  # no id in two shards
    asked, k = 5, 12
    sent = [part.take(np.arange(min(asked, len(part)))) for part in parts]
    best = merge(sent, k)
    if not may_lack_some(sent, asked, best):
        assert best.ids.tolist() == merge(parts, k).ids.tolist()
