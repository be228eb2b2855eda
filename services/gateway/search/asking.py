"""One index is asked, or two side by side; and what a page shows of what they found."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from omma.errors import Absent, ReplicaDown
from omma.hits import Degraded
from omma.identity import Tenant
from omma.rollouts.arms import Arm, Variant
from omma.rpc.deadline import Deadline
from omma.telemetry.traces import span, stage_times
from omma.together import together
from services.gateway.search.answer import SearchHit, hits_of
from services.gateway.search.finding import Asked, Finder, Found, Side, degraded, shard_query
from services.gateway.search.kept.results import KeptResults
from services.gateway.search.matching import with_threshold
from services.gateway.search.paging import Page, next_cursor, settled
from services.gateway.search.query import SearchQuery
from services.gateway.search.recall import K
from services.gateway.search.resolve import Resolved, Resolver, Within
from services.gateway.search.rollout.interleaved import SEED_BITS, draw, next_interleaved, page_of
from services.gateway.search.rollout.judged import ANSWERING
from services.nn_shard.client import ShardQuery
from services.rerank.client import NearDuplicates
from services.topology.indexes import ServedIndex

_SEARCH_SHARE: Final = 0.25
_SEARCH_SECONDS: Final = 0.5
"""Kept of the whole time for the shards while the query is embedded."""

_UNHURRIED_SECONDS: Final = 0.2
"""Left of a search whose time cut nothing short: what it found is what another one would find."""

Failed = Callable[[Arm, Exception], None]
"""Told of an arm that could not answer."""


@dataclass(frozen=True, slots=True)
class Shown:
    """variant: of the side that answers after all. left_out: beside what the indexes themselves left out."""

    hits: tuple[SearchHit, ...]
    next_cursor: str | None
    variant: Variant | None
    left_out: frozenset[Degraded] = frozenset()


class Asking:
    """One for all searches of a gateway."""

    def __init__(
        self,
        resolver: Resolver,
        finder: Finder,
        kept: KeptResults,
        seed: Callable[[], int] = lambda: random.getrandbits(SEED_BITS),
    ) -> None:
        """kept: of earlier searches. seed: of a draft."""
        self._resolver = resolver
        self._finder = finder
        self._kept = kept
        self._seed = seed

    async def side(
        self,
        tenant: Tenant,
        query: SearchQuery,
        served: ServedIndex,
        seen: tuple[int, ...],
        until: Deadline,
        *,
        resolved: Resolved | None = None,
    ) -> Side:
        """What this index finds. seen: what earlier pages showed. resolved: what is sought, where it is known already.

        Raises as SearchCore.search.
        """
        query = with_threshold(query, served.index)
        with stage_times() as stage_us, span(ANSWERING):
            resolved = resolved or await self._resolved(served, tenant, query, until)
            asked = shard_query(tenant, query, served, resolved, seen)
            found = await self._found(served, query, asked, resolved, until)
        return Side(served, resolved, found, stage_us)

    async def sides(
        self, tenant: Tenant, query: SearchQuery, page: Page, until: Deadline, failed: Failed
    ) -> dict[Arm, Side]:
        """What each index that is asked finds, CONTROL first; outside of a rollout there is one, called so.

        Of two, one that fails is left out. Raises as `side` when none is left.
        """
        chosen = page.chosen
        if chosen.beside is None:
            arm = Arm.CONTROL if chosen.variant is None else chosen.variant.arm
            asked = {arm: (chosen.served, page.seen)}
        else:
            seen = page.draft.seen if page.draft else ()
            asked = {Arm.CONTROL: (chosen.served, page.seen), Arm.CANDIDATE: (chosen.beside, seen)}
        said = {arm: settled(query, chosen.candidate if arm is Arm.CANDIDATE else chosen.control) for arm in asked}
        known = await self._of_both(tenant, query, page, until)
        works = [
            self._tried(self.side(tenant, said[arm], *to, until, resolved=known), arm, failed)
            for arm, to in asked.items()
        ]
        found = [await works[0]] if len(works) == 1 else await together(works)
        answers = dict(zip(asked, found, strict=True))
        if not (sides := {arm: answer for arm, answer in answers.items() if isinstance(answer, Side)}):
            raise next(answer for answer in answers.values() if isinstance(answer, Exception))
        return sides

    async def exactly(self, tenant: Tenant, query: SearchQuery, side: Side, deadline: Deadline) -> Sequence[int]:
        """Ids of the K best of all vectors, by what `side` looked for. Raises as `side`, and ReplicaDown."""
        asked = shard_query(tenant, query, side.served, side.resolved, ())
        return await self._finder.exactly(side.served, asked, K, deadline)

    async def shown(
        self, tenant: Tenant, query: SearchQuery, page: Page, sides: Mapping[Arm, Side], until: Deadline
    ) -> Shown:
        """The page: of both sides interleaved where there are two."""
        variant = page.chosen.variant
        if len(sides) == 1:
            ((arm, side),) = sides.items()
            variant = None if variant is None else replace(variant, arm=arm)
            # Words that mean nothing to the model are near to arbitrary pictures: none is an answer.
            ranked = () if side.resolved.nothing_understood else side.found.ranked
            hits = hits_of(side.found.candidates, ranked, with_boxes=query.use_crops)
            seen = page.draft.seen if arm is Arm.CANDIDATE and page.draft else page.seen
            return Shown(hits, next_cursor(seen, query, side, variant), variant)
        seed = page.draft.seed if page.draft else self._seed()
        drawn = draw(sides[Arm.CONTROL], sides[Arm.CANDIDATE], seed)
        asked = Asked(sides[Arm.CONTROL].served, tenant, settled(query, page.chosen.control))
        regrouped = await self._finder.grouped(asked, drawn.candidates, until)
        skipped = regrouped is None and query.near_duplicates is not NearDuplicates.KEEP
        hits, stood_for = page_of(query, drawn, regrouped)
        left_out = frozenset({Degraded.RERANK_SKIPPED} if skipped and hits else ())
        return Shown(hits, next_interleaved(page, query, drawn, stood_for), variant, left_out)

    async def _of_both(self, tenant: Tenant, query: SearchQuery, page: Page, until: Deadline) -> Resolved | None:
        """What is sought, for two indexes of one space; None where each has to say itself, or one may fail alone."""
        served, beside = page.chosen.served, page.chosen.beside
        if beside is None or served.space.id != beside.space.id:
            return None
        try:
            return await self._resolved(served, tenant, query, until)
        except (Absent, ReplicaDown):
            # A stored picture that the one index lacks for now, or its shards; the other's may answer.
            return None

    async def _found(
        self, served: ServedIndex, query: SearchQuery, asked: ShardQuery, resolved: Resolved, until: Deadline
    ) -> Found:
        lookup = self._kept.asked(served, query, asked, resolved.phash)
        if lookup is not None and lookup.found is not None:
            return lookup.found
        found = await self._finder.find(served, query, asked, resolved, until)
        if lookup is not None and until.remaining_seconds() > _UNHURRIED_SECONDS:
            lookup.keep(found)
        return found

    async def _tried(self, work: Awaitable[Side], arm: Arm, failed: Failed) -> Side | Exception:
        try:
            return await work
        except Exception as error:  # noqa: BLE001  the other arm answers; where there is none it is raised there
            failed(arm, error)
            return error

    async def _resolved(self, served: ServedIndex, tenant: Tenant, query: SearchQuery, until: Deadline) -> Resolved:
        """An embedder that hangs takes its share, so that the caller is told while there is time to try again."""
        kept = min(_SEARCH_SECONDS, _SEARCH_SHARE * until.require())
        awaited = frozenset(receipt.image_id for receipt in query.receipts)
        with span("resolve"):
            return await self._resolver.resolve(query.sought, Within(served, tenant, until.earlier(kept), awaited))


def left_out_by(sides: Mapping[Arm, Side], *, behind: bool) -> frozenset[Degraded]:
    """behind: whether writes that were acknowledged wait."""
    return frozenset(reason for side in sides.values() for reason in degraded(side.found, behind=behind))
