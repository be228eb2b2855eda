"""Sealed segments cloned to a GPU, behind `EngineSettings.gpu`.

Never run on a GPU: the wheel that the project installs has none in it. The tests run this code over CPU indexes, which
have the same Python wrapper. faiss-gpu ignores selectors, so a clone answers only searches that select every row of its
segment, and its candidates are checked against the live rows afterwards; everything else stays on the CPU.
"""

import threading
from functools import cache
from typing import Final

import numpy as np

from omma.vectors import Float32, Int64
from services.nn_shard.engine.part import Part, row_bits
from services.nn_shard.engine.swig import Faiss, faiss

MOST: Final = 2_048
"""Candidates, and lists, that a GPU index takes."""
_SPARE: Final = 1.25
"""More candidates than asked for, since dead ones are dropped afterwards; a merge keeps dead rows below a quarter."""


def gpu_present() -> bool:
    """FAISS was built for GPUs and sees one."""
    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


class Device:
    """A GPU with FAISS's scratch memory on it, up to 1.5 GiB, which its clones share: they are searched by turns."""

    def __init__(self, number: int) -> None:
        self.turn = threading.Lock()
        self._number = number
        self._resources = faiss.StandardGpuResources()

    def clone(self, segment_index: Faiss) -> "GpuClone":
        """segment_index: a segment's IndexIVFPQ. Copies its codes, with float16 tables: in float32 they exceed shared
        memory. Raises RuntimeError when they do not fit.
        """
        options = faiss.GpuClonerOptions()
        options.useFloat16 = options.useFloat16LookupTables = True
        with self.turn:
            return GpuClone(faiss.index_cpu_to_gpu(self._resources, self._number, segment_index, options), self.turn)


@cache
def first_device() -> Device:
    """The one that this process uses. Needs `gpu_present`."""
    return Device(0)


class GpuClone:
    """The PQ codes of one sealed segment on one GPU."""

    def __init__(self, index: Faiss, turn: threading.Lock) -> None:
        """index: with the Python wrapper of FAISS's IVF indexes. turn: held while it is searched."""
        self._index = index
        self._turn = turn

    @staticmethod
    def takes(part: Part, count: int, lists: int) -> bool:
        """Whether so many candidates from so many lists are within what a GPU index does."""
        return _asked(part, count) <= MOST and lists <= MOST

    def candidates(
        self, part: Part, rotated: Float32, count: int, probed: tuple[Int64, Float32]
    ) -> tuple[Float32, Int64]:
        """As Segment.candidates of every live row: estimates and rows [b, count], -1 for none or a dead one."""
        keys, coarse = probed
        with self._turn:
            self._index.nprobe = keys.shape[1]  # the wrapper holds the lists that it is given to it
            estimates, rows = self._index.search_preassigned(rotated, _asked(part, count), keys, coarse)
        if part.live is None:
            return estimates, rows
        dead = (rows >= 0) & ~row_bits(part.live, np.maximum(rows, 0))
        estimates[dead], rows[dead] = -np.inf, -1
        order = np.argsort(-estimates, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(estimates, order, 1), np.take_along_axis(rows, order, 1)


def _asked(part: Part, count: int) -> int:
    return count if part.live is None else int(_SPARE * count)
