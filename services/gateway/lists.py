"""Lists of pictures as callers send them: looked through, kept, and handed to a job."""

import asyncio
import hashlib
from typing import Final

from omma.blobs import object_uri
from omma.blobs.interface import Blobs
from omma.catalog.api_key import Role
from omma.catalog.download import Download
from omma.catalog.interface import Catalog
from omma.catalog.job import Job
from omma.description import RowLimits
from omma.errors import InvalidQuery, OmmaError
from omma.job_kinds import INGEST_LIST, ListParameters
from omma.picture_list import Listed, list_key, listed
from omma.uploads import SCHEME
from services.gateway.callers.auth import Caller
from services.gateway.jobs import Jobs, Sources

MAX_PAGE: Final = 1_000
_OPEN_SCHEMES: Final = ("http", "https", SCHEME)
"""Of places that any caller may name: an upload is found in the caller's tenant only."""


class Lists:
    """Takes lists in. What a line says wrongly is told by its job; what a caller may not name refuses the list."""

    def __init__(self, jobs: Jobs, sources: Sources, catalog: Catalog, blobs: Blobs, row_limits: RowLimits) -> None:
        self._jobs = jobs
        self._sources = sources
        self._catalog = catalog
        self._blobs = blobs
        self._row_limits = row_limits

    async def ingest(self, caller: Caller, content: bytes, parameters: ListParameters) -> Job:
        """The unfinished job of this list, or a new one, which goes on where the last was broken off.

        Raises InvalidQuery, NotAllowed, field `list`; WrongState, Overloaded, StorageFull.
        """
        await asyncio.to_thread(self._check, content, caller)
        sha256 = hashlib.sha256(content).hexdigest()
        await self._blobs.put(list_key(caller.tenant, sha256), content, content_type="application/x-ndjson")
        return await self._jobs.start(caller.tenant, INGEST_LIST, sha256, parameters)

    async def downloads(self, caller: Caller, job_id: str, after: str, limit: int, *, failed: bool) -> list[Download]:
        """What came of each line of a job, in the order of keys. Raises Absent, NotAllowed, InvalidQuery."""
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidQuery(f"limit must be 1 to {MAX_PAGE}.", field="limit", limit=MAX_PAGE)
        job = await self._jobs.get(caller, job_id)
        if job.kind != INGEST_LIST.name:
            raise InvalidQuery(f"Job {job.id} is no ingest of a list.", field="job_id")
        return await self._catalog.downloads_of_run(job.tenant, job.cursor, after, limit, failed=failed)

    def _check(self, content: bytes, caller: Caller) -> None:
        """Blocking: about 10 µs a line."""
        empty = True
        for line in listed(content, self._row_limits):
            empty = False
            if not isinstance(line, Listed) or line.scheme in _OPEN_SCHEMES:
                continue
            try:
                self._check_place(line.place, caller)
            except OmmaError as error:
                raise type(error)(f"Line {line.line}: {error.detail}", field="list", limit=error.limit) from None
        if empty:
            raise InvalidQuery("The list names no picture.", field="list")

    def _check_place(self, place: str, caller: Caller) -> None:
        if place.startswith(object_uri.SCHEME):
            try:
                bucket, key = object_uri.place_of(place)
            except InvalidQuery:  # `IMG#1.jpg`, which is to be quoted: nobody's object, of which its job tells
                return
            self._sources.checked(f"{object_uri.SCHEME}{bucket}/{key}", caller)
        else:
            caller.require(Role.ADMIN)
            self._sources.require_folders()
