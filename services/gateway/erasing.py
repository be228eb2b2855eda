"""Erasing as its owner asks for it: which pictures, at once out of every answer, and a job for the rest."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from omma.catalog.api_key import Role
from omma.catalog.interface import Catalog
from omma.catalog.job import JobId
from omma.filters import Filter
from omma.identity import ImageId
from omma.job_kinds import ERASE
from omma.outbox import Outbox
from services.gateway.callers.auth import Caller
from services.gateway.jobs import Jobs

MAX_PICTURES: Final = 10_000
"""Of one call, which waits until their rows say nothing any more: a few seconds."""
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Erased:
    """pictures: whose rows say nothing any more. more: others fit that were over the bound; call again."""

    job: JobId
    pictures: int
    more: bool


class Erasing:
    """For admins: nobody takes it back."""

    def __init__(self, catalog: Catalog, outbox: Outbox, jobs: Jobs) -> None:
        self._catalog = catalog
        self._outbox = outbox
        self._jobs = jobs

    async def erase(self, caller: Caller, wanted: Filter | Collection[ImageId] | Collection[str]) -> Erased:
        """The caller's tenant's pictures that a filter keeps, or with these ids or keys, deleted ones too.

        What an earlier call began is gone on with as well. Raises NotAllowed and Overloaded before anything is erased,
        and what the catalog raises: what is erased by then is gone on with.
        """
        caller.require(Role.ADMIN)
        await self._jobs.require_room()  # nobody takes an erase back: who is refused has erased nothing
        found = await self._catalog.find_erasable(caller.tenant, wanted, MAX_PICTURES + 1)
        ids = found[:MAX_PICTURES]
        for start in range(0, len(ids), _AT_ONCE):
            await self._outbox.offer(await self._catalog.erase(caller.tenant, ids[start : start + _AT_ONCE]))
        # A job of its own each: one that ends just now may have had its last look.
        job = await self._jobs.start(caller.tenant, ERASE, uuid.uuid4().hex)
        return Erased(job.id, len(ids), len(found) > MAX_PICTURES)
