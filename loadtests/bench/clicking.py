"""Callers of a rollout that click by a position-based model on pictures of the label that they search for."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

_PAGE: Final = 10
_LOOK_EVERY: Final = 20


class Clickers:
    """Each searches once, by a stored picture. labels: by id. liked: how often a picture of the label is clicked when
    somebody looks at it; rank r is looked at 1 / r of the time.

    searches, clicks: by arm; what was answered outside of the rollout is not counted.
    """

    def __init__(self, client: httpx.AsyncClient, labels: Mapping[int, str], *, liked: float = 0.7) -> None:
        self._client = client
        self._labels = labels
        self._ids = sorted(labels)
        self._liked = liked
        self._random = random.Random(0)
        self._turn = 0
        self.searches: Counter[str] = Counter()
        self.clicks: Counter[str] = Counter()

    async def until_judged(self, rollout: str, decided: Callable[[dict[str, Any]], bool], most: int) -> dict[str, Any]:
        """Search and click until the rollout, as GET /rollouts tells it, is decided. Raises TimeoutError after so many
        searches.
        """
        for _ in range(most):
            await self._search()
            if self._turn % _LOOK_EVERY == 0:
                shown = (await self._client.get(f"/rollouts/{rollout}")).raise_for_status().json()
                if decided(shown):
                    return dict(shown)
        raise TimeoutError(f"No verdict after {most} searches: {self.searches} {self.clicks}")

    async def _search(self) -> None:
        self._turn += 1
        sought, user = self._ids[self._turn % len(self._ids)], f"user {self._turn}"
        body = {"image_id": sought, "k": _PAGE, "user_id": user, "near_duplicates": "keep", "timeout_ms": 60_000}
        found = (await self._client.post("/search", json=body)).raise_for_status().json()
        if "variant" not in found:
            return
        arm = found["variant"]["arm"]
        self.searches[arm] += 1
        for rank, hit in enumerate(found["results"], 1):
            wanted = self._labels.get(hit["id"]) == self._labels[sought]
            if wanted and self._random.random() < self._liked / rank:
                self.clicks[arm] += 1
                click = {"user_id": user, "query_image_id": sought, "displayed_image_id": hit["id"], "rank": rank}
                sent = {**click, "query_id": found["query_id"]}
                (await self._client.post("/click", json=sent)).raise_for_status()
