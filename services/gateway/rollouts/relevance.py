"""A rollout's arms on what people judged: both are asked the same stored pictures, and their nDCG@10 is compared."""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from omma.catalog.interface import Catalog
from omma.errors import Absent, InvalidQuery, OutOfTime, ReplicaDown, WrongState
from omma.identity import ImageId, Tenant
from omma.judging.relevance import LEAST_QUERIES, K, ndcg_at_10, relevance_figures
from omma.rollouts.asked import JudgmentsRequest
from omma.rollouts.gates import JUDGED
from omma.rollouts.rollout import Rollout, RolloutState
from omma.rpc.deadline import Deadline
from omma.together import together
from services.gateway.search.core import SearchCore
from services.gateway.search.query import SearchQuery, SoughtStored
from services.rerank.client import NearDuplicates
from services.topology.indexes import ServedIndex

_MAX_QUERIES: Final = 500
"""Of more a sample is asked: an interval that a thousand would halve costs a canary nothing."""
_AT_ONCE: Final = 2
_BEGUN_SECONDS: Final = 15.0
"""In which queries begin: on a busy machine fewer do, and the interval is as wide as that makes it."""
_SECONDS: Final = 25.0
"""In which the last of them end, and a caller has an answer."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One query: a stored picture, and the grades of what should be found."""

    image_id: int
    grades: Mapping[int, int]


class Relevance:
    """Asks beside live searches, a few at once."""

    def __init__(self, catalog: Catalog, search: SearchCore, now: Callable[[], float] = time.monotonic) -> None:
        self._catalog = catalog
        self._search = search
        self._now = now

    async def judge(self, rollout: Rollout, tenant: Tenant, request: JudgmentsRequest) -> Rollout:
        """Keep what was measured with the rollout, for its gate. Pictures that neither index has are no queries; one
        that the candidate lacks is a query that it fails.

        Raises InvalidQuery, field `labels` or `grades`, where fewer than LEAST_QUERIES are left, OutOfTime where the
        time ended before; WrongState while the candidate is built, or one of both is gone; ReplicaDown.
        """
        if rollout.settings is not None:
            raise WrongState("An experiment has no index of its own to judge.", field="rollout")
        # As the catalog has it: what this gateway follows may be half a second older.
        if rollout.state in (RolloutState.BUILDING, RolloutState.PAUSED):
            raise WrongState("The candidate is still being built.", field="state")
        if rollout.state in (RolloutState.ABORTED, RolloutState.RETIRED):
            raise WrongState("One of its indexes is gone.", field="state")
        control, candidate = (self._placed(index_id) for index_id in (rollout.control, rollout.candidate))
        begun, deadline = (Deadline.after(seconds, self._now) for seconds in (_BEGUN_SECONDS, _SECONDS))
        left = iter(sampled(queries_of(request)))
        known: list[tuple[float, float]] = []

        async def some() -> None:
            while begun.remaining_seconds() and (query := next(left, None)) is not None:
                try:
                    here = await self._ndcg(control, tenant, query, deadline)
                    there = await self._ndcg(candidate, tenant, query, deadline)
                except OutOfTime:
                    return
                if here is not None:
                    known.append((here, there or 0.0))

        await together(some() for _ in range(_AT_ONCE))
        if len(known) < LEAST_QUERIES and not begun.remaining_seconds():
            raise OutOfTime(
                f"{len(known)} judged queries were asked in {_BEGUN_SECONDS:g} s, and {LEAST_QUERIES} are needed: try "
                "again when less is going on."
            )
        if len(known) < LEAST_QUERIES:
            raise InvalidQuery(
                f"{len(known)} of the judged pictures are in the live index and have something to find; "
                f"{LEAST_QUERIES} are needed.",
                field="labels" if request.labels else "grades",
                limit=LEAST_QUERIES,
            )
        figures = relevance_figures(*(list(arm) for arm in zip(*known, strict=True)))
        await self._catalog.note_rollout(rollout.id, JUDGED, figures)
        return await self._catalog.rollout(rollout.id)

    async def _ndcg(self, served: ServedIndex, tenant: Tenant, query: Judged, deadline: Deadline) -> float | None:
        """None where the index does not have the picture."""
        sought = SoughtStored(ImageId(query.image_id))
        asked = SearchQuery((sought,), k=K, near_duplicates=NearDuplicates.KEEP)
        try:
            answer = await self._search.ask(tenant, asked, served, deadline)
        except Absent:
            return None
        return ndcg_at_10(answer.ids, query.grades)

    def _placed(self, index_id: str) -> ServedIndex:
        placed = self._search.indexes.placed(index_id)
        if placed is None:
            raise ReplicaDown(f"The shards of index {index_id} are not known here.", field="index")
        return placed


def queries_of(request: JudgmentsRequest) -> list[Judged]:
    """Of labels each picture asks for the others of its label, grade 1. Those with nothing to find are none. Pure."""
    if request.grades:
        graded = [
            Judged(id, {one: grade for one, grade in of.items() if one != id}) for id, of in request.grades.items()
        ]
        return [one for one in graded if any(one.grades.values())]
    members: dict[str, list[int]] = defaultdict(list)
    for id, label in request.labels.items():
        members[label].append(id)
    wanted = {label: dict.fromkeys(ids, 1) for label, ids in members.items() if len(ids) > 1}
    # The query itself is never found, and ten others are an ideal list as long as there are ten.
    return [Judged(id, _Others(id, wanted[label])) for id, label in request.labels.items() if label in wanted]


class _Others(Mapping[int, int]):
    """Grades of a label's pictures but for the query: a view, since each of thousands has thousands."""

    def __init__(self, query: int, grades: Mapping[int, int]) -> None:
        self._query = query
        self._grades = grades

    def __getitem__(self, key: int) -> int:
        if key == self._query:
            raise KeyError(key)
        return self._grades[key]

    def __iter__(self) -> Iterator[int]:
        return (one for one in self._grades if one != self._query)

    def __len__(self) -> int:
        return len(self._grades) - 1


def sampled(queries: Sequence[Judged]) -> Sequence[Judged]:
    """At most _MAX_QUERIES, the same ones each time, in an order of which any beginning is a sample too."""
    return random.Random(0).sample(queries, min(len(queries), _MAX_QUERIES))
