"""Index libraries: hnswlib, usearch, FAISS. Vectors in memory; no filters, no deletes that last, no payload."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
M = 16
EF_CONSTRUCTION = 200


class Hnswlib:
    settings = (10, 12, 14, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256)

    def build(self, base: Float32, folder: Path) -> None:
        import hnswlib

        self._index = hnswlib.Index(space="ip", dim=base.shape[1])
        file = folder / f"m{M}.hnsw"
        if file.exists():
            self._index.load_index(str(file), max_elements=len(base))
        else:
            self._index.init_index(max_elements=len(base), M=M, ef_construction=EF_CONSTRUCTION)
            self._index.add_items(base)
            self._index.save_index(str(file))
        self._index.set_num_threads(1)

    def use(self, setting: int) -> None:
        self._ef = setting
        self._index.set_ef(setting)

    def search(self, query: Float32, k: int) -> npt.NDArray[np.integer]:
        return self._index.knn_query(query, k)[0][0]

    def described(self) -> str:
        return f"HNSW M={M}, float32, ef={self._ef}"


class Usearch:
    settings = (10, 12, 14, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256)

    def build(self, base: Float32, folder: Path) -> None:
        from usearch.index import Index

        file = folder / f"m{M}.usearch"
        if file.exists():
            self._index = Index.restore(str(file))
        else:
            self._index = Index(
                ndim=base.shape[1], metric="ip", dtype="f16", connectivity=M, expansion_add=EF_CONSTRUCTION
            )
            self._index.add(np.arange(len(base)), np.ascontiguousarray(base), threads=2)
            self._index.save(str(file))

    def use(self, setting: int) -> None:
        self._ef = setting
        self._index.expansion_search = setting

    def search(self, query: Float32, k: int) -> npt.NDArray[np.integer]:
        return self._index.search(query[0], k, threads=1).keys

    def described(self) -> str:
        return f"HNSW M={M}, float16, expansion={self._ef}"


class RawFaiss:
    """The yardstick: Omma's own codebook, candidates and rescoring, with nothing around FAISS.

    A setting is (lists probed, candidates): the measure gives it those that Omma used.
    """

    settings = tuple((probes, 200) for probes in (8, 10, 12, 13, 14, 15, 16, 18, 20, 24, 28, 32, 40, 48, 64))

    def build(self, base: Float32, folder: Path) -> None:
        import faiss

        faiss.omp_set_num_threads(2)
        codebook, file = folder / "codebook.faiss", folder / "base.faiss"
        if not file.exists() or (codebook.exists() and codebook.stat().st_mtime > file.stat().st_mtime):
            faiss.write_index(_filled(codebook, base), str(file))
        self._coarse = faiss.read_index(str(file))
        self._ivf = faiss.downcast_index(faiss.extract_index_ivf(self._coarse))
        self._originals = faiss.IndexScalarQuantizer(
            base.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        self._originals.add(np.ascontiguousarray(base))
        self._index = faiss.IndexRefine(self._coarse, self._originals)
        faiss.omp_set_num_threads(1)

    def use(self, setting: tuple[int, int], k: int = 10) -> None:
        self._probes, self._candidates = setting
        self._ivf.nprobe = self._probes
        self._index.k_factor = self._candidates / k

    def search(self, query: Float32, k: int) -> npt.NDArray[np.integer]:
        return self.search_all(query, k)[0]

    def search_all(self, queries: Float32, k: int) -> npt.NDArray[np.integer]:
        """[queries, k]"""
        return self._index.search(queries, k)[1]

    def described(self) -> str:
        pq = self._ivf.pq
        codes = f"IVF{self._ivf.nlist},PQ{pq.M}x{pq.nbits}"
        return f"{codes} + float16 rescoring, nprobe={self._probes}, k'={self._candidates}"


def _filled(codebook: Path, base: Float32) -> Any:
    """The codebook with every row in it; without one (Omma has not trained yet), one is trained as Omma would."""
    import faiss

    if codebook.exists():
        index = faiss.read_index(str(codebook))
    else:
        index = faiss.index_factory(base.shape[1], "IVF1024,PQ128x4fs", faiss.METRIC_INNER_PRODUCT)
        sample = np.random.default_rng(0).choice(len(base), 65_536, replace=False)
        index.train(np.ascontiguousarray(base[np.sort(sample)]))
        faiss.write_index(index, str(codebook))
    index.reset()
    for start in range(0, len(base), 65_536):
        index.add(np.ascontiguousarray(base[start : start + 65_536]))
    return index
