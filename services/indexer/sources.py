"""Where vectors come from: given, lately computed, the shard, another picture of the same bytes, or the embedder."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from omma.blobs.interface import Blobs, thumbnail_key
from omma.blobs.originals import Originals
from omma.buckets import shard_of
from omma.catalog.interface import Catalog
from omma.catalog.picture import Picture, PictureState
from omma.copies import readable
from omma.errors import Absent, Bug, OmmaError, Overloaded, causes, may_pass
from omma.hits import Int32Boxes
from omma.identity import ImageId, Sha256, Tenant
from omma.images import PictureLimits
from omma.os_errors import file_error
from omma.quality import Quality
from omma.rpc.deadline import Deadline
from omma.space import Space
from omma.unneeded import let_go_of_unneeded
from omma.vectors import Float16
from services.egs.client import EmbeddedItem, Embedder, ImageItem, Urgency
from services.indexer.regions import FRACTIONS, Regions, vectors_a_picture
from services.indexer.settings import IndexerSettings
from services.nn_shard.client import FetchedPicture

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a space knows of some bytes. vectors: float16[regions, dim]; boxes: int32[regions, 4]; phash: or None."""

    vectors: Float16
    boxes: Int32Boxes
    phash: int | None
    width: int
    height: int
    signature: bytes = b""
    quality: Quality | None = None


@dataclass(frozen=True, slots=True)
class Dead:
    """The picture's own fault: it goes to the dead letters. reading: of its original, not of what it shows."""

    error: OmmaError
    reading: bool = False


@dataclass(frozen=True, slots=True)
class Later:
    """Not its own fault: another try may go better. reading: its original could not be had, and another one may."""

    error: OmmaError
    reading: bool = False


Outcome = Seen | Dead | Later


class StoredVectors(Protocol):
    """What a shard holds, whichever replica answers."""

    async def fetch(self, tenant: Tenant | None, ids: Sequence[ImageId], deadline: Deadline) -> list[FetchedPicture]:
        """As ShardClient.fetch."""


class VectorSources:
    """Finds the vectors of rows, and embeds the same bytes only once in a space.

    shards: in order; empty: nothing can be fetched. Raises WrongState as vectors_a_picture.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        blobs: Blobs,
        originals: Originals,
        embedder: Embedder,
        shards: Sequence[StoredVectors],
        settings: IndexerSettings,
        limits: PictureLimits,
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._originals = originals
        self._embedder = embedder
        self._shards = shards
        self._settings = settings
        self._limits = limits
        self._recent: OrderedDict[Sha256, Seen] = OrderedDict()
        self._under_way: dict[Sha256, asyncio.Future[Outcome]] = {}
        self._chunks = asyncio.Semaphore(settings.chunks_in_flight)
        self._regions = FRACTIONS[settings.regions]
        self._windows = settings.regions is Regions.WINDOWS
        self._vectors = vectors_a_picture(settings.regions, embedder)
        self._chunk_pictures = max(1, settings.chunk_pictures // len(self._regions))

    @property
    def space(self) -> Space:
        return self._embedder.space

    async def known(self, rows: Sequence[Picture], unchanged_bytes: Collection[ImageId]) -> dict[Sha256, Seen]:
        """What there is of the bytes of these rows already; nothing is embedded.

        unchanged_bytes: rows whose own shard should have their vectors. Raises the catalog's errors.
        """
        found = await self._given(rows)
        found |= {row.sha256: self._recent[row.sha256] for row in rows if row.sha256 in self._recent}
        own = {row.id: row.sha256 for row in rows if row.id in unchanged_bytes and row.sha256 not in found}
        found |= await self._fetch(own)
        missing = {row.sha256 for row in rows} - found.keys() - self._under_way.keys()
        if missing:
            elsewhere = await self._catalog.embedded_with(self._embedder.space.id, missing)
            found |= await self._fetch({image_id: sha256 for sha256, image_id in elsewhere.items()})
        given = {row.sha256 for row in rows if row.space}
        return {sha256: seen for sha256, seen in found.items() if len(seen.vectors) >= self._vectors or sha256 in given}

    async def embed(self, rows: Sequence[Picture]) -> dict[Sha256, Outcome]:
        """An outcome for the bytes of each row, embedded once however many rows have them. Raises as `known`."""
        wanted = {row.sha256: row for row in rows}
        # Looked at again: another batch may have begun or ended the same bytes.
        outcomes: dict[Sha256, Outcome] = {sha256: self._recent[sha256] for sha256 in wanted if sha256 in self._recent}
        waiting = {sha256: self._under_way[sha256] for sha256 in wanted if sha256 in self._under_way}
        mine = [row for sha256, row in wanted.items() if sha256 not in waiting and sha256 not in outcomes]
        loop = asyncio.get_running_loop()
        futures: dict[Sha256, asyncio.Future[Outcome]] = {row.sha256: loop.create_future() for row in mine}
        self._under_way |= futures
        try:
            async with asyncio.TaskGroup() as tasks:
                for chunk in self._chunked(mine):
                    tasks.create_task(self._embed_chunk(chunk, futures))
        except* OmmaError as group:
            raise group.exceptions[0] from None
        finally:
            for sha256, future in futures.items():
                future.cancel()  # no effect on one that has its outcome
                del self._under_way[sha256]
        outcomes |= {sha256: future.result() for sha256, future in futures.items()}
        for sha256, future in waiting.items():
            outcomes[sha256] = await _of_another(future)
        return outcomes

    async def _given(self, rows: Sequence[Picture]) -> dict[Sha256, Seen]:
        """Vectors that callers computed; they say nothing of a picture."""
        wanted = {row.id: row.sha256 for row in rows if row.space}
        if not wanted:
            return {}
        given = await self._catalog.given_vectors(wanted.keys())
        return {
            wanted[image_id]: Seen(
                np.frombuffer(one.content, "<f2").astype(np.float16, copy=False)[np.newaxis],
                np.zeros((1, 4), np.int32),
                None,
                0,
                0,
            )
            for image_id, one in given.items()
        }

    async def _fetch(self, wanted: dict[ImageId, Sha256]) -> dict[Sha256, Seen]:
        """Vectors that the shards hold for these bytes; a shard that cannot answer holds none."""
        if not wanted or not self._shards:
            return {}
        by_shard: dict[int, list[ImageId]] = {}
        for image_id in wanted:
            shard = shard_of(image_id, len(self._shards), self._embedder.space.buckets)
            by_shard.setdefault(shard, []).append(image_id)
        deadline = Deadline.after(self._settings.fetch_timeout_seconds)
        calls = [self._shards[shard].fetch(None, ids, deadline) for shard, ids in by_shard.items()]
        found: dict[Sha256, Seen] = {}
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(answer, BaseException):
                if not isinstance(answer, OmmaError):
                    raise answer
                continue
            # The shard may lag behind a change of bytes: only vectors of the very bytes count.
            found |= {Sha256(p.payload.sha256): _seen(p) for p in answer if p.payload.sha256 == wanted[p.image_id]}
        return found

    def _chunked(self, rows: Sequence[Picture]) -> Iterator[list[Picture]]:
        chunk: list[Picture] = []
        size = 0
        for row in rows:
            if chunk and (len(chunk) == self._chunk_pictures or size + row.bytes > self._settings.chunk_bytes):
                yield chunk
                chunk, size = [], 0
            chunk.append(row)
            size += row.bytes
        if chunk:
            yield chunk

    async def _embed_chunk(self, rows: Sequence[Picture], futures: dict[Sha256, asyncio.Future[Outcome]]) -> None:
        async with self._chunks:
            contents = await asyncio.gather(*[self._read(row) for row in rows])
            read = [(row, c) for row, c in zip(rows, contents, strict=True) if isinstance(c, bytes)]
            for row, content in zip(rows, contents, strict=True):
                if not isinstance(content, bytes):
                    futures[row.sha256].set_result(content)
            answers = await self._answers(read)
        items = [(row, item) for (row, _), item in zip(read, answers, strict=True)]
        outcomes: list[Outcome] = await asyncio.gather(*[self._kept(row, item) for row, item in items])
        put = {row.sha256 for row, item in items if isinstance(item, EmbeddedItem) and item.thumbnail}
        try:
            lost = await let_go_of_unneeded(self._catalog, put)
        except OmmaError as error:
            # Put again by another try, and asked again after that: nothing of these is remembered.
            outcomes = [Later(error) if isinstance(outcome, Seen) else outcome for outcome in outcomes]
            lost = set()
        for (row, _), outcome in zip(read, outcomes, strict=True):
            if isinstance(outcome, Seen) and row.sha256 not in lost:
                self._remember(row.sha256, outcome)
            futures[row.sha256].set_result(outcome)

    async def _answers(self, read: Sequence[tuple[Picture, bytes]]) -> list[EmbeddedItem | Dead | Later]:
        if not read:
            return []
        deadline = Deadline.after(self._settings.embed_timeout_seconds)
        try:
            asked = [self._asked(row, content) for row, content in read]
            items = await self._embedder.embed(asked, deadline)
        except OmmaError as error:
            return [Later(error)] * len(read)
        return [item if isinstance(item, EmbeddedItem) else _whose_fault(item) for item in items]

    def _asked(self, row: Picture, content: bytes) -> ImageItem:
        # The whole alone is asked for without a box: so an embedder has nothing to clip.
        regions = self._regions if len(self._regions) > 1 else ()
        # Of a candidate: 0.9 ms of decoding in place of 6.1, and no blob that is there.
        new = not _looked_at(row)
        return ImageItem(
            content,
            fractions=regions,
            windows=self._windows,
            thumbnail=new,
            signature=new,
            urgency=Urgency.INGEST,
        )

    async def _read(self, row: Picture) -> bytes | Dead | Later:
        if row.space:
            return Dead(Absent("The vector that it was given is not there any more.", field="id"), reading=True)
        try:
            return await self._originals.read(row.uri, row.sha256, self._limits.max_bytes)
        except Absent as error:
            # Its vectors are in the space and no shard gives them now: that its original is away buries nothing.
            kept = await self._catalog.embedded_with(self._embedder.space.id, [row.sha256])
            return Later(error, reading=True) if kept else Dead(error, reading=True)
        except OmmaError as error:
            return _whose_fault(error, reading=True)
        except OSError as error:
            return Later(file_error(error, row.uri), reading=True)
        except Exception as error:  # noqa: BLE001  what a storage says that nobody foresaw, as of an archived object
            logger.error("an original cannot be read", extra={"image_id": row.id, "reason": causes(error)})
            return Later(Bug(f"It cannot be read: {type(error).__name__}."), reading=True)

    async def _kept(self, row: Picture, item: EmbeddedItem | Dead | Later) -> Outcome:
        """With its thumbnail durable."""
        if not isinstance(item, EmbeddedItem):
            return item
        try:
            if item.thumbnail:
                await self._blobs.put(thumbnail_key(row.sha256), item.thumbnail, content_type="image/webp")
        except OmmaError as error:
            return Later(error)
        return Seen(
            item.vectors.astype(np.float16),
            item.boxes,
            row.phash if _looked_at(row) else item.phash,  # of one way of decoding, in every space
            item.width,
            item.height,
            item.signature or row.signature,
            item.quality or row.quality,
        )

    def _remember(self, sha256: Sha256, seen: Seen) -> None:
        self._recent[sha256] = seen
        if len(self._recent) > self._settings.recent_pictures:
            self._recent.popitem(last=False)


def _looked_at(row: Picture) -> bool:
    """Whether another space has told all of these bytes that no model is needed for, and their thumbnail is there."""
    return row.state is PictureState.INDEXED and readable(row.signature) and row.quality is not None


def _seen(picture: FetchedPicture) -> Seen:
    payload = picture.payload
    size = payload.width, payload.height
    return Seen(picture.vectors, picture.boxes, picture.phash, *size, picture.signature, payload.quality)


def _whose_fault(error: Exception, *, reading: bool = False) -> Dead | Later:
    """What may go better another time is nobody's death; what nobody foresaw is: it would be tried for ever."""
    if isinstance(error, OmmaError):
        return Later(error, reading) if may_pass(error) else Dead(error, reading)
    logger.error("a picture met a bug", exc_info=error)
    return Dead(Bug(f"It could not be read: {type(error).__name__}."), reading)


async def _of_another(future: asyncio.Future[Outcome]) -> Outcome:
    """What another batch found; its failure is this batch's reason to try again."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if future.cancelled():
            return Later(Overloaded("Another batch with the same bytes failed."))
        raise
