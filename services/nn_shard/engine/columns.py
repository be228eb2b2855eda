"""What is known of pictures and their rows, as columns: filters are evaluated on them, hits are read from them."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from omma.filters import ATTRIBUTES, Value, value_key
from omma.hits import Int32Boxes
from omma.sources import source_domain_of
from omma.v1 import types_pb2
from omma.vectors import Int64, UInt64

Float64: TypeAlias = npt.NDArray[np.float64]
Int32: TypeAlias = npt.NDArray[np.int32]
UInt16: TypeAlias = npt.NDArray[np.uint16]
UInt32: TypeAlias = npt.NDArray[np.uint32]
Bools: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Columns:
    """n pictures and their rows. Text is kept as 64-bit hashes (two values of 10 million collide with p < 1e-5).

    By picture: ids, versions int64; tenants uint32, a position in the part's list of names; phashes uint64, hashed bool
    where there is one; owner, source, source_domain uint64; created_at int64 ms; width, height int32. Picture i has the
    terms (tags and attributes) term_ends[i-1] … term_ends[i]: term_keys uint64 of field and value, term_fields uint64,
    term_numbers float64 (NaN for text), and the rows picture_rows[row_ends[i-1]:row_ends[i]], region 0 first.
    By row: row_pictures int32, regions uint16, boxes int32[rows, 4].
    """

    ids: Int64
    versions: Int64
    tenants: UInt32
    phashes: UInt64
    hashed: Bools
    created_at: Int64
    width: Int32
    height: Int32
    owner: UInt64
    source: UInt64
    source_domain: UInt64
    term_ends: Int64
    term_keys: UInt64
    term_fields: UInt64
    term_numbers: Float64
    row_ends: Int64
    picture_rows: Int32
    row_pictures: Int32
    regions: UInt16
    boxes: Int32Boxes

    def rows_of(self, picture: int) -> Int32:
        """The picture's rows, region 0 first."""
        return self.picture_rows[(self.row_ends[picture - 1] if picture else 0) : self.row_ends[picture]]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Name to array, as they are stored."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def starts(ends: Int64) -> Int64:
    """Where each run begins, from where each ends."""
    begins = np.empty_like(ends)
    begins[:1] = 0
    begins[1:] = ends[:-1]
    return begins


def take_runs(ends: Int64, wanted: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], Int64]:
    """Positions of the elements of the wanted runs, run after run, and the ends of these runs."""
    begins = np.where(wanted > 0, ends[wanted - 1], 0)  # of the wanted alone: ends may be of millions
    lengths = ends[wanted] - begins
    new_ends = np.cumsum(lengths)
    total = int(new_ends[-1]) if len(new_ends) else 0
    positions = np.arange(total) + np.repeat(begins - starts(new_ends), lengths)
    return positions, new_ends


def along(matrix: npt.NDArray[Any], at: npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
    """matrix[i, at[i]] of each row i: np.take_along_axis, whose Python is slower than what it does for few rows; of a
    lone row by a tenth of it.
    """
    found: npt.NDArray[Any] = matrix.take(at) if len(at) == 1 else matrix[np.arange(len(at))[:, None], at]
    return found


def text_key(text: str) -> int:
    """64 bits of BLAKE2b; the same on every machine, since it is stored."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


_repeated_text_key = lru_cache(maxsize=16_384)(text_key)


_SCALARS = str | bool | int | float


def term_key(field: str, value: Value) -> int | None:
    """The key of a term, equal for equal values (see omma.filters.value_key); None for a number that is none."""
    key = value_key(value)
    return None if key is None else _repeated_text_key(f"{field}\0{key}")


def picture_keys(owner: str, source_url: str) -> tuple[int, int, int]:
    """owner, source, source_domain."""
    source = (_repeated_text_key(""),) * 2
    if source_url:
        source = text_key(source_url), _repeated_text_key(source_domain_of(source_url))
    return _repeated_text_key(owner), *source


def terms_of(
    tags: Iterable[str], attributes: Mapping[str, Any], *, private: bool = False
) -> list[tuple[int, int, float]]:
    """key, field, number of each tag and of each attribute that is text, a number or a truth value.

    private: a term too, which files of earlier versions do not have: what is in them is public.
    """
    known: list[tuple[str, Value]] = [("tags", tag) for tag in dict.fromkeys(tags)]
    known += [("private", True)] if private else []
    known += [(ATTRIBUTES + name, value) for name, value in attributes.items() if isinstance(value, _SCALARS)]
    terms = []
    for field, value in known:
        key = term_key(field, value)
        if key is not None:
            terms.append((key, _repeated_text_key(field), np.nan if isinstance(value, str | bool) else float(value)))
    return terms


class Growing:
    """An array that only grows: views taken before stay valid, since what they show is never written again."""

    __slots__ = ("_array", "_size")

    def __init__(self, dtype: npt.DTypeLike, width: int | None = None) -> None:
        self._array: npt.NDArray[Any] = np.empty(256 if width is None else (256, width), dtype)
        self._size = 0

    def extend(self, values: npt.ArrayLike, count: int) -> None:
        wanted = self._size + count
        if wanted > len(self._array):
            grown = np.empty((max(wanted, 2 * len(self._array)), *self._array.shape[1:]), self._array.dtype)
            grown[: self._size] = self._array[: self._size]
            self._array = grown
        self._array[self._size : wanted] = values
        self._size = wanted

    def view(self) -> npt.NDArray[Any]:
        return self._array[: self._size]

    def __len__(self) -> int:
        return self._size


PayloadBytes: TypeAlias = Callable[[int], bytes]
"""Picture position to the bytes of its payload (omma.v1.Payload)."""


def payload_of(read: PayloadBytes, picture: int) -> types_pb2.Payload:
    """As it is stored, parsed."""
    return types_pb2.Payload.FromString(read(picture))
