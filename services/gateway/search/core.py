"""The search core: choose the index, resolve, find, say what was left out. Reads no database."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from omma.blobs.originals import Originals
from omma.errors import STATUS, InvalidQuery, OmmaError, OutOfTime
from omma.hits import Hits
from omma.identity import ImageId, Tenant
from omma.images import DEFAULT_LIMITS
from omma.judging.tally import Answer
from omma.keywords import Keyword, keywords_of, likely_words, tags_near
from omma.rollouts.arms import Arm, Variant
from omma.rpc.deadline import Deadline
from omma.space import Space
from omma.telemetry.metrics import SEARCH_COVERAGE, SEARCH_DEGRADED, SEARCH_STAGE_SECONDS
from omma.telemetry.traces import span, stage_times
from omma.together import together
from omma.vectors import Float32
from services.gateway.callers.viewing import viewer
from services.gateway.search.admission import Admission
from services.gateway.search.answer import SearchAnswer, explanation
from services.gateway.search.asking import Asking, left_out_by
from services.gateway.search.caller import caller_of, kept_caller
from services.gateway.search.candidates import best_candidates
from services.gateway.search.fanout import Fanout
from services.gateway.search.finding import Finder, Said, Side, Verdicts
from services.gateway.search.interactions import Impressions
from services.gateway.search.kept.embeddings import KeptEmbeddings
from services.gateway.search.kept.results import KeptResults
from services.gateway.search.matching import is_no_good_match
from services.gateway.search.paging import opened, settled
from services.gateway.search.query import SearchQuery, Sought, SoughtStored
from services.gateway.search.recall import Recall
from services.gateway.search.resolve import Resolved, Resolver, Within
from services.gateway.search.rollout.figures import ArmFigures
from services.gateway.search.rollout.interleaved import coverage_of
from services.gateway.search.rollout.judged import judged
from services.gateway.search.rollout.shadow import Shadow
from services.gateway.search.slow import SlowSearches
from services.gateway.search.urls import PictureFetcher
from services.gateway.search.vocabulary import Vocabulary
from services.nn_shard.client import ShardQuery
from services.rerank.client import Reranker
from services.topology.indexes import ServedIndex, ServedIndexes

MAX_BATCH: Final = 64
_BATCH_AT_ONCE: Final = 8
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
        verdicts: Verdicts = lambda ids: Said(),
        fanout: Fanout | None = None,
        admission: Admission | None = None,
        arms: ArmFigures | None = None,
        shadow: Shadow | None = None,
        recall: Recall | None = None,
        slow: SlowSearches | None = None,
        vocabulary: Vocabulary | None = None,
        max_text_characters: int = 2_000,
        max_picture_bytes: int = DEFAULT_LIMITS.max_bytes,
        kept_embeddings_bytes: int = 0,
        kept_results_bytes: int = 0,
    ) -> None:
        """impressions: who is told what was shown; None: nobody. behind: whether writes that were acknowledged wait.

        arms: what counts the searches of a rollout. shadow: what asks its candidate after an answer. recall: what
        repeats searches exactly. slow: what is told of those that took long. vocabulary: words that pictures are told
        by; None: the tags of what is near them alone.
        """
        self.indexes = indexes
        self._fanout = fanout or Fanout()
        indexes.tell_gone(self._fanout.forget)
        self._admission = admission or Admission(_MAX_RUNNING)
        self._resolver = Resolver(
            self._fanout,
            originals,
            urls,
            max_text_characters=max_text_characters,
            max_picture_bytes=max_picture_bytes,
            kept=KeptEmbeddings(kept_embeddings_bytes),
        )
        finder = Finder(self._fanout, reranker, verdicts)
        self._asking = Asking(self._resolver, finder, KeptResults(kept_results_bytes, verdicts))
        self._impressions = impressions
        self._behind = behind
        self._arms = arms
        self._shadow = shadow
        self._recall = recall
        if recall is not None:
            indexes.tell_gone(recall.forget)
        self._slow = slow or SlowSearches()
        self._vocabulary = vocabulary

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
        try:
            answer, sides, stage_us = await self._answer(tenant, query, until)
        except OutOfTime:
            self._slow.ended(tenant, query)
            raise
        self._slow.answered(tenant, query, answer, stage_us)
        for part, us in stage_us.items():
            SEARCH_STAGE_SECONDS.labels(part).observe(us / 1e6)
        SEARCH_COVERAGE.observe(answer.coverage.fraction)
        for reason in answer.degraded:
            SEARCH_DEGRADED.labels(reason.value).inc()
        if self._impressions is not None:
            caller, stage = "", 0
            if answer.variant is not None:
                caller, stage = kept_caller(query), self.indexes.stage(answer.variant.rollout) or 0
            self._impressions.shown(tenant, query.user_id, _query_image_id(query), answer, caller=caller, stage=stage)
        self._tell(tenant, query, answer, sides)
        return answer

    def keywords(self, answer: SearchAnswer, at_most: int) -> list[Keyword]:
        """Words for the picture that was sought, the surest first. Where words were sought, too, the text tower would
        only say them again: then only the tags of what was found.
        """
        served = self.indexes.placed(answer.index)
        vocabulary = None if served is None or self._vocabulary is None else self._vocabulary.known(served)
        words = {}
        if vocabulary is not None and answer.sought is not None and answer.understood is None:
            words = likely_words(answer.sought, vocabulary.words, vocabulary.vectors)
        near = tags_near((hit.score, hit.payload.tags) for hit in answer.hits)
        return keywords_of(near, words, at_most)

    def _tell(self, tenant: Tenant, query: SearchQuery, answer: SearchAnswer, sides: Mapping[Arm, Side]) -> None:
        """A rollout of what its arms answered, and who measures recall; returns at once."""
        if answer.variant is not None and self._arms is not None:
            for arm, side in sides.items():
                variant = Variant(answer.variant.rollout, arm)
                self._arms.searched(variant, tenant, caller_of(query), judged(side))
        if self._recall is not None and not query.exact and not query.cursor:
            for arm, side in sides.items():
                of_arm = None if answer.variant is None else replace(answer.variant, arm=arm)
                self._recall.after(of_arm, side, partial(self._asking.exactly, tenant, query, side))
        if self._shadow is not None and not query.cursor and answer.index == self.indexes.live().index.id:
            live = next(iter(sides.values()))
            self._shadow.after(judged(live), partial(self.ask, tenant, query))

    async def ask(self, tenant: Tenant, query: SearchQuery, served: ServedIndex, until: Deadline) -> Answer:
        """What this index answers; nobody is told of it, and no place is taken. Raises as `search` does."""
        return judged(await self._asking.side(tenant, settled(query, self.indexes.defaults), served, (), until))

    async def embed(self, tenant: Tenant, sought: Sought, deadline: Deadline) -> tuple[Resolved, Space]:
        """One thing as a vector, and its space, the live index's. Raises as search does."""
        async with self._admission.admitted(tenant, deadline):
            served = self.indexes.live()
            resolved = await self._resolver.resolve([sought], Within(served, tenant, deadline))
        return resolved, served.space

    async def neighbours(
        self, tenant: Tenant, image_ids: Sequence[ImageId], k: int, deadline: Deadline
    ) -> dict[ImageId, Hits]:
        """Stored pictures, each with itself and its k nearest; those that the live index does not have are left out.

        Raises Overloaded, ReplicaDown, OutOfTime.
        """
        async with self._admission.admitted(tenant, deadline):
            served = self.indexes.live()
            found = await self._fanout.fetch(served, tenant, image_ids, deadline)
        at_once = asyncio.Semaphore(_BATCH_AT_ONCE)

        async def nearest(vector: Float32) -> Hits:
            query = ShardQuery(
                tenant=tenant,
                index=served.index.id,
                space=served.space.id,
                query=vector,
                k=k + 1,
                visible_to=viewer().visible_to,
            )
            async with at_once, self._admission.admitted(tenant, deadline):
                _, hits = await best_candidates(self._fanout, served, query, (), deadline)
            return hits

        every = await together(nearest(one.vectors[0].astype(np.float32)) for one in found.values())
        return dict(zip(found, every, strict=True))

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
    ) -> tuple[SearchAnswer, Mapping[Arm, Side], Mapping[str, int]]:
        """The answer, what it is made of, and its microseconds by stage."""
        with stage_times() as around_us, span("search"):
            async with self._admission.admitted(tenant, until):
                page = opened(self.indexes, tenant, query)
                failed = partial(self._failed, page.chosen.variant, tenant, query)
                sides = await self._asking.sides(tenant, query, page, until, failed)
                shown = await self._asking.shown(tenant, query, page, sides, until)
        first = next(iter(sides.values()))
        stage_us = {**first.stage_us, **around_us}
        left_out = left_out_by(sides, behind=self._behind()) | shown.left_out
        answer = SearchAnswer(
            hits=shown.hits,
            query_id=uuid.uuid4().hex,
            space=first.served.space.id,
            index=first.served.index.id,
            policy="" if first.found.reranked is None else first.found.reranked.policy,
            coverage=coverage_of(sides),
            degraded=tuple(sorted(left_out)),
            latency_ms=round(stage_us["search"] / 1000, 3),
            next_cursor=shown.next_cursor,
            understood=first.resolved.text_confidence,
            explain=_explain(stage_us, sides) if query.explain else None,
            variant=shown.variant,
            no_good_match=all(is_no_good_match(query, side) for side in sides.values()),
            sought=first.resolved.vector,
        )
        return answer, sides, stage_us

    def _failed(self, variant: Variant | None, tenant: Tenant, query: SearchQuery, arm: Arm, error: Exception) -> None:
        """What fails, and not by the caller's fault, is the arm's."""
        of_caller = isinstance(error, OmmaError) and STATUS[error.kind].http < _SERVERS_FAULT
        if variant is not None and self._arms is not None and not of_caller:
            self._arms.searched(replace(variant, arm=arm), tenant, caller_of(query), None)


def _explain(stage_us: Mapping[str, int], sides: Mapping[Arm, Side]) -> dict[str, object]:
    """Of the first side; what the other one did stands under its arm."""
    (_, first), *others = sides.items()
    told = _explained(stage_us, first)
    return {**told, **{arm.value: _explained(side.stage_us, side) for arm, side in others}}


def _explained(stage_us: Mapping[str, int], side: Side) -> dict[str, object]:
    found, confidence = side.found, side.resolved.text_confidence
    told = explanation(stage_us, found.outcomes, found.reranked, len(found.candidates), found.undecided)
    return told if confidence is None else {"text_confidence": round(confidence, 3), **told}


def _query_image_id(query: SearchQuery) -> int:
    return next((one.image_id for one in query.sought if isinstance(one, SoughtStored)), 0)
