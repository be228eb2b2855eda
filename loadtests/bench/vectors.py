"""Real embeddings, a million and ten million made from them, and the exact answers; cached, since all are costly."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

SOURCE = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "vectors" / "crops-114k-256.i8.npy"
NAMES = ("small", "real", "million", "ten-million")
SMALL = 8_192
QUERIES = 1_000
TRUTH_K = 100
JITTER = 0.3
"""Length of the noise added to a unit vector. A query's nearest neighbour lies at 0.49 (median), its tenth at 0.81."""
NEIGHBOURS = 10
BLOCK = 65_536
_FEW = 1_024


def cache() -> Path:
    """Where data sets, built indexes and figures are kept: $OMMA_BENCH_CACHE or ~/.cache/omma/bench."""
    folder = Path(os.environ.get("OMMA_BENCH_CACHE", Path.home() / ".cache" / "omma" / "bench"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass(frozen=True)
class DataSet:
    """base: float32[n, d] (mapped), queries: float32[1000, d], truth: int64[1000, 100] rows of base, best first."""

    name: str
    base: Float32
    queries: Float32
    truth: Int64

    def recall_at_10(self, found: npt.NDArray[np.integer]) -> float:
        """Share of the true ten that are among the ten found; found: [queries, >= 10] rows of base."""
        rows = len(found)
        hits = sum(len(np.intersect1d(found[i, :10], self.truth[i, :10])) for i in range(rows))
        return hits / (10 * rows)


def load(name: str) -> DataSet:
    """`real` (113,184 rows), `million` (their copies with noise), `ten-million` (distinct rows: points between near
    neighbours, with noise), or `small` (8,192 rows) to see a measure run. The queries are the same.
    """
    folder = cache() / name
    if not (folder / "truth.npy").exists():
        _make(name, folder)
    return DataSet(
        name,
        np.load(folder / "base.npy", mmap_mode="r"),
        np.load(folder / "queries.npy"),
        np.load(folder / "truth.npy"),
    )


def unit(rows: npt.NDArray[np.generic]) -> Float32:
    """Rows of length 1."""
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def exact(base: Float32, queries: Float32, k: int) -> Int64:
    """int64[queries, k]: rows of base by inner product, best first, equal scores by row."""
    scores = np.empty((len(queries), 0), np.float32)
    ids = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(base), BLOCK):
        part = queries @ base[start : start + BLOCK].T
        best = np.argpartition(-part, min(k, part.shape[1] - 1), axis=1)[:, :k]
        scores = np.concatenate([scores, np.take_along_axis(part, best, 1)], axis=1)
        ids = np.concatenate([ids, best + start], axis=1)
        order = np.lexsort((ids, -scores))[:, :k]
        scores, ids = np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
    return ids


def _make(name: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    every = unit(np.load(SOURCE))
    base, queries = every[:-QUERIES], every[-QUERIES:]
    if name == "small":
        base = base[np.random.default_rng(3).permutation(len(base))[:SMALL]]
    path = folder / "base.npy"
    if name == "million":
        _write(path, 1_000_000, base.shape[1], _jittered(base))
    elif name == "ten-million":
        _write(path, 10_000_000, base.shape[1], _between(base))
    elif name in NAMES:
        np.save(path, base)
    else:
        raise SystemExit(f"There is no data set {name!r}: one of {', '.join(NAMES)}.")
    np.save(folder / "queries.npy", queries)
    np.save(folder / "truth.npy", exact(np.load(path, mmap_mode="r"), queries, TRUTH_K))


def _write(path: Path, rows: int, dim: int, draw: Callable[[int, int], Float32]) -> None:
    """draw: given the first row and how many, these rows; BLOCK of them are in memory at a time."""
    out = np.lib.format.open_memmap(path, "w+", np.float32, (rows, dim))
    for start in range(0, rows, BLOCK):
        count = min(BLOCK, rows - start)
        out[start : start + count] = draw(start, count)
    out.flush()


def _jittered(base: Float32) -> Callable[[int, int], Float32]:
    """Copies of base in random order, each moved by noise of length JITTER."""
    random = np.random.default_rng(7)
    order = random.permutation(len(base))
    return lambda start, count: _noisy(base[order[np.arange(start, start + count) % len(base)]], random)


def _between(base: Float32) -> Callable[[int, int], Float32]:
    """Each between a row of base and one of its NEIGHBOURS nearest, at a random share of the way, moved by noise."""
    random = np.random.default_rng(8)
    near = np.concatenate(
        [exact(base, base[start : start + _FEW], NEIGHBOURS + 1) for start in range(0, len(base), _FEW)]
    )

    def draw(_: int, count: int) -> Float32:
        one = random.integers(len(base), size=count)
        other = near[one, random.integers(1, NEIGHBOURS + 1, size=count)]
        share = random.random((count, 1), np.float32)
        return _noisy(base[one] * (1 - share) + base[other] * share, random)

    return draw


def _noisy(rows: Float32, random: np.random.Generator) -> Float32:
    noise = random.standard_normal(rows.shape, np.float32) * (JITTER / np.sqrt(rows.shape[1]))
    return unit(rows + noise)
