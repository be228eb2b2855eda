"""Inverted lists in a mapped file, and float16 rows that FAISS scans: the one kernel behind every exact score.

Every score that leaves the engine comes from FAISS's float16 scanner (IndexIVFScalarQuantizer, QT_fp16), whether a row
lies in the head, in a segment or in a scratch list of candidates: that is what makes scores independent of the way a
row was found.
"""

from pathlib import Path

import numpy as np

from omma.vectors import Float32, Int64
from services.nn_shard.engine.swig import Faiss, faiss

ID_BYTES = 8


def rooms(sizes: Int64, block: int) -> Int64:
    """Rows that each list has room for: whole blocks of them."""
    return -(-sizes // block) * block


def list_offsets(sizes: Int64, code_size: int, block: int = 1) -> Int64:
    """Byte offset of each list in the file: a list is the codes that it has room for, then as many ids as int64."""
    taken = rooms(sizes, block) * (code_size + ID_BYTES)
    return np.cumsum(taken) - taken


def mapped_lists(path: Path, sizes: Int64, code_size: int, block: int = 1) -> Faiss:
    """Read-only inverted lists in the file, laid out by `list_offsets`. Opens 1,000,000 rows in under a millisecond."""
    lists = faiss.OnDiskInvertedLists()
    lists.nlist, lists.code_size = len(sizes), code_size
    lists.filename = str(path)
    lists.read_only = True
    lists.prefetch_nthread = 0  # otherwise every search starts threads
    lists.lists.resize(len(sizes))
    # OnDiskOneList is {size, capacity, offset}, three size_t.
    layout = np.stack([sizes, rooms(sizes, block), list_offsets(sizes, code_size, block)], axis=1).astype(np.uint64)
    faiss.memcpy(lists.lists.data(), faiss.swig_ptr(layout), layout.nbytes)
    lists.totsize = path.stat().st_size
    if lists.totsize:
        lists.do_mmap()
    return lists


class Float16Lists:
    """Lists of float16 rows and the scanner over them. own: False shares `lists` with their owner."""

    __slots__ = ("_quantizer", "index", "lists")

    def __init__(self, dim: int, nlist: int, lists: Faiss | None = None) -> None:
        # Lists are always given, never searched for: the quantizer stands in for the interface only.
        self._quantizer = faiss.IndexFlatIP(dim)
        self.index = faiss.IndexIVFScalarQuantizer(
            self._quantizer, dim, nlist, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT, False
        )
        self.index.is_trained = True
        if lists is None:
            self.lists = faiss.downcast_InvertedLists(self.index.invlists)
        else:
            self.lists = lists
            self.index.replace_invlists(lists, False)

    def search(self, queries: Float32, count: int, keys: Int64, parameters: Faiss | None) -> tuple[Float32, Int64]:
        """Scores and ids [b, count] of the best in the lists keys int64[b, n]; -1 for none; equals in no order."""
        return preassigned(self.index, queries, count, (keys, np.zeros(keys.shape, np.float32)), parameters)


def preassigned(
    index: Faiss, queries: Float32, count: int, probed: tuple[Int64, Float32], parameters: Faiss | None
) -> tuple[Float32, Int64]:
    """IndexIVF::search_preassigned on C-contiguous arrays: scores and ids [b, count].

    probed: the lists of each query and their coarse scores, [b, n] each. Calls the SWIG method itself: its Python
    wrapper costs 5 us more, of about 120 in all.
    """
    keys, coarse = probed
    scores = np.empty((len(queries), count), np.float32)
    ids = np.empty((len(queries), count), np.int64)
    pointer = faiss.swig_ptr
    if parameters is None:
        parameters = _parameters(keys.shape[1])
    elif parameters.nprobe != keys.shape[1]:
        raise ValueError("parameters.nprobe must equal the number of lists given.")
    index.search_preassigned_c(
        len(queries), pointer(queries), count, pointer(keys), pointer(coarse), pointer(scores), pointer(ids), False,
        parameters,
    )  # fmt: skip
    return scores, ids


_PARAMETERS: dict[int, Faiss] = {}


def _parameters(nprobe: int) -> Faiss:
    found = _PARAMETERS.get(nprobe)
    if found is None:
        found = _PARAMETERS[nprobe] = faiss.SearchParametersIVF(nprobe=nprobe)
    return found
