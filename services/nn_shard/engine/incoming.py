"""Records on their way in: each is checked and taken apart, and of each picture only the newest counts."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from omma.errors import InvalidQuery
from omma.records import VectorRecord, boxes_to_wire, payload_to_wire
from omma.space import SpaceId, require_same_space
from omma.v1 import records_pb2, types_pb2
from omma.vectors import from_wire
from services.nn_shard.engine.columns import picture_keys, terms_of

MAX_REGIONS: Final = 256
"""Of one picture; EGS makes at most 65. A search among regions asks for k times the most that a picture has."""
MAX_SIGNATURE_BYTES: Final = 1_024
_MAX_TENANT_CHARACTERS: Final = 1_024
_NOT_UNIT: Final = 1e-2
"""How far from 1 a squared length may be: float16 vectors are off by 1e-3."""
_NO_PAYLOAD: Final = types_pb2.Payload()


@dataclass(slots=True)  # frozen, each would cost 1 us more
class Incoming:
    """A record as the head takes it in; nothing can be wrong with it any more.

    vectors: regions x dim little-endian float16. keys, terms: what filters compare (see columns). payload: as stored.
    """

    image_id: int
    version: int
    deleted: bool
    tenant: str
    regions: int
    vectors: bytes
    boxes: list[tuple[int, int, int, int]]
    phash: int | None
    keys: tuple[int, int, int]
    terms: list[tuple[int, int, float]]
    payload: types_pb2.Payload
    signature: bytes = b""


def incoming(message: records_pb2.VectorRecord, space: SpaceId, dim: int) -> Incoming:
    """Raises WrongSpace for another space; InvalidQuery, naming the field, for what no engine can hold.

    The vectors' lengths are not looked at: see not_unit, which takes many at once. Made from the message as it is:
    with a VectorRecord between, a replay took 11 us a record more.
    """
    if message.space != space:
        require_same_space(space, SpaceId(message.space))
    image_id, version, tenant = message.image_id, message.version, message.tenant
    if image_id < 0 or version < 0:
        raise InvalidQuery("Ids and versions are not negative.", field="id")
    if len(tenant) > _MAX_TENANT_CHARACTERS:
        raise InvalidQuery("The tenant's name is too long.", field="tenant", limit=_MAX_TENANT_CHARACTERS)
    if message.deleted:
        return Incoming(image_id, version, True, tenant, 0, b"", [], 0, (0, 0, 0), [], _NO_PAYLOAD)
    wire, payload = message.vectors, message.payload
    data = wire.data
    if wire.dtype != types_pb2.DTYPE_FLOAT16:
        with np.errstate(over="ignore"):  # infinite then, and not of length 1
            data = from_wire(wire, dim).astype("<f2").tobytes()
    regions, rest = divmod(len(data), 2 * dim)
    if wire.dim != dim or rest or not regions:
        raise InvalidQuery(f"A picture has at least one vector of {dim} dimensions.", field="vector")
    if regions > MAX_REGIONS:
        raise InvalidQuery(f"A picture has at most {MAX_REGIONS} regions.", field="vector", limit=MAX_REGIONS)
    if len(message.signature) > MAX_SIGNATURE_BYTES:
        raise InvalidQuery("The signature is too long.", field="signature", limit=MAX_SIGNATURE_BYTES)
    if len(message.boxes) != regions:
        raise InvalidQuery(f"{regions} vectors have {len(message.boxes)} boxes.", field="boxes")
    boxes = [(box.left, box.top, box.right, box.bottom) for box in message.boxes]
    keys = picture_keys(payload.owner, payload.source_url)
    terms = terms_of(payload.tags, _attributes(payload), private=payload.private) if _has_terms(payload) else []
    phash = message.phash if message.HasField("phash") else None
    return Incoming(
        image_id, version, False, tenant, regions, data, boxes, phash, keys, terms, payload, message.signature
    )


def incoming_of(record: VectorRecord, space: SpaceId, dim: int) -> Incoming:
    """As `incoming`, of a record that was not encoded."""
    if record.deleted:
        message = records_pb2.VectorRecord(deleted=True)
    else:
        vectors = types_pb2.Vectors(dtype=types_pb2.DTYPE_FLOAT16, dim=record.vectors.shape[-1])
        vectors.data = np.ascontiguousarray(record.vectors, "<f2").tobytes()
        boxes, payload = boxes_to_wire(record.boxes), payload_to_wire(record.payload)
        message = records_pb2.VectorRecord(vectors=vectors, boxes=boxes, payload=payload, phash=record.phash)
        message.signature = record.signature
    message.image_id, message.version = record.image_id, record.version
    message.tenant, message.space = record.tenant, record.space
    return incoming(message, space, dim)


def newest_of(records: Iterable[Incoming]) -> dict[int, Incoming]:
    """The record of the highest version of each picture, by id."""
    newest: dict[int, Incoming] = {}
    for record in records:
        before = newest.get(record.image_id)
        if before is None or record.version > before.version:
            newest[record.image_id] = record
    return newest


def not_unit(records: Sequence[Incoming], dim: int) -> list[int]:
    """Positions of the records with a vector that is not of length 1, or holds NaN or infinity. 0.5 us a record."""
    if not records:
        return []
    rows = np.frombuffer(b"".join([record.vectors for record in records]), "<f2").reshape(-1, dim)
    long = rows.astype(np.float32)
    squared = np.einsum("rd,rd->r", long, long)
    off = np.flatnonzero(~(np.abs(squared - 1.0) < _NOT_UNIT))  # NaN is neither
    ends = np.cumsum([record.regions for record in records])
    return sorted(set(np.searchsorted(ends, off, side="right").tolist()))


def _has_terms(payload: types_pb2.Payload) -> bool:
    return bool(payload.tags or payload.attributes_json or payload.private)


def _attributes(payload: types_pb2.Payload) -> Mapping[str, Any]:
    if not payload.attributes_json:
        return {}
    try:
        attributes = json.loads(payload.attributes_json, parse_constant=_no_constant, parse_float=_finite)
        if b"\\u" in payload.attributes_json:
            json.dumps(attributes, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidQuery(f"The attributes cannot be read: {error}.", field="attributes") from None
    if not isinstance(attributes, dict):
        raise InvalidQuery("The attributes are no object.", field="attributes")
    return attributes


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} does not fit 64 bits")
    return number
