"""What a codebook's tuning rests on, measured on held-out rows rather than assumed."""

import numpy as np

from omma.vectors import Float32, Int64
from services.nn_shard.engine.codebook import ivf_of
from services.nn_shard.engine.swig import Faiss, faiss
from services.nn_shard.engine.tuning import Tuning

TARGET_RECALL = 0.985
"""Of recall@10 on held-out rows. At 0.975 two codebooks of the same rows were up to 0.012 apart on other queries, which
a rebuild would show; the flatter end of the curve keeps them within 0.01 for a third more lists."""

DEPTHS = (1, 10, 30, 100, 300, 1_000)


def measured(index: Faiss, queries: Float32, rows: Float32) -> tuple[Tuning, float]:
    """Where the true neighbours' lists stand in each query's order, and where PQ ranks the neighbours themselves."""
    depths = [depth for depth in DEPTHS if depth <= len(rows) // 4] or [1]
    nearest = true_neighbours(queries, rows, depths[-1])
    inner = ivf_of(index)
    rotated_queries, rotated = _rotate(index, queries), _rotate(index, rows)
    coarse = faiss.downcast_index(inner.quantizer)
    row_scores, row_lists = coarse.search(rotated, 1)
    _, order = coarse.search(rotated_queries, inner.nlist)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(inner.nlist), order.shape), axis=1)
    ranks: Int64 = np.take_along_axis(rank, row_lists[nearest, 0], axis=1)
    probes = tuple((depth, probes_needed(ranks[:, :depth], TARGET_RECALL)) for depth in depths)
    probes = tuple((depth, max(lists for _, lists in probes[: at + 1])) for at, (depth, _) in enumerate(probes))
    inner.add(rotated)
    inner.nprobe = min(inner.nlist, 4 * probes[-1][1])
    ranked = inner.search(rotated_queries, min(len(rows), 4_000))[1]
    candidates = _ranks_needed(ranked, nearest[:, :10])
    long = min(100, nearest.shape[1])
    oversample = max(2.0, _ranks_needed(ranked, nearest[:, :long]) / long)
    inner.reset()
    return Tuning(probes, candidates, oversample), float(row_scores.mean())


def _rotate(index: Faiss, vectors: Float32) -> Float32:
    outer = faiss.downcast_index(index)
    rotated: Float32 = outer.chain.at(0).apply(vectors) if isinstance(outer, faiss.IndexPreTransform) else vectors
    return rotated


def _ranks_needed(ranked: Int64, nearest: Int64) -> int:
    """How far down PQ's order 99.5% of the found true neighbours stand."""
    places = [np.flatnonzero(np.isin(row, true)) for row, true in zip(ranked, nearest, strict=True)]
    return int(np.quantile(np.concatenate(places), 0.995, method="higher")) + 1


def probes_needed(list_ranks: Int64, target: float) -> int:
    """list_ranks: int64[queries, depth], from 0: where a true neighbour's list stands in the query's order of lists."""
    return int(np.quantile(list_ranks, target, method="higher")) + 1


def true_neighbours(queries: Float32, rows: Float32, depth: int) -> Int64:
    """int64[q, depth]: exact nearest rows by inner product, best first. 10 s for 256 queries on a million rows."""
    best = np.empty((len(queries), 0), np.int64)
    best_scores = np.empty((len(queries), 0), np.float32)
    for start in range(0, len(rows), 16_384):
        scores = queries @ rows[start : start + 16_384].T
        numbers = np.broadcast_to(np.arange(start, start + scores.shape[1]), scores.shape)
        best_scores = np.concatenate([best_scores, scores], axis=1)
        best = np.concatenate([best, numbers], axis=1)
        order = np.argsort(-best_scores, axis=1, kind="stable")[:, :depth]
        best, best_scores = np.take_along_axis(best, order, 1), np.take_along_axis(best_scores, order, 1)
    return best
