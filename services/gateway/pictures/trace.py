"""Where one picture is: row, blobs, events, vector records, and what every replica of its shard holds."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final

from google.protobuf.message import DecodeError

from omma.blobs.interface import original_key, thumbnail_key
from omma.blobs.originals import uri_of
from omma.buckets import bucket_of, buckets_of_shard, shard_of
from omma.catalog.picture import Picture, PictureState
from omma.dead_letters import DeadLetters
from omma.errors import Absent, Corrupt, OmmaError
from omma.identity import MAX_IMAGE_ID, ImageId, Tenant
from omma.log.interface import LogRecord, TopicPartition
from omma.records import IMAGES_TOPIC, ImageEvent, image_key
from omma.rpc.deadline import Deadline
from omma.storage import Storage
from omma.together import together
from omma.v1 import records_pb2
from services.gateway.pictures.search_log import Found, search_log
from services.nn_shard.client import ShardClient
from services.topology.indexes import ServedIndex, ServedIndexes

_CALL_SECONDS: Final = 5.0
_LOG_SECONDS: Final = 10.0
"""For reading each of the two partitions that may have the picture."""


class Tracer:
    """Reads only. Belongs to one event loop."""

    def __init__(
        self,
        storage: Storage,
        dead_letters: DeadLetters,
        indexes: ServedIndexes,
        *,
        max_picture_bytes: int,
    ) -> None:
        self._catalog = storage.catalog
        self._blobs = storage.blobs
        self._originals = storage.originals
        self._log = storage.log
        self._dead_letters = dead_letters
        self._indexes = indexes
        self._max_picture_bytes = max_picture_bytes

    async def trace(self, tenant: Tenant, place: str) -> list[dict[str, Any]]:
        """place: an id, or the key or uri that pictures of this tenant have. One document a picture, as JSON has it.

        An id without a row is looked for all the same. Raises Absent when nothing of it is anywhere.
        """
        image_id = int(place) if place.isascii() and place.isdigit() and len(place) < 20 else 0
        rows = await self._rows(tenant, place, image_id)
        if not rows and 0 < image_id <= MAX_IMAGE_ID:
            return [await self._without_row(tenant, ImageId(image_id))]
        if not rows:
            raise Absent(f"No row has the id, key or uri {place[:200]!r}.", field="place")
        return [await self._one(tenant, row.id, row) for row in rows]

    async def _rows(self, tenant: Tenant, place: str, image_id: int) -> list[Picture]:
        """A number may be an id and another picture's key: both are meant."""
        found = {row.id: row for row in await self._catalog.find_pictures(tenant, place)}
        if 0 < image_id <= MAX_IMAGE_ID:
            by_id = await self._catalog.pictures([ImageId(image_id)])
            found |= {row.id: row for row in by_id.values() if row.tenant == tenant}
        return [found[id] for id in sorted(found)]

    async def _without_row(self, tenant: Tenant, image_id: ImageId) -> dict[str, Any]:
        if await self._catalog.pictures([image_id]):
            raise Absent(f"There is no picture {image_id}.", field="place")  # another tenant's
        document = await self._one(tenant, image_id, None)
        records = [*document["events"]["records"], *document["vectors"]["records"]]
        said = [record for record in records if "unreadable" not in record]
        if any(record["tenant"] != tenant for record in said) or not (said or _held(document)):
            raise Absent(f"There is no picture {image_id}.", field="place")
        return document

    async def _one(self, tenant: Tenant, image_id: ImageId, row: Picture | None) -> dict[str, Any]:
        served = self._indexes.live()
        parts: list[Awaitable[Any]] = [
            self._events(image_id),
            self._vectors(served, image_id),
            _replicas(served, tenant, image_id),
        ]
        events, vectors, replicas = await together(parts)
        return {
            "image_id": image_id,
            "bucket": bucket_of(image_id, served.space.buckets),
            "shard": shard_of(image_id, served.index.shards, served.space.buckets),
            "row": row and await self._row(row),
            "blobs": row and await self._blobs_of(row),
            "events": events,
            "vectors": vectors,
            "replicas": replicas,
            "dead_letter": row and await self._dead_letter(row),
        }

    async def _row(self, row: Picture) -> dict[str, Any]:
        sent = (await self._catalog.sent_versions([row.id])).get(row.id, 0)
        shown = ("tenant", "key", "version", "state", "uri", "sha256", "bytes", "reason", "created_at_ms")
        return {**{name: getattr(row, name) for name in shown}, "sent_version": sent}

    async def _blobs_of(self, row: Picture) -> dict[str, Any]:
        original: dict[str, Any] = {"place": original_key(row.sha256) if row.uri == uri_of(row.sha256) else row.uri}
        try:
            content = await self._originals.read(row.uri, row.sha256, self._max_picture_bytes)
            original |= {"present": True, "bytes": len(content), "sha256_right": True}
        except Absent:
            original |= {"present": False}
        except Corrupt:
            original |= {"present": True, "sha256_right": False}
        except OmmaError as error:
            original |= {"error": error.detail}
        key = thumbnail_key(row.sha256)
        size = await self._blobs.size(key)
        return {"original": original, "thumbnail": {"place": key, "present": size is not None, "bytes": size}}

    async def _events(self, image_id: ImageId) -> dict[str, Any]:
        partitions = {spec.name: spec.partitions for spec in await self._log.topics()}.get(IMAGES_TOPIC, 0)
        if not partitions:
            return _found(Found(IMAGES_TOPIC, 0, (), 0, 0), _event)
        at = TopicPartition(IMAGES_TOPIC, bucket_of(image_id, partitions))
        return _found(await search_log(self._log, at, image_key(image_id), _LOG_SECONDS), _event)

    async def _vectors(self, served: ServedIndex, image_id: ImageId) -> dict[str, Any]:
        at = TopicPartition(served.space.vectors_topic, bucket_of(image_id, served.space.buckets))
        return _found(await search_log(self._log, at, image_key(image_id), _LOG_SECONDS), _vector)

    async def _dead_letter(self, row: Picture) -> dict[str, Any] | None:
        if row.state is not PictureState.DEAD:
            return None
        try:
            return asdict(await self._dead_letters.show(row.tenant, row.id))
        except Absent:  # no letter in the log any more; the row has the reason
            return None


def _found(found: Found, document: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    return {
        "topic": found.topic,
        "partition": found.partition,
        "records": [_record(record, document) for record in found.records],
        "read_to": found.read_to,
        "end": found.end,
        "cut": found.cut,
    }


def _record(record: LogRecord, document: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    try:
        said = document(record.value or b"")
    except (DecodeError, ValueError):
        said = {"unreadable": True}
    return {"offset": record.offset, "timestamp_ms": record.timestamp_ms, **said}


def _event(value: bytes) -> dict[str, Any]:
    event = ImageEvent.decode(value)
    return {"version": event.version, "kind": event.kind.name.lower(), "tenant": event.tenant}


def _vector(value: bytes) -> dict[str, Any]:
    message = records_pb2.VectorRecord.FromString(value)
    return {"version": message.version, "deleted": message.deleted, "tenant": message.tenant}


async def _replicas(served: ServedIndex, tenant: Tenant, image_id: ImageId) -> list[dict[str, Any]]:
    shard = shard_of(image_id, served.index.shards, served.space.buckets)
    bucket = bucket_of(image_id, served.space.buckets)
    place = buckets_of_shard(shard, served.index.shards, served.space.buckets).index(bucket)
    asked = [_replica(client, tenant, image_id, place) for client in served.shards[shard]]
    answers = await together(asked)
    return [{"shard": shard, "replica": number, **said} for number, said in enumerate(answers)]


async def _replica(client: ShardClient, tenant: Tenant, image_id: ImageId, place: int) -> dict[str, Any]:
    """place: of the bucket among those that the shard owns."""
    deadline = Deadline.after(_CALL_SECONDS)
    try:
        stats = await client.stats(deadline)
        fetched = await client.fetch(tenant, [image_id], deadline)
    except OmmaError as error:
        return {"error": error.detail}
    said: dict[str, Any] = {"next_offset": stats.next_offsets[place], "stale": stats.stale, "holds": bool(fetched)}
    for picture in fetched:
        said |= {"version": picture.version, "segment": picture.segment or "head"}
    return said


def _held(document: dict[str, Any]) -> bool:
    return any(replica.get("holds") for replica in document["replicas"])
