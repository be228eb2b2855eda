"""The trained part of an index: OPQ matrix, coarse centroids, PQ, and the tuning measured on the training sample."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from omma.errors import Corrupt
from omma.vectors import Float32, Int64
from services.nn_shard.engine.codes import layout_of
from services.nn_shard.engine.swig import BLAS_ROWS, Faiss, faiss
from services.nn_shard.engine.tuning import Tuning

_MAGIC = b"OMMACB01"
_KINDS = faiss.IndexIVFPQ, faiss.IndexIVFPQFastScan


class Codebook:
    """Immutable, shared by all segments of an index and safe to use from any thread.

    id: sha256 hex of its file. dim: of the vectors it encodes. rotated_dim: of what PQ sees. train_rows: rows it was
    trained on. planned_rows: of a shard, which its lists are chosen for and growth is compared with. coarse_score: mean
    inner product of the sample with its lists' centroids, which drift is compared with. layout: how codes lie in lists.
    """

    def __init__(self, content: bytes) -> None:
        try:
            header, self._index = _parse(content)
            self.dim = int(self._index.d)
            self.factory = str(header["factory"])
            self.train_rows = int(header["train_rows"])
            self.planned_rows = int(header.get("planned_rows", self.train_rows))  # earlier versions wrote none
            self.coarse_score = float(header["coarse_score"])
            self.tuning = Tuning.from_json(header["tuning"])
        except (KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
            raise Corrupt(f"This is no codebook: {error}.") from None
        self.id = hashlib.sha256(content).hexdigest()
        self._content = content
        self._ivf = ivf_of(self._index)
        self._coarse = self._ivf.quantizer
        self.nlist = int(self._ivf.nlist)
        self.layout = layout_of(self._ivf)
        self.code_size = self.layout.code_size
        self.rotated_dim = int(self._ivf.d)
        self.centroids = faiss.rev_swig_ptr(
            faiss.downcast_index(self._coarse).get_xb(), self.nlist * self.rotated_dim
        ).reshape(self.nlist, self.rotated_dim)
        self._rotation = _rotation(self._index, self.dim)
        # Worked out anew it costs 20 us a query, of about 150 in all.
        self._probes_at = lru_cache(maxsize=4_096)(self.tuning.probes_at)

    @classmethod
    def build(
        cls, index: Faiss, *, factory: str, train_rows: int, planned_rows: int, coarse_score: float, tuning: Tuning
    ) -> "Codebook":
        """From a trained, empty FAISS index: IndexIVFPQ or IndexIVFPQFastScan, alone or behind one linear transform."""
        rows = {"train_rows": train_rows, "planned_rows": planned_rows}
        header = {"factory": factory, **rows, "coarse_score": coarse_score}
        text = json.dumps({**header, "tuning": tuning.to_json()}, sort_keys=True).encode()
        return cls(_MAGIC + len(text).to_bytes(8, "little") + text + faiss.serialize_index(index).tobytes())

    @classmethod
    def load(cls, path: Path, sha256: str | None = None) -> "Codebook":
        """Raises Corrupt when the file does not have this checksum, or is no codebook."""
        return cls.from_bytes(path.read_bytes(), sha256)

    @classmethod
    def from_bytes(cls, content: bytes, sha256: str | None = None) -> "Codebook":
        """Raises Corrupt as `load` does."""
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise Corrupt(f"The codebook does not have the checksum {sha256}.")
        return cls(content)

    def to_bytes(self) -> bytes:
        """The one file's content, byte for byte what it was loaded from."""
        return self._content

    def probes_at(self, depth: float, effort: int) -> int:
        """Lists to probe for the `depth` nearest rows: see Tuning.probes_at."""
        return self._probes_at(depth, effort, self.nlist)

    def rotate(self, vectors: Float32) -> Float32:
        """float32[n, dim] to float32[n, rotated_dim], where centroids and PQ live; inner products are kept by OPQ."""
        if self._rotation is None:
            return np.ascontiguousarray(vectors)
        matrix, bias = self._rotation
        if len(vectors) >= BLAS_ROWS:
            rotated: Float32 = vectors @ matrix.T
        else:
            rotated = _products(vectors, matrix)
        return rotated if bias is None else rotated + bias

    def assign(self, rotated: Float32, probes: int) -> tuple[Int64, Float32]:
        """The `probes` nearest lists of each row: int64[n, probes] best first, and their scores float32[n, probes]."""
        keys = np.empty((len(rotated), probes), np.int64)
        scores = np.empty((len(rotated), probes), np.float32)
        pointer = faiss.swig_ptr
        self._coarse.search_c(len(rotated), pointer(rotated), probes, pointer(scores), pointer(keys), None)
        return keys, scores

    def coarse_scores(self, rotated: Float32) -> Float32:
        """float32[n, nlist]: every list's score for each row."""
        return _products(rotated, self.centroids)

    def encode(self, rotated: Float32, keys: Int64) -> npt.NDArray[np.uint8]:
        """PQ codes uint8[n, code_size] of rows in the lists keys int64[n]."""
        codes = np.empty((len(rotated), self.code_size), np.uint8)
        if len(rotated):
            pointer = faiss.swig_ptr
            rows, lists = np.ascontiguousarray(rotated), np.ascontiguousarray(keys)
            self._ivf.encode_vectors(len(rows), pointer(rows), pointer(lists), pointer(codes), False)
        return codes

    def reconstructed(self, vectors: Float32) -> Float32:
        """What is left of float32[n, dim] in the nearest list's code: float32[n, dim]."""
        rotated = self.rotate(vectors)
        keys = self.assign(rotated, 1)[0][:, 0]
        # Not by FAISS's sa_decode, which an IndexIVFPQFastScan that was read back does not survive.
        decoded: Float32 = self._ivf.pq.decode(self.encode(rotated, keys))
        if self._ivf.by_residual:
            decoded += self.centroids[keys]
        if self._rotation is None:
            return decoded
        back: Float32 = faiss.downcast_VectorTransform(self._index.chain.at(0)).reverse_transform(decoded)
        return back

    def searcher(self, lists: Faiss, rows: int) -> Faiss:
        """An index of the codebook's kind over these lists; it shares the coarse centroids, and copies the PQ tables
        (256 kB).
        """
        kind, pq = type(self._ivf), self._ivf.pq
        index = kind(self._coarse, self.rotated_dim, self.nlist, pq.M, pq.nbits, faiss.METRIC_INNER_PRODUCT)
        index.pq = pq
        index.by_residual = self._ivf.by_residual
        index.is_trained = True
        index.replace_invlists(lists, False)
        index.ntotal = rows
        return index


def ivf_of(index: Faiss) -> Faiss:
    """The IndexIVFPQ or IndexIVFPQFastScan in an index, behind its transform if there is one: a borrowed view, so keep
    the index. Raises ValueError for another kind.
    """
    inner = faiss.downcast_index(index)
    if isinstance(inner, faiss.IndexPreTransform):
        inner = faiss.downcast_index(inner.index)
    if not isinstance(inner, _KINDS) or inner.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise ValueError("no IVF index with PQ codes over inner products")
    return inner


def _products(rows: Float32, others: Float32) -> Float32:
    """Inner products [n, m] of a few rows [n, d] with others [m, d], without BLAS: see BLAS_ROWS."""
    products = np.empty((len(rows), len(others)), np.float32)
    pointer, by = faiss.swig_ptr, faiss.swig_ptr(others)
    for source, target in zip(np.ascontiguousarray(rows), products, strict=True):
        faiss.fvec_inner_products_ny(pointer(target), pointer(source), by, others.shape[1], len(others))
    return products


def _parse(content: bytes) -> tuple[dict[str, Any], Faiss]:
    if content[:8] != _MAGIC:
        raise ValueError("it does not begin as one")
    end = 16 + int.from_bytes(content[8:16], "little")
    header = json.loads(content[16:end])
    return header, faiss.deserialize_index(np.frombuffer(content[end:], np.uint8))


def _rotation(index: Faiss, dim: int) -> tuple[Float32, Float32 | None] | None:
    if not isinstance(index, faiss.IndexPreTransform):
        return None
    if index.chain.size() != 1:
        raise ValueError("more than one transform")
    transform = faiss.downcast_VectorTransform(index.chain.at(0))
    matrix = faiss.vector_to_array(transform.A).reshape(-1, dim)
    bias = faiss.vector_to_array(transform.b) if transform.have_bias else None
    return matrix, bias
