"""A sealed segment: a folder of immutable files, mapped into memory."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from omma.errors import Corrupt, WrongState
from omma.filters import AnyOf
from omma.vectors import Float16, Float32, Int64, UInt64
from services.nn_shard.engine.arrayfile import map_file, read_arrays, soon
from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.columns import Columns, starts, take_runs
from services.nn_shard.engine.gpu import GpuClone, first_device
from services.nn_shard.engine.lists import ID_BYTES, Float16Lists, list_offsets, mapped_lists, preassigned
from services.nn_shard.engine.manifest import FileSum
from services.nn_shard.engine.part import Part
from services.nn_shard.engine.postings import Orders, Postings
from services.nn_shard.engine.swig import Faiss, faiss

Ints: TypeAlias = npt.NDArray[np.integer[Any]]

ABOUT: Final = "segment.json"
VECTORS: Final = "vectors"
CODES: Final = "codes"
COLUMNS: Final = "columns"
PAYLOADS: Final = "payloads"
SIGNATURES: Final = "signatures"
POSTINGS: Final = "postings"


@dataclass(frozen=True, slots=True)
class About:
    """segment.json. codebook: id of the one that the codes are of, None without codes."""

    dim: int
    rows: int
    codebook: str | None
    max_regions: int
    tenants: tuple[str, ...]


class Segment:
    """Rows lie in order of their list, then of their id, so that rescoring reads neighbours from neighbouring pages.

    Files: `vectors` (float16[rows, dim], then the row numbers as int64), `codes` (inverted lists of PQ codes, see
    lists.list_offsets), `columns` (arrays), `payloads` (omma.v1.Payload one after the other), `signatures` and
    `postings` (arrays: files of their own, which earlier versions neither wrote nor look for), `segment.json`.
    """

    def __init__(self, folder: Path, codebook: Codebook | None) -> None:
        """Map the files. Raises Corrupt, OSError, or WrongState when the codes are of another codebook."""
        self.name = folder.name
        self.about = _read_about(folder / ABOUT)
        if self.about.codebook is not None and (codebook is None or codebook.id != self.about.codebook):
            raise WrongState(f"Segment {self.name} was encoded with the codebook {self.about.codebook}.")
        self.codebook = codebook if self.about.codebook else None
        self.tenants = self.about.tenants
        self.max_regions = self.about.max_regions
        arrays = read_arrays(folder / COLUMNS)
        self.list_sizes: Int64 = arrays.pop("list_sizes")
        self._payload_ends: Int64 = arrays.pop("payload_ends")
        self._deleted_ids: Int64 = arrays.pop("deleted_ids")
        self._deleted_versions: Int64 = arrays.pop("deleted_versions")
        signatures = _read_signatures(folder / SIGNATURES, arrays["phashes"])
        self._signature_ends: Int64 = signatures["ends"]
        self._signatures: npt.NDArray[np.uint8] = signatures["bytes"]
        self.columns = Columns(**arrays, hashed=signatures["hashed"])
        self.postings = _read_postings(folder / POSTINGS, self.columns)
        # A version that wrote none knew of nothing private.
        self.some_private = self.postings is not None and self.postings.some(AnyOf("private", (True,)))
        self._payloads = map_file(folder / PAYLOADS, random=True)
        rows, dim = self.about.rows, self.about.dim
        self._map = map_file(folder / VECTORS, random=True)
        self.originals: Float16 = np.frombuffer(self._map, np.float16, rows * dim).reshape(rows, dim)
        self._exact = Float16Lists(dim, 1, mapped_lists(folder / VECTORS, np.array([rows]), 2 * dim))
        self._codes: Faiss | None = None
        if self.codebook is not None:
            layout = self.codebook.layout
            self._codes = mapped_lists(folder / CODES, self.list_sizes, layout.code_size, layout.block)
            # The index borrows the codebook's centroids and these lists: both live as long as this segment.
            self._searcher = self.codebook.searcher(self._codes, rows)
            self._code_bytes = map_file(folder / CODES)
        self.clone: GpuClone | None = None

        self.encoded = self.listed = self.codebook is not None

    @property
    def lists(self) -> Int64 | None:
        return np.repeat(np.arange(len(self.list_sizes)), self.list_sizes) if self.encoded else None

    def clone_to_gpu(self) -> None:
        """Search the codes on a GPU from now on; raises RuntimeError when they do not fit it. Needs `gpu_present`.

        Codes of four bits stay on the CPU: a GPU has no fast scan.
        """
        if self.codebook is not None and self.codebook.layout.block == 1 and self.about.rows:
            self.clone = first_device().clone(self._searcher)

    def part(self, dead_rows: Ints | None = None) -> Part:
        """All of it, less the rows that are dead."""
        whole = Part(self, self.columns, None, self.about.rows, len(self.columns.ids))
        if dead_rows is None or not len(dead_rows):
            return whole
        return whole.without(np.unique(self.columns.row_pictures[dead_rows]).tolist())

    def deletes(self) -> tuple[Int64, Int64]:
        """Ids and versions of the deletes that this segment remembers, by id."""
        return self._deleted_ids, self._deleted_versions

    def payload(self, picture: int) -> bytes:
        begin = int(self._payload_ends[picture - 1]) if picture else 0
        return self._payloads[begin : int(self._payload_ends[picture])].tobytes()

    def signature(self, picture: int) -> bytes:
        begin = int(self._signature_ends[picture - 1]) if picture else 0
        return self._signatures[begin : int(self._signature_ends[picture])].tobytes()

    def payloads(self, pictures: Int64) -> tuple[npt.NDArray[np.uint8], Int64]:
        return _runs(self._payloads, self._payload_ends, pictures)

    def signatures(self, pictures: Int64) -> tuple[npt.NDArray[np.uint8], Int64]:
        return _runs(self._signatures, self._signature_ends, pictures)

    def read_soon(self, rows: Int64) -> None:
        row_bytes = 2 * self.about.dim
        soon(self._map, int(rows.min()) * row_bytes, (int(rows.max()) + 1) * row_bytes)

    def vectors(self, rows: Ints) -> Float16:
        return self.originals.take(rows, axis=0)

    def codes(self, rows: Ints) -> npt.NDArray[np.uint8]:
        """PQ codes uint8[n, code_size] of rows."""
        assert self.codebook is not None, "only an encoded segment has codes"
        layout = self.codebook.layout
        first = np.cumsum(self.list_sizes) - self.list_sizes
        of_list = np.searchsorted(first, rows, side="right") - 1
        lists = list_offsets(self.list_sizes, layout.code_size, layout.block)[of_list]
        return layout.unpack(self._code_bytes, lists, rows - first[of_list])

    def scan(self, queries: Float32, count: int, keys: Int64 | None, selector: Faiss | None) -> tuple[Float32, Int64]:
        """Exact over all rows: 2.2 ms for 113,184 x 256. keys are not looked at: the originals are one list."""
        parameters = None if selector is None else faiss.SearchParametersIVF(nprobe=1, sel=selector)
        return self._exact.search(queries, count, np.zeros((len(queries), 1), np.int64), parameters)

    def candidates(
        self, rotated: Float32, count: int, probed: tuple[Int64, Float32], parameters: Faiss | None
    ) -> tuple[Float32, Int64]:
        """PQ estimates and rows [b, count] in the probed lists with their coarse scores [b, n]; -1 for none."""
        return preassigned(self._searcher, rotated, count, probed, parameters)

    def locate(self, ids: Int64, pictures: int) -> Int64:
        return _find(self.columns.ids[:pictures], ids)

    def buried(self, ids: Int64) -> Int64:
        at = _find(self._deleted_ids, ids)
        return np.where(at < 0, -1, self._deleted_versions[at]) if len(self._deleted_ids) else at


def verify(folder: Path, file: FileSum) -> None:
    """Raises Corrupt when it is absent, cut or changed. Reads all of it: 1.5 GB/s on one core."""
    path = folder / file.path
    if not path.is_file() or path.stat().st_size != file.bytes or file_sum(path, folder).sha256 != file.sha256:
        raise Corrupt(f"{file.path} does not have the checksum that the manifest gives.")


def file_sum(path: Path, folder: Path) -> FileSum:
    """Size and checksum of a file under folder."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileSum(path.relative_to(folder).as_posix(), path.stat().st_size, digest)


def dead_rows(part: Part) -> Int64:
    """Row numbers that are not live, rising."""
    return np.flatnonzero(~part.live_mask())


def _runs(content: npt.NDArray[np.uint8], ends: Int64, wanted: Int64) -> tuple[npt.NDArray[np.uint8], Int64]:
    positions, new_ends = take_runs(ends, wanted)
    return content.take(positions), new_ends - starts(new_ends)


def _find(sorted_ids: Int64, ids: Int64) -> Int64:
    if not len(sorted_ids):
        return np.full(len(ids), -1, np.int64)
    at = np.minimum(np.searchsorted(sorted_ids, ids), len(sorted_ids) - 1)
    return np.where(sorted_ids[at] == ids, at, -1)


def _read_signatures(path: Path, phashes: UInt64) -> dict[str, npt.NDArray[Any]]:
    if path.exists():
        return read_arrays(path)
    # Of an earlier version, which gave 0 for no pHash.
    return {"hashed": phashes != 0, "ends": np.zeros(len(phashes), np.int64), "bytes": np.empty(0, np.uint8)}


def _read_postings(path: Path, columns: Columns) -> Postings | None:
    return Postings(columns, Orders(**read_arrays(path))) if path.exists() else None


def _read_about(path: Path) -> About:
    try:
        value = json.loads(path.read_bytes())
        return About(
            value["dim"], value["rows"], value["codebook"], value["max_regions"], tuple(map(str, value["tenants"]))
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt(f"{path.parent.name}/{path.name} cannot be read: {error}.") from None


__all__ = [
    "ABOUT",
    "CODES",
    "COLUMNS",
    "ID_BYTES",
    "PAYLOADS",
    "POSTINGS",
    "SIGNATURES",
    "VECTORS",
    "About",
    "Segment",
    "verify",
]
