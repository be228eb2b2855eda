"""Ingest of a bucket that is there already: listed in pages, its objects referenced, below live traffic."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from omma.blobs.object_uri import bucket_place, object_uri
from omma.blobs.objects import ListedObject, Objects
from omma.catalog.inbox_object import KnownObject
from omma.catalog.interface import Catalog
from omma.catalog.picture import Change
from omma.description import Description
from omma.errors import Overloaded, WrongState
from omma.identity import Tenant
from omma.images import PICTURE_SUFFIXES
from omma.persistence import Pauses
from omma.room import NO_ROOM
from services.worker.ingest.follower import ObjectFollower, oddity, stamp_of
from services.worker.ingest.names import kind_of, nobodys_folder, suffix_of
from services.worker.ingest.pace import Pace
from services.worker.ingest.told import Told
from services.worker.jobs.progress import Progress

_PAGE_OBJECTS: Final = 1_000
_BATCH_OBJECTS: Final = 64
_LOOK_SECONDS: Final = 0.1
_REFUSED_SECONDS: Final = 3_600.0
"""Of nothing but 429 or SlowDown."""
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 60.0

T = TypeVar("T")


class BucketIngest:
    """Brings the catalog up to a bucket. Goes on after any cursor that it has shown; every step may be repeated.

    An object that the catalog has with this size and ETag is passed over unread. What vanished stays, as its deletes
    come by event: listing again does not look for it.
    """

    def __init__(
        self,
        catalog: Catalog,
        follower: ObjectFollower,
        objects: Objects,
        *,
        backlog: Callable[[], Awaitable[int]],
        indexed: Callable[[], Awaitable[None]],
        max_backlog: int,
        per_second: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """backlog: events that wait to be embedded. While they are more than max_backlog nothing is added to them: an
        upload waits behind so many at most. indexed: returns when every event so far is handled. per_second: objects
        read, at most.
        """
        self._catalog = catalog
        self._follower = follower
        self._objects = objects
        self._backlog = backlog
        self._indexed = indexed
        self._max_backlog = max_backlog
        self._per_second = per_second
        self._now = now
        self._sleep = sleep

    async def run(
        self,
        source: str,
        tenant: Tenant,
        progress: Progress,
        said: Description | None = None,
        *,
        revive: bool = False,
    ) -> Mapping[str, Any]:
        """source: `s3://bucket/prefix`. progress: updated as it goes, from its cursor on. said: owner and private of
        all that is new or changed.

        revive: also what a caller deleted comes back. Returns what it tells, when every change is searchable or a dead
        letter. Raises InvalidQuery, Absent (no such bucket), WrongState where the bucket asks for less for an hour.
        """
        bucket, prefix = bucket_place(source)
        run = _Run(bucket, tenant, Pace(self._per_second), progress, Told(progress.counts), said, revive)
        while True:
            listed = partial(self._objects.page, bucket, prefix, progress.cursor, _PAGE_OBJECTS)
            page = await self._given(bucket, listed)
            known = await self._catalog.known_objects(tenant, bucket, [one.key for one in page.objects])
            for start in range(0, len(page.objects), _BATCH_OBJECTS):
                batch = page.objects[start : start + _BATCH_OBJECTS]
                await self._take(run, batch, known)
                progress.cursor = batch[-1].key
            if not page.more:
                break
        await self._indexed()
        progress.counts["pictures"] = progress.counts["looked_at"]
        await run.told.look_for_dead(self._catalog, tenant, object_uri(bucket, prefix))
        return run.told.result()

    async def _take(self, run: "_Run", batch: Sequence[ListedObject], known: Mapping[str, KnownObject]) -> None:
        pictures = [one for one in batch if run.takes(one)]
        news = {
            one.key: known[one.key].sequencer if one.key in known else ""
            for one in pictures
            if not _is_known(one, known.get(one.key))
        }
        if news:
            while await self._backlog() > self._max_backlog:  # noqa: ASYNC110  the indexer may be elsewhere
                await asyncio.sleep(_LOOK_SECONDS)
            await run.pace.spend(len(news))
        followed = partial(self._follower.follow, run.tenant, run.bucket, news, run.said, revive=run.revive)
        changes = await self._given(run.bucket, followed)
        created = sum(change.change is Change.CREATED for change in changes)
        changed = sum(change.change is Change.CHANGED for change in changes)
        refused = sum(change.change is Change.OVER_QUOTA for change in changes)
        for _ in range(refused):
            run.told.tell("unreadable", object_uri(run.bucket, batch[0].key), f"it, or one after it: {NO_ROOM}")
        counts = run.progress.counts
        counts["looked_at"] += len(pictures)
        counts["created"] += created
        counts["changed"] += changed
        counts["unchanged"] += len(pictures) - created - changed - refused

    async def _given(self, bucket: str, ask: Callable[[], Awaitable[T]]) -> T:
        """What is asked for, once the bucket gives it. One that only ever asks for less is not waited for for good, as
        one that is away is.
        """
        pauses, began = Pauses(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS), self._now()
        while True:
            try:
                return await ask()
            except Overloaded as error:
                if self._now() - began >= _REFUSED_SECONDS:
                    raise WrongState(
                        f"s3://{bucket} has asked for less for {_REFUSED_SECONDS / 60:.0f} minutes and given nothing; "
                        "ingest it again later, it goes on where it was.",
                        field="source",
                    ) from error
            await self._sleep(pauses.next_seconds())


@dataclass(frozen=True, slots=True)
class _Run:
    bucket: str
    tenant: Tenant
    pace: Pace
    progress: Progress
    told: Told
    said: Description | None
    revive: bool

    def takes(self, one: ListedObject) -> bool:
        """By its name, as of a file; one without a suffix may be anything. What is not taken is told."""
        *folders, name = one.key.split("/")
        suffix = suffix_of(name)
        if (folder := nobodys_folder(folders)) is not None:
            self.told.skip(f"folder {folder}")
        elif not name:
            self.told.skip("folder")
        elif suffix and suffix not in PICTURE_SUFFIXES:
            self.told.skip(kind_of(name))
        elif reason := oddity(self.bucket, one.key):
            self.told.tell("unreadable", f"s3://{self.bucket}/ {one.key[:200]!a}", reason)
        else:
            return True
        return False


def _is_known(one: ListedObject, known: KnownObject | None) -> bool:
    return known is not None and not known.dead and (known.bytes, known.mtime_ns) == (one.bytes, stamp_of(one.etag))
