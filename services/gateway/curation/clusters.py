"""Clusters, asked for: words that may name them become vectors here, where the embedder is, and a job names them."""

import asyncio
import hashlib
import logging
from typing import Final

from omma.blobs.interface import Blobs
from omma.catalog.job import Job
from omma.errors import OmmaError
from omma.identity import Tenant
from omma.job_kinds import CLUSTER, ClusterParameters
from omma.known_words import words_of_space_key
from omma.space import SpaceId
from services.gateway.jobs import Jobs
from services.gateway.search.vocabulary import Vocabulary
from services.topology.indexes import ServedIndexes

_WORDS_SECONDS: Final = 8.0
_LOOK_SECONDS: Final = 0.05

logger = logging.getLogger(__name__)


class ClusterDesk:
    """Of the live index."""

    def __init__(self, blobs: Blobs, jobs: Jobs, vocabulary: Vocabulary, indexes: ServedIndexes) -> None:
        self._blobs = blobs
        self._jobs = jobs
        self._vocabulary = vocabulary
        self._indexes = indexes
        self._kept: set[SpaceId] = set()

    async def start(self, tenant: Tenant, asked: ClusterParameters) -> Job:
        """The same asked again before it has ended is the same job. Raises WrongState, Overloaded.

        The first one of a space waits for its words, which take some seconds to embed, for a while: then tags alone
        name its clusters.
        """
        try:
            async with asyncio.timeout(_WORDS_SECONDS):
                await self._keep_words()
        except (OmmaError, TimeoutError) as error:
            logger.warning("clusters are named by tags alone", extra={"reason": repr(error)})
        source = hashlib.sha256(asked.model_dump_json().encode()).hexdigest()
        return await self._jobs.start(tenant, CLUSTER, source, asked)

    async def _keep_words(self) -> None:
        served = self._indexes.live()
        space = served.space.id
        if space in self._kept or not served.embedder.has_text_tower:
            return
        while (known := self._vocabulary.known(served)) is None:  # noqa: ASYNC110  embedded beside searches
            await asyncio.sleep(_LOOK_SECONDS)
        await self._blobs.put(words_of_space_key(space), await asyncio.to_thread(known.encode))
        self._kept.add(space)
