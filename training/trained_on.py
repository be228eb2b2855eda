"""What a model learnt from, told in a few rows of its own space: middles of k-means, in a file of its entry."""

from pathlib import Path
from typing import Final

import faiss
import numpy as np

from omma.trained_on import encode_middles
from omma.vectors import Float16, Float32

FILE: Final = "trained-on.npy"
MIDDLES: Final = 256
"""Of 256 dimensions: 131 kB; of 512, 262 kB. docs/benchmarks.md has what fewer and more find."""
_ROUNDS: Final = 20


def middles_of(vectors: Float32, count: int = MIDDLES) -> Float16:
    """Unit float32[n, dim] to float16[at most count, dim], unit. The same on every run. Blocks: a second for 10,000."""
    kmeans = faiss.Kmeans(
        vectors.shape[1],
        min(count, len(vectors)),
        niter=_ROUNDS,
        spherical=True,
        seed=1,
        min_points_per_centroid=1,
        max_points_per_centroid=len(vectors),
    )
    kmeans.train(np.ascontiguousarray(vectors, np.float32))
    made: Float16 = np.asarray(kmeans.centroids).astype(np.float16)
    return made


def write_trained_on(vectors: Float32, folder: Path) -> Path:
    """The file, of the vectors of what was trained on. Blocks."""
    path = folder / FILE
    path.write_bytes(encode_middles(middles_of(vectors)))
    return path
