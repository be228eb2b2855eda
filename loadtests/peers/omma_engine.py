"""Omma's engine, asked as the shard asks it: one SearchOptions, one row of queries, a deadline."""

import time
from pathlib import Path

import faiss
import numpy as np

from loadtests.bench import engines, vectors
from omma.identity import DEFAULT_TENANT
from services.nn_shard.engine import EngineSettings, SearchOptions


class OmmaEngine:
    """A setting is the effort, 1 … 10; the lists and candidates it came to are raw FAISS's setting."""

    settings = (1, 2, 3, 4, 5, 6, 7, 8)

    def build(self, base: vectors.Float32, folder: Path) -> None:
        faiss.omp_set_num_threads(1)
        data = vectors.load(folder.parent.name)
        self._engine = engines.built(data, EngineSettings())
        codebook = self._engine.codebook
        assert codebook is not None
        raw = folder.parent / "faiss" / "codebook.faiss"
        raw.parent.mkdir(exist_ok=True)
        content = engines.faiss_bytes(codebook)
        if not raw.exists() or raw.read_bytes() != content:
            raw.write_bytes(content)

    def use(self, setting: int) -> None:
        self._options = SearchOptions(DEFAULT_TENANT, k=10, effort=setting)

    def search(self, query: vectors.Float32, k: int) -> np.ndarray:
        self._last = self._engine.search(query, self._options, time.monotonic() + 2.0)[0]
        return self._last.hits.ids - 1

    def as_raw(self) -> tuple[int, int]:
        """Lists probed and candidates of the last search."""
        return self._last.lists_probed, self._last.candidates

    def described(self) -> str:
        counts = self._engine.counts()
        lists, candidates = self.as_raw()
        return (
            f"effort={self._options.effort}: {lists} lists, {candidates} candidates; "
            f"{counts.segments} segments, {counts.head_rows} rows in the head"
        )
