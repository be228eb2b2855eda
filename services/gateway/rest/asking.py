"""What every route that searches does with its request: whose session it is of, and how long it may take."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from fastapi import Request

from services.gateway.callers.auth import Caller
from services.gateway.rest.body import MAX_JSON_VALUES
from services.gateway.rest.bounds import bounds_of
from services.gateway.rest.fields import require_known, single
from services.gateway.rest.search_fields import REPEATED
from services.gateway.search.answer import SearchAnswer
from services.gateway.search.core import SearchCore
from services.gateway.search.query import SearchQuery

_ANSWER_SECONDS: Final = 5.0
"""To write down what was found: a search's own deadline ends it earlier, with a better word for why."""


async def answer_to(request: Request, core: SearchCore, caller: Caller, query: SearchQuery) -> SearchAnswer:
    """Raises as SearchCore.search does."""
    query = replace(query, session=session_of(request))
    arrived_seconds = allowed(request, [query])
    return await core.search(caller.tenant, query, arrived_seconds=arrived_seconds)


def allowed(request: Request, queries: Sequence[SearchQuery]) -> float:
    """When the request arrived; its searches say how long it may take."""
    bounds = bounds_of(request)
    bounds.allow(_ANSWER_SECONDS + max((one.timeout_ms / 1000 for one in queries), default=0.0))
    return bounds.arrived_seconds


def session_of(request: Request) -> str:
    """What the caller calls itself; empty where it does not."""
    return request.headers.get("omma-session", "")


def max_values(core: SearchCore, vectors: int) -> int:
    """Of a body with so many vectors of the largest dimension, beside everything else."""
    dims = [one.space.dim for one in core.indexes.every()]
    return MAX_JSON_VALUES + vectors * max(dims, default=0)


def query_string(request: Request, known: frozenset[str]) -> dict[str, Any]:
    """Its fields. Raises InvalidQuery for one that is not known, or twice there."""
    params = request.query_params
    require_known(params, known)
    return single({name: params.getlist(name) for name in params}, REPEATED)
