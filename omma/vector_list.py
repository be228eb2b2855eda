"""Vectors that a caller computed, with what is known of each: checked, and as the bytes that its job reads.

A row is `{"id" | "external_id", "uri", "owner", "tags", "source_url", "attributes"}`, and from JSON its `vector`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import numpy as np

from omma import sent_json
from omma.description import Description, RowLimits, check_uri
from omma.errors import InvalidQuery, OmmaError, WrongSpace
from omma.space import Space
from omma.vectors import Float16, Float32

_NAMES: Final = ("id", "external_id")
_SAID: Final = ("owner", "tags", "source_url", "attributes", "private")
_KNOWN: Final = frozenset((*_NAMES, *_SAID, "uri"))
_LEAST_LENGTH: Final = 1e-12
_HEAD_BYTES: Final = 8
_FLOAT_BYTES: Final = (2, 4, 8)


@dataclass(frozen=True, slots=True)
class VectorRow:
    """description: its external_id is the row's key. uri: where its picture lies, as the caller says, or ""."""

    description: Description
    uri: str = ""


@dataclass(frozen=True, slots=True)
class VectorList:
    """vectors: float16[n, dim], L2-normalised; rows: n, no two of one key."""

    vectors: Float16
    rows: tuple[VectorRow, ...]

    def encode(self) -> bytes:
        """The same list has the same bytes."""
        lines = b"\n".join(json.dumps(_document(row), sort_keys=True).encode() for row in self.rows)
        shape = np.array(self.vectors.shape, "<u4").tobytes()
        return shape + self.vectors.astype("<f2").tobytes() + lines

    @classmethod
    def decode(cls, content: bytes) -> "VectorList":
        """Of what `encode` made."""
        count, dim = np.frombuffer(content, "<u4", 2).tolist()
        end = _HEAD_BYTES + count * dim * 2
        vectors = np.frombuffer(content, "<f2", count * dim, _HEAD_BYTES).astype(np.float16, copy=False)
        rows = tuple(_row(json.loads(line)) for line in content[end:].split(b"\n"))
        return cls(vectors.reshape(count, dim), rows)


def checked_list(vectors: Float32, said: Sequence[Mapping[str, Any]], space: Space, limits: RowLimits) -> VectorList:
    """vectors: float[n, dim], in the order of said; each is normalised. Blocks: some 20 µs a row.

    Raises InvalidQuery and WrongSpace (another dimension), which name the first row that is wrong, from 1; no list is
    made of the others then.
    """
    if len(vectors) == 0:
        raise InvalidQuery("There is no vector.", field="vectors")
    if len(said) != len(vectors):
        raise InvalidQuery(f"There are {len(vectors):,} vectors and {len(said):,} ids.", field="ids")
    if vectors.shape[1] != space.dim:
        raise WrongSpace(
            f"Row 1 has {vectors.shape[1]} numbers, and vectors of space {space.id} have {space.dim}.",
            field="vectors",
            limit=space.dim,
        )
    rows = tuple(_checked_row(number, one, limits) for number, one in enumerate(said, 1))
    _require_distinct(rows)
    return VectorList(_unit(vectors), rows)


def vectors_of_npy(content: bytes) -> Float32:
    """float[n, dim] of a .npy file, as a view where it can be one. Raises InvalidQuery, field `vectors`."""
    stream = BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, column_major, dtype = read(stream)
    except Exception:  # noqa: BLE001  its parser is Python's own, which raises MemoryError of brackets, and more
        raise InvalidQuery("vectors is no .npy file.", field="vectors") from None
    if len(shape) != 2 or dtype.kind != "f" or dtype.itemsize not in _FLOAT_BYTES:
        raise InvalidQuery(
            f"vectors must be float16, float32 or float64 of two dimensions, not {dtype} of {len(shape)}.",
            field="vectors",
        )
    place = stream.tell()
    if not all(type(size) is int and size >= 0 for size in shape):
        raise InvalidQuery("vectors has a shape that is none.", field="vectors")
    if shape[1] == 0 or shape[0] * shape[1] * dtype.itemsize != len(content) - place:
        raise InvalidQuery("vectors is cut off, or longer than it says.", field="vectors")
    flat = np.frombuffer(content, dtype, offset=place)
    rows: Float32 = flat.reshape(shape[::-1]).T if column_major else flat.reshape(shape)
    return rows


def vectors_of_json(given: Sequence[Mapping[str, Any]], space: Space) -> Float32:
    """float64[n, dim] of rows that have a `vector`. Raises InvalidQuery, WrongSpace, which name the row, from 1."""
    vectors = np.empty((len(given), space.dim), np.float64)
    for number, one in enumerate(given, 1):
        vector = one.get("vector")
        if not isinstance(vector, list) or not all(type(value) in (int, float) for value in vector):
            raise InvalidQuery(f"Row {number}: vector must be a list of numbers.", field="vectors")
        if len(vector) != space.dim:
            raise WrongSpace(
                f"Row {number} has {len(vector)} numbers, and vectors of space {space.id} have {space.dim}.",
                field="vectors",
                limit=space.dim,
            )
        try:
            vectors[number - 1] = vector
        except OverflowError:
            raise _not_finite(number) from None
    return vectors  # type: ignore[return-value]  # of wider numbers than it must be


def said_of_ids(content: bytes) -> list[dict[str, Any]]:
    """An id a line, as text. Raises InvalidQuery, field `ids`."""
    return [{"id": line} for line in _lines(content, "ids")]


def said_of_lines(content: bytes) -> list[dict[str, Any]]:
    """A JSON object a line. Raises InvalidQuery, field `items`, which names the row."""
    said = []
    for number, line in enumerate(_lines(content, "items"), 1):
        try:
            one = sent_json.parse(line)
        except RecursionError:
            raise InvalidQuery(f"Row {number} of items is nested too deep.", field="items") from None
        except ValueError as error:
            raise InvalidQuery(f"Row {number} of items is not JSON: {error}.", field="items") from None
        if not isinstance(one, dict):
            raise InvalidQuery(f"Row {number} of items is no JSON object.", field="items")
        said.append(one)
    return said


def _checked_row(number: int, said: Mapping[str, Any], limits: RowLimits) -> VectorRow:
    try:
        return _row_of(said, limits)
    except OmmaError as error:
        raise InvalidQuery(f"Row {number}: {error.detail}", field=error.field, limit=error.limit) from None


def _row_of(said: Mapping[str, Any], limits: RowLimits) -> VectorRow:
    if unknown := sorted(said.keys() - _KNOWN - {"vector"}):
        raise InvalidQuery(f"{unknown[0][:80]!r} is nothing that is said of a vector.", field=unknown[0][:80])
    names = [said[name] for name in _NAMES if said.get(name) not in (None, "")]
    if len(names) != 1:
        raise InvalidQuery("it needs an id, one.", field="id")
    name = str(names[0]) if type(names[0]) is int else names[0]
    description, wrong = limits.sane_part(external_id=name, **{one: said.get(one) for one in _SAID})
    if wrong:
        raise InvalidQuery(wrong[0].reason, field=wrong[0].field)
    uri = said.get("uri") or ""
    if not isinstance(uri, str):
        raise InvalidQuery("uri must be text.", field="uri")
    check_uri(uri)
    return VectorRow(description, uri)


def _require_distinct(rows: Sequence[VectorRow]) -> None:
    first: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        name = row.description.external_id
        if first.setdefault(name, number) != number:
            raise InvalidQuery(f"Row {number} has the id of row {first[name]}: {name[:80]!r}.", field="id")


def _unit(vectors: Float32) -> Float16:
    """In pieces, so that a long list is not held three times."""
    unit = np.empty(vectors.shape, np.float16)
    for begin, rows in _pieces(vectors):
        wide = rows.astype(np.float64)
        lengths = np.linalg.norm(wide, axis=1)
        if not np.isfinite(lengths).all():
            raise _not_finite(begin + int(np.argmin(np.isfinite(lengths))) + 1)
        if (lengths < _LEAST_LENGTH).any():
            raise InvalidQuery(f"Row {begin + int(np.argmax(lengths < _LEAST_LENGTH)) + 1} is zero.", field="vectors")
        unit[begin : begin + len(rows)] = wide / lengths[:, np.newaxis]
    return unit


def _pieces(vectors: Float32) -> Iterator[tuple[int, Float32]]:
    at_once = 4_096
    for begin in range(0, len(vectors), at_once):
        yield begin, vectors[begin : begin + at_once]


def _not_finite(number: int) -> InvalidQuery:
    return InvalidQuery(f"Row {number} holds a number that is not finite.", field="vectors")


def _lines(content: bytes, name: str) -> list[str]:
    """Those that say something. A line ends at a line feed alone: JSON and ids may hold what else Unicode calls one."""
    try:
        return [line for one in content.decode("utf-8-sig").split("\n") if (line := one.removesuffix("\r")).strip()]
    except UnicodeDecodeError:
        raise InvalidQuery(f"{name} is not UTF-8.", field=name) from None


def _document(row: VectorRow) -> dict[str, Any]:
    said = row.description
    return {
        "external_id": said.external_id,
        "owner": said.owner,
        "tags": list(said.tags),
        "source_url": said.source_url,
        "attributes": dict(said.attributes),
        "private": said.private,
        "uri": row.uri,
    }


def _row(document: dict[str, Any]) -> VectorRow:
    uri = document.pop("uri")
    document["attributes"].pop("", None)  # a list that an older version took may have the name
    return VectorRow(Description(**{**document, "tags": tuple(document["tags"])}), uri)
