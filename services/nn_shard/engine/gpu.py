"""Sealed segments cloned to a GPU, behind `EngineSettings.gpu`.

Written against FAISS's GPU interface and never run: the wheel that the project installs has no GPU in it, and the
tests know only that an engine without one stays on the CPU. faiss-gpu ignores selectors, so the clone answers only
searches that select every row of its segment, and its candidates are checked against the live rows afterwards;
everything else stays on the CPU.
"""

import numpy as np

from omma.vectors import Float32, Int64
from services.nn_shard.engine.part import Part, row_bits
from services.nn_shard.engine.swig import Faiss, faiss

_SPARE = 1.25
"""More candidates than asked for, since dead ones are dropped afterwards; a merge keeps dead rows below a quarter."""


def gpu_present() -> bool:
    """FAISS was built for GPUs and sees one."""
    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


class GpuClone:
    """The PQ codes of one sealed segment on one GPU, with float16 tables: PQ64x8 in float32 exceeds shared memory."""

    def __init__(self, segment_index: Faiss, device: int = 0) -> None:
        """segment_index: the segment's IndexIVFPQ. Copies its codes; raises RuntimeError when they do not fit."""
        options = faiss.GpuClonerOptions()
        options.useFloat16 = options.useFloat16LookupTables = True
        self._resources = faiss.StandardGpuResources()
        self._index = faiss.index_cpu_to_gpu(self._resources, device, segment_index, options)

    def candidates(
        self, part: Part, rotated: Float32, count: int, probed: tuple[Int64, Float32]
    ) -> tuple[Float32, Int64]:
        """As Segment.candidates of every live row: estimates and rows [b, count], -1 for none or a dead one."""
        keys, coarse = probed
        asked = count if part.live is None else int(_SPARE * count)
        estimates, rows = self._index.search_preassigned(rotated, asked, keys, coarse)
        if part.live is None:
            return estimates, rows
        dead = (rows >= 0) & ~row_bits(part.live, np.maximum(rows, 0))
        estimates[dead], rows[dead] = -np.inf, -1
        order = np.argsort(-estimates, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(estimates, order, 1), np.take_along_axis(rows, order, 1)
