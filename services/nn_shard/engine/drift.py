"""How far rows have drifted from the sample that the codebook was trained on, and when a rebuild is proposed."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from omma.drift import Drift
from omma.vectors import Float32
from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.part import Part
from services.nn_shard.engine.reading import sample
from services.nn_shard.engine.view import View
from services.nn_shard.engine_settings import EngineSettings

_ROWS: Final = 512
"""Of which the quantisation error is the mean: some percent of it, at 20 ms."""


def drift_of(view: View, fit: float, settings: EngineSettings) -> Drift | None:
    """None without a codebook. fit: mean score of recent rows with their lists, infinite before a head filled.

    Reads some hundred rows from disk.
    """
    if (codebook := view.codebook) is None:
        return None
    rows = np.concatenate([np.empty((0, codebook.dim), np.float32), *sample(view.parts, _ROWS, seed=0)])
    return Drift(
        train_rows=codebook.train_rows,
        list_imbalance=list_imbalance(view.segments, codebook.nlist),
        quantisation_error=quantisation_error(codebook, rows),
        recent_fit=fit / codebook.coarse_score if math.isfinite(fit) and codebook.coarse_score else 0.0,
        rebuild=proposal(view, fit, settings) or "",
    )


def proposal(view: View, fit: float, settings: EngineSettings) -> str | None:
    """Why a rebuild as a new index would help; None while it would not. fit: as of drift_of. Pure."""
    if (codebook := view.codebook) is None:
        return None
    live, growth = view.counts.live, settings.rebuild_growth
    if live > growth * codebook.planned_rows:
        return f"{live} rows are more than {growth:g} times the {codebook.planned_rows} planned for."
    if fit < settings.rebuild_drift * codebook.coarse_score:
        return f"Recent rows fit their lists with {fit:.3f}, the sample did with {codebook.coarse_score:.3f}."
    return None


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
