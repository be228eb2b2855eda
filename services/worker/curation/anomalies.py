"""Every picture's distance to those nearest to it, and to what the model was trained on, kept in the catalog for
`GET /qa/anomalies`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Final

import numpy as np

from omma.blobs.interface import Blobs
from omma.catalog.anomaly import AnomalyScore
from omma.catalog.interface import Catalog
from omma.hits import FetchedPicture
from omma.identity import ImageId, Tenant
from omma.rpc.deadline import Deadline
from omma.together import together
from omma.trained_on import distances_to, kept_middles
from omma.vectors import Float32, normalise
from services.topology.indexes import PlacedIndex
from services.topology.stored import nearest_to, stored_pictures
from services.worker.jobs.progress import Progress

_NEIGHBOURS: Final = 10
_AT_ONCE: Final = 8
"""Searches under way: a shard batches them, and people's searches find places beside them."""
_PAGE: Final = 256
_SECONDS: Final = 30.0


class AnomalyScorer:
    """In the live index."""

    def __init__(self, catalog: Catalog, blobs: Blobs, live: Callable[[], PlacedIndex]) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._live = live

    async def score(self, tenant: Tenant | None, progress: Progress) -> None:
        """Of one tenant, None: of every one; each picture among its tenant's. Goes on behind progress.cursor, an id.

        Counts `scored`. Raises ReplicaDown, OutOfTime, WrongState.
        """
        while True:
            after = ImageId(int(progress.cursor or 0))
            page = await self._catalog.pictures_to_score(tenant, after, _PAGE)
            if not page:
                return
            placed = self._live()
            trained_on = await kept_middles(self._blobs, placed.space.id, placed.space.dim)
            for owner, rows in groupby(sorted(page, key=itemgetter(1)), key=itemgetter(1)):
                scores = await self._scored(placed, trained_on, owner, [id for id, _ in rows])
                await self._catalog.keep_anomaly_scores(owner, placed.space.id, scores)
                progress.counts["scored"] += len(scores)
            progress.cursor = str(page[-1][0])

    async def _scored(
        self, placed: PlacedIndex, trained_on: Float32 | None, tenant: Tenant, ids: Sequence[ImageId]
    ) -> list[AnomalyScore]:
        pictures = await stored_pictures(placed, tenant, ids, Deadline.after(_SECONDS))
        found: list[AnomalyScore | None] = []
        for start in range(0, len(pictures), _AT_ONCE):
            found += await together(self._one(placed, one) for one in pictures[start : start + _AT_ONCE])
        scores = [one for one in found if one is not None]
        if trained_on is None or not scores:
            return scores
        vectors = normalise(np.stack([one.vectors[0] for one in pictures]))
        far = dict(zip([one.image_id for one in pictures], distances_to(trained_on, vectors).tolist(), strict=True))
        return [replace(one, training=far[one.image_id]) for one in scores]

    async def _one(self, placed: PlacedIndex, picture: FetchedPicture) -> AnomalyScore | None:
        """None for the only picture of a tenant, which stands apart from nothing."""
        hits = await nearest_to(placed, picture, _NEIGHBOURS, Deadline.after(_SECONDS))
        if not len(hits):
            return None
        distances = np.clip(1.0 - hits.scores.astype(np.float64), 0.0, 2.0)
        return AnomalyScore(picture.image_id, float(distances[0]), float(distances.mean()), len(hits))
