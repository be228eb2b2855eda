"""The re-ranker in this process."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from omma.errors import OutOfTime
from omma.hits import Hits
from omma.rpc.deadline import Deadline
from omma.telemetry.context import run_in
from omma.telemetry.metrics import RERANK_DROPPED, RERANK_SECONDS
from services.rerank.client import NearDuplicates, Reranked, RerankQuery
from services.rerank.near_duplicates import in_doubt
from services.rerank.policies import Policies
from services.rerank.rerank import rerank
from services.rerank.settings import RerankSettings

_FEW: Final = 100
"""So many take half a millisecond, which is less than a thread costs that fights the loop for the interpreter."""


class LocalReranker:
    """A Reranker: few candidates at once, more on an executor of its own: 200 take 1 ms, 1,500 with diversity 30.

    What has run out of time leaves its thread, or never takes one.
    """

    def __init__(self, policies: Policies, *, threads: int = 1) -> None:
        self._policies = policies
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="rerank")

    @classmethod
    def configured(cls, settings: RerankSettings) -> "LocalReranker":
        """As the settings say. Raises as Policies does."""
        return cls(Policies(settings.policies, settings.default_policy), threads=settings.threads)

    def needs_vectors(self, policy: str) -> bool:
        return self._policies.get(policy).relevance < 1

    def in_doubt(self, query: RerankQuery, candidates: Hits) -> list[int]:
        if query.near_duplicates is NearDuplicates.KEEP or candidates.vectors is not None:
            return []
        return in_doubt(self._policies.get(query.policy), candidates)

    async def rerank(self, query: RerankQuery, candidates: Hits, deadline: Deadline) -> Reranked:
        policy = self._policies.get(query.policy)
        started = time.perf_counter()
        try:
            if len(candidates) <= _FEW and policy.relevance == 1:
                reranked = rerank(query, policy, candidates, deadline.require)
            else:
                async with asyncio.timeout(deadline.require()):
                    reranked = await run_in(self._executor, rerank, query, policy, candidates, deadline.require)
        except TimeoutError:
            raise OutOfTime("Re-ranking did not end within the deadline.") from None
        RERANK_SECONDS.labels(policy.id).observe(time.perf_counter() - started)
        for _, reason in reranked.dropped:
            RERANK_DROPPED.labels(reason.value).inc()
        return reranked

    async def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
