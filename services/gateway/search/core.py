"""The search core: choose the index, resolve, find, say what was left out. Reads no database."""

import asyncio
import logging
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

import numpy as np

from omma.blobs.originals import Originals
from omma.errors import STATUS, InvalidQuery, OmmaError
from omma.filters import canonical
from omma.hits import Hits, no_hits
from omma.identity import ImageId, Tenant
from omma.images import DEFAULT_LIMITS
from omma.judging.tally import Answer
from omma.rollouts.arms import Variant
from omma.rpc.deadline import Deadline
from omma.telemetry.metrics import SEARCH_COVERAGE, SEARCH_DEGRADED, SEARCH_STAGE_SECONDS
from omma.telemetry.traces import span, stage_times
from omma.together import together
from services.gateway.search.admission import Admission
from services.gateway.search.answer import SearchAnswer, explanation, hits_of
from services.gateway.search.caller import caller_of, kept_caller
from services.gateway.search.candidates import best_candidates
from services.gateway.search.cursor import decode_cursor, encode_cursor, of_another_query, sought_mark
from services.gateway.search.fanout import Fanout
from services.gateway.search.finding import Finder, Found, Verdicts, degraded, shard_query
from services.gateway.search.interactions import Impressions
from services.gateway.search.query import SearchQuery, Sought, SoughtStored, SoughtVector
from services.gateway.search.resolve import Resolved, Resolver, Within
from services.gateway.search.rollout.figures import ArmFigures
from services.gateway.search.rollout.judged import ANSWERING, judged, stages_ms
from services.gateway.search.rollout.shadow import Shadow
from services.gateway.search.urls import PictureFetcher
from services.nn_shard.client import ShardQuery
from services.rerank.client import Reranker
from services.topology.indexes import Chosen, ServedIndex, ServedIndexes

MAX_BATCH: Final = 64
_BATCH_AT_ONCE: Final = 8
_SEARCH_SHARE: Final = 0.25
_SEARCH_SECONDS: Final = 0.5
"""Kept of the whole time for the shards while the query is embedded."""
_MAX_RUNNING: Final = 128
_SERVERS_FAULT: Final = 500

logger = logging.getLogger(__name__)


class SearchCore:
    """Answers searches over the served indexes. Safe for concurrent use on one event loop."""

    def __init__(
        self,
        indexes: ServedIndexes,
        reranker: Reranker,
        originals: Originals,
        urls: PictureFetcher,
        impressions: Impressions | None = None,
        *,
        behind: Callable[[], bool] = lambda: False,
        verdicts: Verdicts = lambda ids: ((), ()),
        fanout: Fanout | None = None,
        admission: Admission | None = None,
        arms: ArmFigures | None = None,
        shadow: Shadow | None = None,
        max_text_characters: int = 2_000,
        max_picture_bytes: int = DEFAULT_LIMITS.max_bytes,
    ) -> None:
        """impressions: who is told what was shown; None: nobody. behind: whether writes that were acknowledged wait.

        arms: what counts the searches of a rollout. shadow: what asks its candidate after an answer.
        """
        self.indexes = indexes
        self._fanout = fanout or Fanout()
        self._admission = admission or Admission(_MAX_RUNNING)
        self._resolver = Resolver(
            self._fanout, originals, urls, max_text_characters=max_text_characters, max_picture_bytes=max_picture_bytes
        )
        self._finder = Finder(self._fanout, reranker, verdicts)
        self._impressions = impressions
        self._behind = behind
        self._arms = arms
        self._shadow = shadow

    async def search(
        self,
        tenant: Tenant,
        query: SearchQuery,
        deadline: Deadline | None = None,
        *,
        arrived_seconds: float | None = None,
    ) -> SearchAnswer:
        """deadline: the caller's own; the earlier of it and timeout_ms counts. arrived_seconds: when timeout_ms began,
        on the monotonic clock; now unless told.

        Raises InvalidQuery, TooLarge, InvalidPicture, UnsupportedMedia, NoTextTower, WrongSpace, WrongState, Absent,
        Overloaded, ReplicaDown (no shard answered), CoverageTooLow, OutOfTime.
        """
        until = Deadline((time.monotonic() if arrived_seconds is None else arrived_seconds) + query.timeout_ms / 1000)
        if deadline is not None:
            until = min(until, deadline, key=Deadline.remaining_seconds)
        answer, stage_us = await self._answer(tenant, query, until)
        for stage, us in stage_us.items():
            SEARCH_STAGE_SECONDS.labels(stage).observe(us / 1e6)
        SEARCH_COVERAGE.observe(answer.coverage.fraction)
        for reason in answer.degraded:
            SEARCH_DEGRADED.labels(reason.value).inc()
        if self._impressions is not None:
            caller = "" if answer.variant is None else kept_caller(query)
            self._impressions.shown(tenant, query.user_id, _query_image_id(query), answer, caller)
        self._tell(tenant, query, answer, stage_us)
        return answer

    def _tell(self, tenant: Tenant, query: SearchQuery, answer: SearchAnswer, stage_us: Mapping[str, int]) -> None:
        """A rollout of the answer; returns at once."""
        if answer.variant is not None and self._arms is not None:
            self._arms.searched(answer.variant, tenant, caller_of(query), judged(answer, stage_us))
        if self._shadow is not None and not query.cursor and answer.index == self.indexes.live().index.id:
            self._shadow.after(judged(answer, stage_us), partial(self._ask, tenant, query))

    async def _ask(self, tenant: Tenant, query: SearchQuery, served: ServedIndex, until: Deadline) -> Answer:
        """What this index answers; nobody is told of it, and no place is taken."""
        with stage_times() as stage_us, span(ANSWERING):
            resolved = await self._resolved(served, tenant, query, until)
            asked = shard_query(tenant, query, served, resolved, ())
            found = await self._finder.find(served, query, asked, resolved, until)
        ids, scores = found.candidates.ids, found.candidates.scores
        at = [] if resolved.nothing_understood else [one.position for one in found.ranked]
        return Answer(
            ids=[int(ids[position]) for position in at],
            scores=[float(scores[position]) for position in at],
            milliseconds=stage_us[ANSWERING] / 1000,
            whole=found.coverage.shards_answered == found.coverage.shards_total,
            left_out=bool(degraded(found, behind=False)),
            stages=stages_ms(stage_us),
        )

    async def embed(self, tenant: Tenant, sought: Sought, deadline: Deadline) -> tuple[Resolved, str]:
        """One thing as a vector, and the id of its space, the live index's. Raises as search does."""
        async with self._admission.admitted(tenant, deadline):
            served = self.indexes.live()
            resolved = await self._resolver.resolve([sought], Within(served, tenant, deadline))
        return resolved, served.space.id

    async def neighbours(self, tenant: Tenant, image_id: ImageId, k: int, deadline: Deadline) -> Hits:
        """A stored picture and its k nearest, with signatures; none when the live index does not have it.

        Raises Overloaded, ReplicaDown, OutOfTime.
        """
        async with self._admission.admitted(tenant, deadline):
            served = self.indexes.live()
            found = (await self._fanout.fetch(served, tenant, [image_id], deadline)).get(image_id)
            if found is None:
                return no_hits(with_signatures=True)
            query = ShardQuery(
                tenant=tenant,
                index=served.index.id,
                space=served.space.id,
                query=found.vectors[0].astype(np.float32),
                k=k + 1,
                with_signatures=True,
            )
            _, hits = await best_candidates(self._fanout, served, query, (), deadline)
        return hits

    async def search_batch(
        self, tenant: Tenant, queries: Sequence[SearchQuery], *, arrived_seconds: float | None = None
    ) -> list[SearchAnswer | OmmaError]:
        """One answer or error a query, in order: a bad query never fails its batch. Raises InvalidQuery beyond 64.

        arrived_seconds: when every timeout_ms began, as `search` has it.
        """
        if not 1 <= len(queries) <= MAX_BATCH:
            raise InvalidQuery(f"A batch holds 1 to {MAX_BATCH} searches.", field="searches", limit=MAX_BATCH)
        at_once = asyncio.Semaphore(_BATCH_AT_ONCE)
        arrived = time.monotonic() if arrived_seconds is None else arrived_seconds

        async def one(query: SearchQuery) -> SearchAnswer | OmmaError:
            async with at_once:
                try:
                    return await self.search(tenant, query, arrived_seconds=arrived)
                except OmmaError as error:
                    return error

        return await together(map(one, queries))

    async def _answer(
        self, tenant: Tenant, query: SearchQuery, until: Deadline
    ) -> tuple[SearchAnswer, Mapping[str, int]]:
        """The answer and its microseconds by stage."""
        with stage_times() as stage_us, span("search"):
            async with self._admission.admitted(tenant, until):
                chosen, seen = self._chosen(tenant, query)
                served = chosen.served
                with span(ANSWERING), self._failures_of(chosen.variant, tenant, query):
                    resolved = await self._resolved(served, tenant, query, until)
                    asked = shard_query(tenant, query, served, resolved, seen)
                    found = await self._finder.find(served, query, asked, resolved, until)
        answer = SearchAnswer(
            # Words that mean nothing to the model are near to arbitrary pictures: none is an answer.
            hits=()
            if resolved.nothing_understood
            else hits_of(found.candidates, found.ranked, with_boxes=query.use_crops),
            query_id=uuid.uuid4().hex,
            space=served.space.id,
            index=served.index.id,
            policy="" if found.reranked is None else found.reranked.policy,
            coverage=found.coverage,
            degraded=degraded(found, behind=self._behind()),
            latency_ms=round(stage_us["search"] / 1000, 3),
            next_cursor=None if resolved.nothing_understood else _next_cursor(found, query, chosen, seen),
            understood=resolved.text_confidence,
            explain=_explain(stage_us, found, resolved) if query.explain else None,
            variant=chosen.variant,
        )
        return answer, stage_us

    @contextmanager
    def _failures_of(self, variant: Variant | None, tenant: Tenant, query: SearchQuery) -> Iterator[None]:
        """What fails in the block, and not by the caller's fault, is the arm's."""
        try:
            yield
        except Exception as error:
            of_caller = isinstance(error, OmmaError) and STATUS[error.kind].http < _SERVERS_FAULT
            if variant is not None and self._arms is not None and not of_caller:
                self._arms.searched(variant, tenant, caller_of(query), None)
            raise

    def _chosen(self, tenant: Tenant, query: SearchQuery) -> tuple[Chosen, tuple[int, ...]]:
        """Where the search goes, and what its earlier pages showed. A cursor is read first, and fixes both."""
        if not query.cursor:
            spaces = {one.space for one in query.sought if isinstance(one, SoughtVector)}
            return self.indexes.choose(query.index, tenant, partial(caller_of, query), spaces), ()
        cursor = decode_cursor(query.cursor)
        if query.index not in ("", cursor.index):
            raise of_another_query()
        chosen = self.indexes.resumed(cursor.index, cursor.variant)
        if cursor.query_mark != _mark(chosen.served, query):
            raise of_another_query()
        return chosen, cursor.seen

    async def _resolved(self, served: ServedIndex, tenant: Tenant, query: SearchQuery, until: Deadline) -> Resolved:
        """An embedder that hangs takes its share, so that the caller is told while there is time to try again."""
        kept = min(_SEARCH_SECONDS, _SEARCH_SHARE * until.require())
        awaited = frozenset(receipt.image_id for receipt in query.receipts)
        with span("resolve"):
            return await self._resolver.resolve(query.sought, Within(served, tenant, until.earlier(kept), awaited))


def _mark(served: ServedIndex, query: SearchQuery) -> int:
    """32 bits that change when the same pages would no longer be the same search."""
    narrowed = f"{served.index.id} {canonical(query.filter)} {query.use_crops}".encode()
    return zlib.crc32(sought_mark(query.sought).to_bytes(4, "little"), zlib.crc32(narrowed))


def _next_cursor(found: Found, query: SearchQuery, chosen: Chosen, seen: tuple[int, ...]) -> str | None:
    if len(found.ranked) < query.k:
        return None
    ids = found.candidates.ids
    shown = [int(ids[one.position]) for one in found.ranked]
    folded = [int(id) for one in found.ranked for id in one.duplicates]
    dropped = [int(id) for id, _ in found.reranked.dropped] if found.reranked is not None else []
    mark = _mark(chosen.served, query)
    return encode_cursor(mark, [*seen, *shown, *folded, *dropped], chosen.served.index.id, chosen.variant)


def _explain(stage_us: Mapping[str, int], found: Found, resolved: Resolved) -> dict[str, object]:
    told = explanation(stage_us, found.outcomes, found.reranked, len(found.candidates))
    if resolved.text_confidence is None:
        return told
    return {"text_confidence": round(resolved.text_confidence, 3), **told}


def _query_image_id(query: SearchQuery) -> int:
    return next((one.image_id for one in query.sought if isinstance(one, SoughtStored)), 0)
