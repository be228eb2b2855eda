"""Tags that nobody gave, asked for: the words become vectors here, where the embedder is, and a job tells them."""

import asyncio
import hashlib
from collections.abc import Sequence

from omma.blobs.interface import Blobs
from omma.catalog.interface import Catalog
from omma.catalog.job import Job
from omma.identity import ImageId, Tenant
from omma.job_kinds import AUTO_TAGS, AutoTagsParameters
from omma.keywords import Keyword
from omma.known_words import KnownWords, known_words_key
from services.gateway.callers.auth import Caller
from services.gateway.jobs import Jobs
from services.gateway.search.vocabulary import Vocabulary
from services.topology.indexes import ServedIndexes


class AutoTagDesk:
    """Of the live index. What a model without a text tower is asked for is told by neighbours alone."""

    def __init__(
        self, catalog: Catalog, blobs: Blobs, jobs: Jobs, vocabulary: Vocabulary, indexes: ServedIndexes
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._jobs = jobs
        self._vocabulary = vocabulary
        self._indexes = indexes

    async def tell(self, caller: Caller, words: Sequence[str], least_confidence: float) -> Job:
        """words: none: the vocabulary's. Raises Overloaded, OutOfTime, ReplicaDown, StorageFull, WrongState."""
        served = self._indexes.live()
        known = KnownWords.none(served.space.dim)
        if served.embedder.has_text_tower:
            known = await self._vocabulary.embedded(served, words)
        content = await asyncio.to_thread(known.encode)
        source = hashlib.sha256(content).hexdigest()
        await self._blobs.put(known_words_key(caller.tenant, source), content, content_type="application/octet-stream")
        asked = AutoTagsParameters(space=served.space.id, least_confidence=least_confidence)
        return await self._jobs.start(caller.tenant, AUTO_TAGS, source, asked)

    async def of(self, tenant: Tenant, image_id: ImageId) -> tuple[Keyword, ...]:
        """The surest first; whether the picture may be seen was asked before."""
        return await self._catalog.auto_tags(tenant, image_id)

    async def forget(self, tenant: Tenant) -> None:
        """Of every picture."""
        await self._catalog.forget_auto_tags(tenant)
