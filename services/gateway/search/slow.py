"""Searches that took long, to the log: how long each stage took and what was asked for, by its query_id."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from omma.identity import Tenant
from services.gateway.search.answer import SearchAnswer
from services.gateway.search.query import SearchQuery, SoughtPicture, SoughtStored, SoughtUrl, SoughtWords

_KIND: Final = {SoughtPicture: "picture", SoughtStored: "id", SoughtUrl: "url", SoughtWords: "words"}
_MAX_CHARACTERS: Final = 200

logger = logging.getLogger(__name__)


class SlowSearches:
    """No picture's bytes, no address, no vector and no user; words only where that is asked for."""

    def __init__(self, least_ms: float = 0.0, *, with_words: bool = False) -> None:
        """least_ms: shorter ones are not told; 0: none is."""
        self._least_ms = least_ms
        self._with_words = with_words

    def answered(self, tenant: Tenant, query: SearchQuery, answer: SearchAnswer, stage_us: Mapping[str, int]) -> None:
        """One search."""
        if not 0 < self._least_ms <= answer.latency_ms:
            return
        told = self._asked(tenant, query) | {
            "query_id": answer.query_id,
            "latency_ms": answer.latency_ms,
            "stages_ms": {stage: round(us / 1000, 3) for stage, us in stage_us.items()},
            "index": answer.index,
            "policy": answer.policy,
            "coverage": round(answer.coverage.fraction, 4),
            "degraded": [reason.value for reason in answer.degraded],
            "hits": len(answer.hits),
        }
        logger.warning("a slow search", extra=told)

    def ended(self, tenant: Tenant, query: SearchQuery) -> None:
        """One that ran out of time."""
        if self._least_ms > 0:
            logger.warning("a search ran out of time", extra=self._asked(tenant, query))

    def _asked(self, tenant: Tenant, query: SearchQuery) -> dict[str, Any]:
        told: dict[str, Any] = {
            "tenant": tenant,
            "sought": [_KIND.get(type(one), "vector") for one in query.sought],
            "k": query.k,
            "effort": query.effort,
            "exact": query.exact,
            "filtered": query.filter is not None,
            "page": bool(query.cursor),
            "timeout_ms": query.timeout_ms,
        }
        if self._with_words:
            told["words"] = [one.text[:_MAX_CHARACTERS] for one in query.sought if isinstance(one, SoughtWords)]
        return told
