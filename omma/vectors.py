"""Vectors as numpy arrays and as bytes on the wire; one convert module, dtype and dim always checked."""

from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

from omma.errors import InvalidQuery
from omma.v1 import types_pb2

Float16: TypeAlias = npt.NDArray[np.float16]
Float32: TypeAlias = npt.NDArray[np.float32]
Int64: TypeAlias = npt.NDArray[np.int64]
UInt64: TypeAlias = npt.NDArray[np.uint64]

_DTYPES: dict[int, np.dtype[np.float16] | np.dtype[np.float32]] = {
    types_pb2.DTYPE_FLOAT16: np.dtype("<f2"),
    types_pb2.DTYPE_FLOAT32: np.dtype("<f4"),
}


def normalise(vectors: npt.ArrayLike) -> Float32:
    """L2-normalise along the last axis: float[..., dim] to float32[..., dim].

    Raises InvalidQuery, field `vector`, for a row with NaN, infinity or no length.
    """
    rows = np.asarray(vectors, dtype=np.float32)
    # In float64: the square of a component above 1.8e19 does not fit float32.
    wide = rows.astype(np.float64)
    lengths = np.sqrt(np.vecdot(wide, wide))[..., np.newaxis]
    if not ((lengths >= 1e-12) & (lengths < np.inf)).all():  # NaN is neither
        raise InvalidQuery("A vector must be finite and not zero.", field="vector")
    unit: Float32 = (rows / lengths).astype(np.float32)
    return unit


def to_wire(rows: Float16 | Float32) -> types_pb2.Vectors:
    """float16 or float32[n, dim] to its message. Copies once."""
    dtype = types_pb2.DTYPE_FLOAT16 if rows.dtype == np.float16 else types_pb2.DTYPE_FLOAT32
    return types_pb2.Vectors(data=np.ascontiguousarray(rows).tobytes(), dtype=dtype, dim=rows.shape[-1])


def from_wire(message: types_pb2.Vectors, dim: int | None = None) -> Float16 | Float32:
    """The message as a read-only view [n, dim] in the dtype it was sent in.

    dim: what the caller expects. Raises InvalidQuery, field `vector`, when dtype, dim or length do not fit.
    """
    dtype = _DTYPES.get(message.dtype)
    if dtype is None:
        raise InvalidQuery("A vector's dtype is float16 or float32.", field="vector")
    if message.dim == 0 or (dim is not None and message.dim != dim):
        raise InvalidQuery(f"The vector has {message.dim} dimensions and must have {dim}.", field="vector")
    if len(message.data) % (message.dim * dtype.itemsize):
        raise InvalidQuery(f"{len(message.data)} bytes are no whole number of vectors.", field="vector")
    view = np.frombuffer(message.data, dtype=dtype).reshape(-1, message.dim)
    return cast(Float16 | Float32, view)
