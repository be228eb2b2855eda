"""Measures of how far rows have drifted from the sample that the codebook was trained on."""

from collections.abc import Sequence

import numpy as np

from omma.vectors import Float32
from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.part import Part


def list_imbalance(segments: Sequence[Part], nlist: int) -> float:
    """nlist · Σ n² / (Σ n)² over the lists' sizes n, as FAISS's imbalance_factor; 0 without rows. Pure."""
    sizes = np.zeros(nlist)
    for part in segments:
        if (of_part := part.store.list_sizes) is not None:
            sizes += of_part
    rows = sizes.sum()
    return float(nlist * np.square(sizes).sum() / rows**2) if rows else 0.0


def quantisation_error(codebook: Codebook, rows: Float32) -> float:
    """Mean squared distance of rows, float32[n, dim], from what their codes say; 0 of none."""
    if not len(rows):
        return 0.0
    return float(np.square(rows - codebook.reconstructed(rows)).sum(axis=1).mean())
