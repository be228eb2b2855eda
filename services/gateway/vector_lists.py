"""Vectors as callers bring them: looked through, kept, and handed to a job; and the spaces that have no model."""

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from omma.blobs.interface import Blobs
from omma.catalog.interface import Catalog
from omma.catalog.job import Job
from omma.catalog.rows import taken_words
from omma.description import RowLimits
from omma.errors import Absent, InvalidQuery, WrongState
from omma.index import DEFAULT_FACTORY, Index, IndexId, IndexState
from omma.job_kinds import INGEST_VECTORS, VectorsParameters
from omma.picture_list import list_key
from omma.space import LEAST_DIM, MOST_DIM, Space, SpaceId
from omma.vector_list import VectorList, checked_list, vectors_of_json
from omma.vectors import Float32
from services.gateway.callers.auth import Caller
from services.gateway.callers.changes import concerns
from services.gateway.jobs import Jobs
from services.gateway.rollouts.rollouts import Candidates

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


class OwnSpaces:
    """Spaces without a model: callers bring the vectors."""

    def __init__(self, catalog: Catalog, candidates: Candidates) -> None:
        self._catalog = catalog
        self._candidates = candidates

    async def create(self, name: str, dim: int) -> tuple[Space, Index]:
        """The space and its index, which are made when they are not there. The index is a standby: asked by whoever
        names it or its space.

        Raises InvalidQuery, fields `name` and `dim`; WrongSpace when another space has the name; Absent, WrongState
        where its shards have no place, or the place is that of an index of it that is retired, or of another space.
        What is refused changes nothing.
        """
        if not _NAME.fullmatch(name):
            raise InvalidQuery(
                "name has small letters, digits, dots, dashes and underscores, 100 at most.", field="name", limit=100
            )
        if not LEAST_DIM <= dim <= MOST_DIM:
            raise InvalidQuery(f"dim must be {LEAST_DIM} to {MOST_DIM}.", field="dim", limit=MOST_DIM)
        concerns("space", name)
        signature = hashlib.sha256(f"given\0{name}\0{dim}".encode()).hexdigest()
        space = Space(SpaceId(name), "", signature, dim)
        known = {one.id: one for one in await self._catalog.indexes()}
        answering = next(
            (one for one in known.values() if one.space == name and one.state is not IndexState.RETIRED), None
        )
        if answering is not None:
            await self._catalog.register_space(space)
            return space, answering
        place = await self._candidates.place_space(space)
        index = Index(
            IndexId(place.index), space.id, place.factory or DEFAULT_FACTORY, place.shards, IndexState.STANDBY
        )
        if taken := known.get(index.id):
            raise WrongState(
                f"Index {taken.id} of space {taken.space!r} is {taken.state}, and no other may have its name: choose "
                "another name for the space, or give its shards an entry with another index.",
                field="name",
            )
        await self._catalog.register_space(space, index)
        return space, index

    async def fed(self, name: str) -> Space:
        """The space of this name that an index answers from. Raises InvalidQuery for no name, Absent."""
        if not name:
            raise InvalidQuery("Say which space the vectors are of.", field="space")
        fed = {one.space for one in await self._catalog.indexes() if one.state is not IndexState.RETIRED}
        known = {one.id: one for one in await self._catalog.spaces() if one.id in fed}
        if name not in known:
            there_are = ", ".join(sorted(known)) or "none"
            raise Absent(
                f"There is no space {name[:80]!r}; there are: {there_are}. POST /spaces makes one.", field="space"
            )
        return known[SpaceId(name)]


class VectorLists:
    """A list is taken in as a whole or not at all."""

    def __init__(self, spaces: OwnSpaces, jobs: Jobs, catalog: Catalog, blobs: Blobs, row_limits: RowLimits) -> None:
        self._spaces = spaces
        self._jobs = jobs
        self._catalog = catalog
        self._blobs = blobs
        self._row_limits = row_limits

    async def ingest_rows(
        self, caller: Caller, space: str, rows: Sequence[Mapping[str, Any]], *, revive_deleted: bool
    ) -> Job:
        """rows: each with its vector. As `ingest`."""
        found = await self._spaces.fed(space)
        vectors = await asyncio.to_thread(vectors_of_json, rows, found)
        return await self._ingest(caller, found, vectors, rows, revive_deleted)

    async def ingest(
        self,
        caller: Caller,
        space: str,
        vectors: Float32,
        said: Sequence[Mapping[str, Any]],
        *,
        revive_deleted: bool,
    ) -> Job:
        """The unfinished job of this list, or a new one. said: of each vector, in order, as omma.vector_list has it.

        Raises InvalidQuery and WrongSpace, which name the first row that is wrong; Absent, field `space`;
        QuotaExceeded, WrongState, Overloaded, StorageFull.
        """
        return await self._ingest(caller, await self._spaces.fed(space), vectors, said, revive_deleted)

    async def _ingest(
        self, caller: Caller, space: Space, vectors: Float32, said: Sequence[Mapping[str, Any]], revive_deleted: bool
    ) -> Job:
        given = await asyncio.to_thread(checked_list, vectors, said, space, self._row_limits)
        await self._require_room(caller, space, given)
        content = await asyncio.to_thread(given.encode)
        sha256 = hashlib.sha256(f"{space.id}\0".encode() + content).hexdigest()
        await self._blobs.put(list_key(caller.tenant, sha256), content)
        parameters = VectorsParameters(space=space.id, revive_deleted=revive_deleted)
        return await self._jobs.start(caller.tenant, INGEST_VECTORS, sha256, parameters)

    async def _require_room(self, caller: Caller, space: Space, given: VectorList) -> None:
        """Every id is new, or of a vector of this space, and the tenant may keep what is new."""
        keys = [row.description.external_id for row in given.rows]
        known = await self._catalog.live_keys(caller.tenant, keys)
        for number, key in enumerate(keys, 1):
            if known.get(key, space.id) != space.id:
                raise InvalidQuery(f"Row {number}: {taken_words(key, known[key])}", field="id")
        new = len(keys) - len(known)
        quota = await self._catalog.quota(caller.tenant) if new else None
        if quota is not None and not quota.room().takes(new, new * given.vectors[0].nbytes):
            raise quota.room().refusal(new)
