"""The head: recent rows as float16 in memory, in lists of the codebook's coarse centroids, or one list before it."""

import itertools
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from omma.vectors import Float16, Float32, Int64
from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.columns import Columns, Growing
from services.nn_shard.engine.incoming import Incoming
from services.nn_shard.engine.latch import Latch
from services.nn_shard.engine.lists import Float16Lists
from services.nn_shard.engine.part import Part
from services.nn_shard.engine.swig import Faiss, faiss

Ints: TypeAlias = npt.NDArray[np.integer[Any]]
_ALL_IN_ONE = np.zeros((1, 1), np.int64)
_MANY_ROWS: Final = 1_024
"""From so many on, rows are read list by list."""
_HELD_ROWS: Final = 128
"""Added at a time while scans wait, and the loop that they run on with them: not all 2,000 of a poll."""


class Head:
    """Grows by `append` (writer thread); parts taken before do not see what came after. A store, as segments are.

    fit: sum of the rows' inner products with their lists' centroids; its mean falls when pictures drift.
    """

    encoded = False
    list_sizes = None
    postings = None

    def __init__(self, dim: int, codebook: Codebook | None) -> None:
        self.name = uuid.uuid4().hex
        self.codebook = codebook
        self._dim = dim
        self._scanner = Float16Lists(dim, codebook.nlist if codebook else 1)
        self._latch = Latch()
        self._columns = {
            "ids": Growing(np.int64), "versions": Growing(np.int64), "tenants": Growing(np.uint32),
            "phashes": Growing(np.uint64), "hashed": Growing(np.bool_), "created_at": Growing(np.int64),
            "width": Growing(np.int32), "height": Growing(np.int32), "owner": Growing(np.uint64),
            "source": Growing(np.uint64), "source_domain": Growing(np.uint64), "term_ends": Growing(np.int64),
            "term_keys": Growing(np.uint64), "term_fields": Growing(np.uint64), "term_numbers": Growing(np.float64),
            "row_ends": Growing(np.int64), "picture_rows": Growing(np.int32), "row_pictures": Growing(np.int32),
            "regions": Growing(np.uint16), "boxes": Growing(np.int32, 4),
        }  # fmt: skip
        self._row_list = Growing(np.int64)
        self._row_offset = Growing(np.int64)
        self._payloads: list[bytes] = []
        self._signatures: list[bytes] = []
        self._position: dict[int, int] = {}
        self._before = Growing(np.int64)
        self.deletes: dict[int, int] = {}
        self.tenants: list[str] = []
        self.max_regions = 1
        self.some_private = False
        self.fit = 0.0

    def __len__(self) -> int:
        return len(self._row_list)

    @property
    def listed(self) -> bool:
        return self.codebook is not None

    @property
    def lists(self) -> Int64 | None:
        return None if self.codebook is None else self._row_list.view()

    def bury(self, image_id: int, version: int) -> None:
        """Remember a delete."""
        self.deletes[image_id] = version

    def append(self, records: Sequence[Incoming]) -> None:
        """Add pictures, each id once."""
        if not records:
            return
        self.some_private = self.some_private or any(record.payload.private for record in records)
        first, first_row = len(self._payloads), len(self)
        regions = [record.regions for record in records]
        count, rows = len(records), sum(regions)
        vectors = np.frombuffer(b"".join([record.vectors for record in records]), "<f2").reshape(rows, self._dim)
        ids = [record.image_id for record in records]
        payloads = [record.payload for record in records]
        keys = np.array([record.keys for record in records], np.uint64)
        terms = [term for record in records for term in record.terms]
        term_ends = np.cumsum([len(record.terms) for record in records])
        ends = np.cumsum(regions)
        # All of it is made before the first column grows: what cannot be made leaves them as they are.
        added: dict[str, npt.NDArray[Any]] = {
            "ids": np.array(ids, np.int64),
            "versions": np.array([record.version for record in records], np.int64),
            "tenants": np.array([self._tenant(record.tenant) for record in records], np.uint32),
            "phashes": np.array([record.phash or 0 for record in records], np.uint64),
            "hashed": np.array([record.phash is not None for record in records], np.bool_),
            "created_at": np.array([payload.created_at_ms for payload in payloads], np.int64),
            "width": np.array([payload.width for payload in payloads], np.int32),
            "height": np.array([payload.height for payload in payloads], np.int32),
            "owner": keys[:, 0],
            "source": keys[:, 1],
            "source_domain": keys[:, 2],
            "term_ends": len(self._columns["term_keys"]) + term_ends,
            "term_keys": np.array([term[0] for term in terms], np.uint64),
            "term_fields": np.array([term[1] for term in terms], np.uint64),
            "term_numbers": np.array([term[2] for term in terms], np.float64),
            "row_ends": first_row + ends,
            "picture_rows": np.arange(first_row, first_row + rows),
            "row_pictures": np.repeat(np.arange(first, first + count), regions),
            "regions": np.arange(rows) - np.repeat(ends - regions, regions),
            "boxes": np.array([box for record in records for box in record.boxes], np.int32),
        }
        stored = [payload.SerializeToString() for payload in payloads]
        before = [self._position.get(one, -1) for one in ids]
        self._append_rows(vectors, first_row)
        for name, values in added.items():
            self._columns[name].extend(values, len(values))
        self._payloads.extend(stored)
        self._signatures.extend([record.signature for record in records])
        self._before.extend(before, count)
        self._position.update(zip(ids, range(first, first + count), strict=True))
        self.max_regions = max(self.max_regions, *regions)

    def columns(self) -> Columns:
        """Everything appended so far; what is appended later does not show."""
        return Columns(**{name: column.view() for name, column in self._columns.items()})

    def grown(self, before: Part | None) -> Part:
        """The part after an append: `before`, with the rows that are new since all live."""
        columns = self.columns()
        rows, pictures = len(columns.row_pictures), len(columns.ids)
        if before is None:
            return Part(self, columns, _bits(rows), rows, pictures)
        # The head always has live bits: they also keep a scan from seeing rows that came after its part.
        live = _bits(rows)
        if before.live is not None and before.rows:
            kept = before.rows >> 3
            live[:kept] = before.live[:kept]
            if before.rows & 7:
                live[kept] = (live[kept] & (0xFF << (before.rows & 7) & 0xFF)) | (
                    before.live[kept] & ((1 << (before.rows & 7)) - 1)
                )
        new_rows, new_pictures = rows - before.rows, pictures - len(before.columns.ids)
        return Part(self, columns, live, before.live_rows + new_rows, before.live_pictures + new_pictures)

    def payload(self, picture: int) -> bytes:
        return self._payloads[picture]

    def signature(self, picture: int) -> bytes:
        return self._signatures[picture]

    def payloads(self, pictures: Int64) -> tuple[npt.NDArray[np.uint8], Int64]:
        return _end_to_end([self._payloads[one] for one in pictures.tolist()])

    def signatures(self, pictures: Int64) -> tuple[npt.NDArray[np.uint8], Int64]:
        return _end_to_end([self._signatures[one] for one in pictures.tolist()])

    def read_soon(self, rows: Int64) -> None:
        """They are in memory."""

    def vectors(self, rows: Ints) -> Float16:
        lists, offsets = self._row_list.view()[rows], self._row_offset.view()[rows]
        found = np.empty((len(rows), self._dim), np.float16)
        if len(rows) >= _MANY_ROWS:
            self._copy_by_list(lists, offsets, found)
            return found
        read, size = self._scanner.lists.get_single_code, 2 * self._dim
        with self._latch.reading():
            for at, (key, offset) in enumerate(zip(lists.tolist(), offsets.tolist(), strict=True)):
                found[at] = faiss.rev_swig_ptr(read(key, offset), size).view(np.float16)
        return found

    def scan(self, queries: Float32, count: int, keys: Int64 | None, selector: Faiss | None) -> tuple[Float32, Int64]:
        if self.codebook is None:
            keys = np.repeat(_ALL_IN_ONE, len(queries), 0)
        elif keys is None:
            keys = np.repeat(np.arange(self.codebook.nlist)[None], len(queries), 0)
        parameters = faiss.SearchParametersIVF(nprobe=keys.shape[1], sel=selector)
        with self._latch.reading():
            return self._scanner.search(queries, count, keys, parameters)

    def locate(self, ids: Int64, pictures: int) -> Int64:
        find = self._position.get
        at = np.array([find(image_id, -1) for image_id in ids.tolist()], np.int64)
        # A picture that was changed since lies further back: an older part still holds it there.
        before = self._before.view()
        while (later := np.flatnonzero(at >= pictures)).size:
            at[later] = before[at[later]]
        return at

    def buried(self, ids: Int64) -> Int64:
        find = self.deletes.get
        return np.array([find(image_id, -1) for image_id in ids.tolist()], np.int64)

    def _append_rows(self, vectors: Float16, first_row: int) -> None:
        count = len(vectors)
        keys = np.zeros(count, np.int64)
        if self.codebook is not None:
            lists, scores = self.codebook.assign(self.codebook.rotate(vectors.astype(np.float32)), 1)
            keys = lists[:, 0]
            self.fit += float(scores.sum())
        order = np.argsort(keys, kind="stable")
        numbers = np.ascontiguousarray(first_row + order)
        codes = vectors[order].view(np.uint8)
        offsets = np.empty(count, np.int64)
        grown, pointer = self._scanner.lists, faiss.swig_ptr
        for runs in _few_rows_at_a_time(keys[order]):
            # Rows that no view knows yet may lie among the others: live bits keep scans from them.
            with self._latch.writing():
                for key, begin, end in runs:
                    at = grown.add_entries(key, end - begin, pointer(numbers[begin:]), pointer(codes[begin:]))
                    offsets[order[begin:end]] = np.arange(at, at + end - begin)
        self._row_list.extend(keys, count)
        self._row_offset.extend(offsets, count)

    def _copy_by_list(self, lists: Int64, offsets: Int64, found: Float16) -> None:
        """What sealing reads: row by row it took 6 us each, as much as encoding them."""
        order = np.argsort(lists, kind="stable")
        unique, begins = np.unique(lists[order], return_index=True)
        ends = [*begins[1:].tolist(), len(order)]
        grown = self._scanner.lists
        for key, begin, end in zip(unique.tolist(), begins.tolist(), ends, strict=True):
            at = order[begin:end]
            with self._latch.reading():
                codes = faiss.rev_swig_ptr(grown.get_codes(key), grown.list_size(key) * 2 * self._dim)
                found[at] = codes.view(np.float16).reshape(-1, self._dim)[offsets[at]]

    def _tenant(self, tenant: str) -> int:
        try:
            return self.tenants.index(tenant)
        except ValueError:
            self.tenants.append(tenant)
            return len(self.tenants) - 1


def _few_rows_at_a_time(keys: Int64) -> Iterator[list[tuple[int, int, int]]]:
    """key, begin, end of runs of equal keys, which lie in order: at most _HELD_ROWS of them together."""
    cuts = np.union1d(np.flatnonzero(np.diff(keys)) + 1, np.arange(0, len(keys), _HELD_ROWS)).tolist()
    runs: list[tuple[int, int, int]] = []
    for begin, end in itertools.pairwise([*cuts, len(keys)]):
        runs.append((int(keys[begin]), begin, end))
        if end % _HELD_ROWS == 0 or end == len(keys):
            yield runs
            runs = []


def _end_to_end(pieces: Sequence[bytes]) -> tuple[npt.NDArray[np.uint8], Int64]:
    return np.frombuffer(b"".join(pieces), np.uint8), np.array([len(one) for one in pieces], np.int64)


def _bits(rows: int) -> npt.NDArray[np.uint8]:
    """`rows` ones, and zeros after them."""
    bits = np.full((rows + 7) >> 3, 255, np.uint8)
    if rows & 7:
        bits[-1] = (1 << (rows & 7)) - 1
    return bits
