"""The records of the log as Python values, and their bytes."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Final

import numpy as np

from omma.hits import Int32Boxes, Payload, StoredPayloads
from omma.identity import ImageId, Tenant, Version
from omma.judging.draft import Brought
from omma.quality import Quality
from omma.v1 import records_pb2, types_pb2
from omma.vectors import Float16, from_wire, to_wire

IMAGES_TOPIC = "omma.images"
DEAD_LETTERS_TOPIC = "omma.dead-letters"
INTERACTIONS_TOPIC = "omma.interactions"

_IMAGE_KEY_BYTES: Final = 8


def image_key(image_id: int) -> bytes:
    """The key of every record about a picture but letters: its id, 8 bytes big-endian."""
    return image_id.to_bytes(_IMAGE_KEY_BYTES, "big")


def letter_key(image_id: int, space: str) -> bytes:
    """The key of the letter of a picture's death in a space: its image_key, then the space.

    Compaction keeps the last one of a key: what died in two spaces has a letter of each.
    """
    return image_key(image_id) + space.encode()


def image_key_in(key: bytes) -> bytes:
    """The image_key that a key of any topic begins with."""
    return key[:_IMAGE_KEY_BYTES]


class EventKind(Enum):
    UPSERT = records_pb2.ImageEvent.KIND_UPSERT
    ATTRIBUTES = records_pb2.ImageEvent.KIND_ATTRIBUTES
    DELETE = records_pb2.ImageEvent.KIND_DELETE


@dataclass(frozen=True, slots=True)
class ImageEvent:
    """The row of this picture changed. The row is the truth; the event only points at it."""

    image_id: ImageId
    version: Version
    tenant: Tenant
    kind: EventKind
    request_id: str = ""

    def encode(self) -> bytes:
        return self.message().SerializeToString()

    def message(self) -> records_pb2.ImageEvent:
        return records_pb2.ImageEvent(
            image_id=self.image_id,
            version=self.version,
            tenant=self.tenant,
            kind=self.kind.value,
            request_id=self.request_id,
        )

    @classmethod
    def decode(cls, value: bytes) -> "ImageEvent":
        """Raises ValueError (or google.protobuf DecodeError) for bytes that are no event."""
        return cls.from_message(records_pb2.ImageEvent.FromString(value))

    @classmethod
    def from_message(cls, message: records_pb2.ImageEvent) -> "ImageEvent":
        return cls(
            ImageId(message.image_id),
            Version(message.version),
            Tenant(message.tenant),
            EventKind(message.kind),
            message.request_id,
        )


@dataclass(frozen=True, slots=True)
class VectorRecord:
    """Everything a shard holds of one picture at one version.

    vectors: float16[regions, dim], the whole picture first; boxes: int32[regions, 4]. A deleted one has neither.
    phash: None for none; 0 is a value. signature: one byte of version, then what that version says; empty for none.
    dead: of a deleted one: its bytes could not be read.
    """

    image_id: ImageId
    version: Version
    tenant: Tenant
    space: str
    vectors: Float16
    boxes: Int32Boxes
    phash: int | None = None
    payload: Payload = field(default_factory=Payload)
    deleted: bool = False
    signature: bytes = b""
    dead: bool = False

    def encode(self) -> bytes:
        return records_pb2.VectorRecord(
            image_id=self.image_id,
            version=self.version,
            tenant=self.tenant,
            deleted=self.deleted,
            space=self.space,
            vectors=None if self.deleted else to_wire(self.vectors),
            boxes=boxes_to_wire(self.boxes),
            phash=self.phash,
            payload=None if self.deleted else payload_to_wire(self.payload),
            signature=self.signature,
            dead=self.dead,
        ).SerializeToString()

    @classmethod
    def decode(cls, value: bytes, dim: int) -> "VectorRecord":
        """Raises InvalidQuery when the vectors do not have `dim`; DecodeError for bytes that are no record."""
        message = records_pb2.VectorRecord.FromString(value)
        vectors = np.empty((0, dim), np.float16)
        if not message.deleted:
            vectors = from_wire(message.vectors, dim).astype(np.float16, copy=False)
        return cls(
            image_id=ImageId(message.image_id),
            version=Version(message.version),
            tenant=Tenant(message.tenant),
            space=message.space,
            vectors=vectors,
            boxes=boxes_from_wire(message.boxes),
            phash=message.phash if message.HasField("phash") else None,
            payload=payload_from_wire(message.payload),
            deleted=message.deleted,
            signature=message.signature,
            dead=message.dead,
        )


class InteractionType(StrEnum):
    IMPRESSION = "impression"
    CLICK = "click"


@dataclass(frozen=True, slots=True)
class Answered:
    """What answered a search: index and space as it was stamped, the re-rank policy, the arm of a rollout, if any."""

    index: str = ""
    space: str = ""
    policy: str = ""
    rollout: str = ""
    arm: str = ""


@dataclass(frozen=True, slots=True)
class Interaction:
    """What one search showed, or one click.

    displayed: of an impression every hit of the answer in order, of a click one. rank: of the first of them, from 1,
    0 where there is none; of a click as the caller counts. query_image_id: 0 when the query was no stored picture.
    caller: of an impression in a rollout, who stays in the arm. brought: of an interleaved one, by which arm each of
    `displayed` came. traceparent: of the search, where traces are on; the catalog does not keep it. stage: of an
    impression in a rollout, its changed_at_ms as the gateway followed it; 0 where that was not said.
    """

    tenant: Tenant
    user_id: str
    query_image_id: int
    displayed: tuple[ImageId, ...]
    rank: int
    type: InteractionType
    ts_ms: int
    query_id: str = ""
    answered: Answered = Answered()
    caller: str = ""
    brought: tuple[Brought, ...] = ()
    traceparent: str = ""
    stage: int = 0


def deleted_record(
    image_id: ImageId, version: Version, tenant: Tenant, space: str, dim: int, *, dead: bool = False
) -> VectorRecord:
    """The record that deletes a picture from a space. dead: since its bytes could not be read."""
    return VectorRecord(
        image_id,
        version,
        tenant,
        space,
        vectors=np.empty((0, dim), np.float16),
        boxes=np.empty((0, 4), np.int32),
        deleted=True,
        dead=dead,
    )


def boxes_to_wire(boxes: Int32Boxes) -> list[types_pb2.Box]:
    return [types_pb2.Box(left=b[0], top=b[1], right=b[2], bottom=b[3]) for b in boxes.tolist()]


def boxes_from_wire(boxes: Iterable[types_pb2.Box]) -> Int32Boxes:
    flat = [(b.left, b.top, b.right, b.bottom) for b in boxes]
    return np.array(flat, np.int32).reshape(-1, 4)


def payload_to_wire(payload: Payload) -> types_pb2.Payload:
    return types_pb2.Payload(
        uri=payload.uri,
        source_url=payload.source_url,
        owner=payload.owner,
        tags=payload.tags,
        attributes_json=json.dumps(payload.attributes, separators=(",", ":")).encode() if payload.attributes else b"",
        created_at_ms=payload.created_at_ms,
        width=payload.width,
        height=payload.height,
        sha256=payload.sha256,
        key=payload.key,
        bytes=payload.bytes,
        mtime_ns=payload.mtime_ns,
        private=payload.private,
        quality=None if payload.quality is None else quality_to_wire(payload.quality),
    )


def encoded_payloads(payloads: Sequence[Payload]) -> Iterable[bytes]:
    """As they are stored; those that nobody has looked at are not looked at here either."""
    if isinstance(payloads, StoredPayloads):
        return payloads.stored
    return (payload_to_wire(one).SerializeToString() for one in payloads)


def stored_payloads(encoded: Sequence[bytes]) -> StoredPayloads:
    """Payloads as they are stored (omma.v1.Payload), each decoded when it is looked at. Raises DecodeError then."""
    return StoredPayloads(encoded, _decoded_payload)


def _decoded_payload(encoded: bytes) -> Payload:
    return payload_from_wire(types_pb2.Payload.FromString(encoded))


def payload_from_wire(message: types_pb2.Payload) -> Payload:
    return Payload(
        uri=message.uri,
        source_url=message.source_url,
        owner=message.owner,
        tags=tuple(message.tags),
        # Given bytes, json looks for their encoding first, which takes three times as long as reading them.
        attributes=json.loads(message.attributes_json.decode()) if message.attributes_json else {},
        created_at_ms=message.created_at_ms,
        width=message.width,
        height=message.height,
        sha256=message.sha256,
        key=message.key,
        bytes=message.bytes,
        mtime_ns=message.mtime_ns if message.HasField("mtime_ns") else None,
        private=message.private,
        quality=quality_from_wire(message.quality) if message.HasField("quality") else None,
    )


def quality_to_wire(quality: Quality) -> types_pb2.Quality:
    return types_pb2.Quality(sharpness=quality.sharpness, exposure=quality.exposure)


def quality_from_wire(message: types_pb2.Quality) -> Quality:
    return Quality(message.sharpness, message.exposure)


def encode_interaction(interaction: Interaction) -> bytes:
    """The record's value in `omma.interactions`."""
    answered = interaction.answered
    return records_pb2.Interaction(
        tenant=interaction.tenant,
        user_id=interaction.user_id,
        query_image_id=interaction.query_image_id,
        displayed_image_id=interaction.displayed[0] if interaction.displayed else 0,
        displayed_image_ids=interaction.displayed if interaction.type is InteractionType.IMPRESSION else (),
        rank=interaction.rank,
        type=_INTERACTION_TYPES[interaction.type],
        ts_ms=interaction.ts_ms,
        query_id=interaction.query_id,
        index=answered.index,
        space=answered.space,
        policy=answered.policy,
        rollout=answered.rollout,
        arm=answered.arm,
        caller=interaction.caller,
        brought=[_BROUGHT[one] for one in interaction.brought],
        traceparent=interaction.traceparent,
        stage=interaction.stage,
    ).SerializeToString()


def decode_interaction(value: bytes) -> Interaction:
    """Raises ValueError (or google.protobuf DecodeError) for bytes that are no interaction."""
    message = records_pb2.Interaction.FromString(value)
    if message.type not in _INTERACTION_TYPE_OF:
        raise ValueError(f"{message.type} is no type of interaction")
    return Interaction(
        Tenant(message.tenant),
        message.user_id,
        message.query_image_id,
        tuple(map(ImageId, message.displayed_image_ids)) or _first_of(message.displayed_image_id),
        message.rank,
        _INTERACTION_TYPE_OF[message.type],
        message.ts_ms,
        message.query_id,
        Answered(message.index, message.space, message.policy, message.rollout, message.arm),
        message.caller,
        tuple(_BROUGHT_BY.get(one, Brought.BOTH) for one in message.brought),
        message.traceparent,
        message.stage,
    )


def _first_of(image_id: int) -> tuple[ImageId, ...]:
    """What a record without a list shows: a click's one, or one that an older gateway showed; nothing of an id 0."""
    return (ImageId(image_id),) if image_id else ()


_BROUGHT: Final = {
    Brought.CONTROL: records_pb2.Interaction.BROUGHT_CONTROL,
    Brought.CANDIDATE: records_pb2.Interaction.BROUGHT_CANDIDATE,
    Brought.BOTH: records_pb2.Interaction.BROUGHT_BOTH,
}
_BROUGHT_BY: Final[dict[int, Brought]] = {number: one for one, number in _BROUGHT.items()}
"""For what a newer gateway says nobody is credited: BOTH."""
_INTERACTION_TYPES: Final = {
    InteractionType.IMPRESSION: records_pb2.Interaction.TYPE_IMPRESSION,
    InteractionType.CLICK: records_pb2.Interaction.TYPE_CLICK,
}
_INTERACTION_TYPE_OF: Final = {number: type for type, number in _INTERACTION_TYPES.items()}
