"""Where the pictures lie that a model was trained on: middles of them in its space, and the blob that keeps those."""

import io
from typing import Final

import numpy as np

from omma.blobs.interface import Blobs, of_space
from omma.errors import Absent, Corrupt
from omma.vectors import Float16, Float32, normalise

MAX_BYTES: Final = 8 << 20
"""Of the rows: they travel in one message."""


def trained_on_key(space: str) -> str:
    """Of the blob. space: its id."""
    return f"{of_space(space)}trained-on.npy"


def encode_middles(middles: Float16) -> bytes:
    """As a .npy file; the same rows have the same bytes."""
    out = io.BytesIO()
    np.save(out, middles.astype("<f2"), allow_pickle=False)
    return out.getvalue()


def decode_middles(content: bytes, dim: int) -> Float16:
    """float16[n, dim], n at least 1, of a .npy file. Raises Corrupt for anything else."""
    try:
        rows = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise Corrupt(f"The middles of what a model was trained on are no .npy file: {error}") from None
    if rows.dtype != np.dtype("<f2") or rows.ndim != 2 or rows.shape[1] != dim or not 0 < rows.nbytes <= MAX_BYTES:
        raise Corrupt(
            f"The middles of what a model was trained on are {rows.dtype}{list(rows.shape)}, and have to be "
            f"float16[n, {dim}], at most {MAX_BYTES >> 20} MiB."
        )
    if not np.all(np.isfinite(rows)) or not np.all(np.any(rows, axis=1)):
        raise Corrupt("A middle of what a model was trained on is not finite, or zero.")
    found: Float16 = rows
    return found


async def kept_middles(blobs: Blobs, space: str, dim: int) -> Float32 | None:
    """float32[n, dim], unit; None where the space's model does not say. Raises as Blobs.get, Corrupt."""
    try:
        content = await blobs.get(trained_on_key(space), 2 * MAX_BYTES)
    except Absent:
        return None
    return normalise(decode_middles(content, dim))


def distances_to(middles: Float32, vectors: Float32) -> Float32:
    """Cosine distance of each to the nearest middle, 0 … 2: float32[m]. Both unit: float32[n, dim], float32[m, dim]."""
    far: Float32 = np.clip(1.0 - (vectors @ middles.T).max(axis=1), 0.0, 2.0)
    return far
