"""Whether the cluster is whole again, and holds what was acknowledged, once."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import httpx

from deploy.local import Cluster
from loadtests.chaos.ledger import Ledger, Written

_LOOK_SECONDS: Final = 0.2
_ASKING: Final = 3


@dataclass(frozen=True, slots=True)
class Census:
    """missing: acknowledged and not found by an exact search for it. twice: found or held more than once. risen:
    deleted, and found.
    """

    missing: int
    twice: int
    risen: int

    @property
    def clean(self) -> bool:
        return not (self.missing or self.twice or self.risen)


class NotWhole(Exception):
    """The cluster did not become whole in time. Says what was still missing."""


def until_whole(running: Cluster, living: int, within_seconds: float) -> float:
    """Seconds until every replica is ready and fresh, nothing waits, and each shard's replicas hold together as many
    pictures as the catalog, which are `living`. Raises NotWhole.
    """
    started = time.monotonic()
    why = "nothing was answered"
    with httpx.Client(base_url=running.rest, timeout=10) as client:
        while (now := time.monotonic() - started) < within_seconds:
            try:
                why = _not_whole(client.get("/stats").raise_for_status().json(), running.shape.replicas, living)
            except httpx.HTTPError as error:
                why = repr(error)
            if not why:
                return now
            time.sleep(_LOOK_SECONDS)
    raise NotWhole(f"after {within_seconds:.0f} s: {why}")


def census(running: Cluster, ledger: Ledger, before: int) -> Census:
    """Ask for each picture of the ledger by its own bytes. before: pictures that were there without it.

    Raises NotWhole when a search is refused, or rests on less than everything.
    """
    with httpx.Client(base_url=running.rest, timeout=60) as client, ThreadPoolExecutor(_ASKING) as asking:

        def times(ones: Sequence[Written]) -> list[int]:
            return list(asking.map(lambda one: _times_found(client, one), ones))

        living = times(ledger.living())
        risen = times(ledger.deleted())
        listed = client.get("/images", params={"limit": 1}).raise_for_status().json()["count"]
    extra = max(0, listed - before - len(living))
    return Census(living.count(0), sum(one > 1 for one in living) + extra, sum(one > 0 for one in risen))


def _times_found(client: httpx.Client, one: Written) -> int:
    asked = {"k": 5, "exact": "true", "near_duplicates": "keep", "timeout_ms": 30_000, "min_coverage": 1}
    answer = client.post("/search", files={"image": one.content}, data=asked)
    if answer.status_code != 200:
        raise NotWhole(f"{one.key} cannot be looked for: {answer.text}")
    return sum(hit["id"] == one.image_id for hit in answer.json()["results"])


def _not_whole(stats: dict[str, Any], replicas: int, living: int) -> str:
    """What is missing, "" when nothing is."""
    catalog = stats["catalog"]
    if stats["waiting"] or catalog["pending"] or catalog["unsent"] or catalog["dead"]:
        return f"waiting {stats['waiting']}, {catalog}"
    if catalog["indexed"] != living:
        return f"{catalog['indexed']} pictures are indexed, {living} are in the ledger"
    for one in stats["shards"]:
        if one.get("error") or not one["ready"] or one["stale"]:
            return f"a replica: {one}"
    for replica in range(replicas):
        held = sum(one["pictures"] for one in stats["shards"] if one["replica"] == replica)
        if held != living:
            return f"replicas {replica} hold {held} of {living}"
    return ""
