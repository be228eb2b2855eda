"""Every picture's words: the tags of what lies near it, and what the model's words say; kept apart from people's."""

from collections.abc import Callable
from typing import Final

import numpy as np

from omma.blobs.interface import Blobs
from omma.catalog.auto_tag import AutoTagged
from omma.catalog.interface import Catalog
from omma.errors import Absent, WrongState
from omma.hits import FetchedPicture
from omma.identity import ImageId, Sha256, Tenant
from omma.job_kinds import AutoTagsParameters
from omma.keywords import keywords_of, likely_words, tags_near
from omma.known_words import KnownWords, known_words_key
from omma.rpc.deadline import Deadline
from omma.together import together
from omma.vectors import normalise
from services.nn_shard.client import ShardQuery
from services.topology.indexes import PlacedIndex
from services.topology.stored import nearest_stored, stored_pictures
from services.worker.jobs.progress import Progress

_NEIGHBOURS: Final = 10
_TAGS: Final = 10
_AT_ONCE: Final = 8
"""As of AnomalyScorer: people's searches find places beside them."""
_PAGE: Final = 256
_SECONDS: Final = 30.0


class AutoTagger:
    """In the live index."""

    def __init__(self, catalog: Catalog, blobs: Blobs, live: Callable[[], PlacedIndex]) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._live = live

    async def tell(self, tenant: Tenant, source: str, asked: AutoTagsParameters, progress: Progress) -> None:
        """Of each picture of the tenant. source: of the words. Goes on behind progress.cursor, an id.

        Counts `looked_at` and `tagged`. Raises WrongState, field `space`, once another space is live; Absent without
        its words; ReplicaDown, OutOfTime.
        """
        key = known_words_key(tenant, source)
        try:
            words = KnownWords.decode(await self._blobs.get(key))
        except Absent:
            if not progress.cursor:
                raise Absent("The words are not there any more; ask again.", field="words") from None
            return  # an earlier runner ended it, and could not say so
        await self._tell(tenant, words, asked, progress)
        await self._blobs.delete(key)

    async def _tell(self, tenant: Tenant, words: KnownWords, asked: AutoTagsParameters, progress: Progress) -> None:
        while True:
            after = ImageId(int(progress.cursor or 0))
            page = await self._catalog.pictures_to_score(tenant, after, _PAGE)
            if not page:
                return
            placed = self._live()
            if placed.space.id != asked.space:
                raise WrongState(f"Space {placed.space.id} is live by now: ask for the tags again.", field="space")
            ids = [id for id, _ in page]
            pictures = await stored_pictures(placed, tenant, ids, Deadline.after(_SECONDS))
            for start in range(0, len(pictures), _AT_ONCE):
                some = pictures[start : start + _AT_ONCE]
                tagged = await together(self._one(placed, one, words, asked.least_confidence) for one in some)
                await self._catalog.keep_auto_tags(tenant, tagged)
                progress.counts["tagged"] += sum(bool(one.tags) for one in tagged)
            progress.counts["looked_at"] += len(ids)
            progress.cursor = str(ids[-1])

    async def _one(self, placed: PlacedIndex, picture: FetchedPicture, words: KnownWords, least: float) -> AutoTagged:
        vector = normalise(picture.vectors[0].astype(np.float32))
        payload = picture.payload
        query = ShardQuery(
            tenant=picture.tenant,
            index=placed.index.id,
            space=placed.space.id,
            query=vector,
            k=_NEIGHBOURS,
            with_payload=True,
            exclude_ids=(picture.image_id,),
            # What is said of another's private picture is nobody else's to read.
            visible_to=payload.owner if payload.private else "",
        )
        hits = await nearest_stored(placed, query, Deadline.after(_SECONDS))
        tags = [one.tags for one in hits.payloads or ()]
        near = tags_near(zip(hits.scores.tolist(), tags, strict=True))
        told = keywords_of(near, likely_words(vector, words.words, words.vectors), _TAGS)
        sure = tuple(one for one in told if one.confidence >= least)
        return AutoTagged(picture.image_id, Sha256(payload.sha256), sure)
