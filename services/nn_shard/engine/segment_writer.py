"""Writing a segment from the live rows of heads and other segments."""

import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from omma.vectors import Float32, Int64
from services.nn_shard.engine.arrayfile import sync, sync_folder, write_arrays
from services.nn_shard.engine.codebook import Codebook
from services.nn_shard.engine.columns import Columns, starts, take_runs
from services.nn_shard.engine.lists import ID_BYTES, list_offsets, rooms
from services.nn_shard.engine.part import Part, Store
from services.nn_shard.engine.postings import orders_of
from services.nn_shard.engine.segment import (
    ABOUT,
    CODES,
    COLUMNS,
    PAYLOADS,
    POSTINGS,
    SIGNATURES,
    VECTORS,
    About,
    Segment,
)

Bytes = npt.NDArray[np.uint8]

_CHUNK_ROWS: Final = 8_192
"""Bounds what a merge holds in memory beside the columns: 8,192 x 256 float32 are 8 MB."""


class Abandoned(Exception):
    """Whoever wanted the segment wants it no more."""


def write_segment(
    folder: Path,
    sources: Sequence[Part],
    deletes: tuple[Int64, Int64],
    codebook: Codebook | None,
    dim: int,
    *,
    abandoned: Callable[[], bool] = lambda: False,
) -> Segment:
    """Write the live rows of sources to a new folder below `folder`, durably, and open it.

    deletes: ids and versions to remember, by id. Rows that have a list or codes of this codebook keep them.
    abandoned: looked at every few thousand rows. Raises Abandoned when it says so, OSError when the disk is full; what
    was written is removed then, since on a full disk it is what would keep it full.
    Runs beside searches and applies: sources are immutable. Blocks on disk; FAISS and numpy release the GIL.
    """
    target = folder / uuid.uuid4().hex
    try:
        target.mkdir(parents=True)
        _write(target, _Build(sources, codebook, dim, abandoned), deletes, codebook, dim)
        sync_folder(folder)
        return Segment(target, codebook)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _write(target: Path, build: "_Build", deletes: tuple[Int64, Int64], codebook: Codebook | None, dim: int) -> None:
    columns = build.columns()
    write_arrays(target / POSTINGS, orders_of(columns).arrays())
    arrays = columns.arrays()
    write_arrays(target / SIGNATURES, {"hashed": arrays.pop("hashed"), **build.signatures()})
    arrays |= {"list_sizes": build.list_sizes, "deleted_ids": deletes[0], "deleted_versions": deletes[1]}
    arrays["payload_ends"] = build.write_payloads(target / PAYLOADS)
    write_arrays(target / COLUMNS, arrays)
    build.write_vectors(target / VECTORS)
    if codebook is not None:
        build.write_codes(target / CODES, codebook)
    about = About(dim, build.rows, codebook.id if codebook else None, build.max_regions, tuple(build.tenants))
    with (target / ABOUT).open("xb") as file:
        file.write(json.dumps(asdict(about)).encode())
        sync(file)
    sync_folder(target)


class _Build:
    """The order of pictures (by id) and rows (by list, then id, then region), and where each comes from."""

    def __init__(
        self, sources: Sequence[Part], codebook: Codebook | None, dim: int, abandoned: Callable[[], bool]
    ) -> None:
        self._sources = sources
        self._abandoned = abandoned
        self._codebook = codebook
        self._dim = dim
        kept = [np.flatnonzero(part.pictures_live(np.arange(len(part.columns.ids)))) for part in sources]
        ids = np.concatenate([part.columns.ids[at] for part, at in zip(sources, kept, strict=True)])
        order = np.argsort(ids, kind="stable")
        self._kept = kept
        self._order = order
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        self._tenant_codes()
        columns: list[tuple[npt.NDArray[Any], ...]] = []
        first = 0
        for number, (part, at) in enumerate(zip(sources, kept, strict=True)):
            positions, _ = take_runs(part.columns.row_ends, at)
            rows = part.columns.picture_rows[positions].astype(np.int64)
            new_picture = np.full(len(part.columns.ids), -1, np.int64)
            new_picture[at] = place[first : first + len(at)]
            pictures = new_picture[part.columns.row_pictures[rows]]
            columns.append(
                (np.full(len(rows), number), rows, pictures, part.columns.regions[rows], self._lists(part, rows))
            )
            first += len(at)
        source, rows, pictures, regions, lists = (np.concatenate(column) for column in zip(*columns, strict=True))
        by_list = np.lexsort((regions, pictures, lists))
        self._source, self._row = source[by_list], rows[by_list]
        self._picture, self._region, self._list = pictures[by_list], regions[by_list], lists[by_list]
        self.rows = len(by_list)
        self.list_sizes = np.bincount(self._list, minlength=codebook.nlist if codebook else 1).astype(np.int64)
        self.max_regions = int(self._region.max()) + 1 if self.rows else 1

    def columns(self) -> Columns:
        parts = [part.columns for part in self._sources]
        terms = [take_runs(columns.term_ends, at) for columns, at in zip(parts, self._kept, strict=True)]
        counts = np.concatenate([ends - starts(ends) for _, ends in terms])
        term_order, term_ends = take_runs(np.cumsum(counts), self._order)

        def of_pictures(name: str) -> npt.NDArray[Any]:
            return np.concatenate([getattr(c, name)[at] for c, at in zip(parts, self._kept, strict=True)])[self._order]

        def of_terms(name: str) -> npt.NDArray[Any]:
            return np.concatenate([getattr(c, name)[at] for c, (at, _) in zip(parts, terms, strict=True)])[term_order]

        boxes = np.empty((self.rows, 4), np.int32)
        for number, columns in enumerate(parts):
            mine = self._source == number
            boxes[mine] = columns.boxes[self._row[mine]]
        names = (
            "ids",
            "versions",
            "phashes",
            "hashed",
            "created_at",
            "width",
            "height",
            "owner",
            "source",
            "source_domain",
        )
        return Columns(
            **{name: of_pictures(name) for name in names},
            **{name: of_terms(name) for name in ("term_keys", "term_fields", "term_numbers")},
            tenants=self._tenants,
            term_ends=term_ends.astype(np.int64),
            row_ends=np.cumsum(np.bincount(self._picture, minlength=len(self._order))).astype(np.int64),
            picture_rows=np.lexsort((self._region, self._picture)).astype(np.int32),
            row_pictures=self._picture.astype(np.int32),
            regions=self._region.astype(np.uint16),
            boxes=boxes,
        )

    def write_payloads(self, path: Path) -> Int64:
        """Where each picture's payload ends in the file."""
        lengths = []
        with path.open("xb") as file:
            for some, length in self._of_pictures(lambda store, pictures: store.payloads(pictures)):
                file.write(some.data)
                lengths.append(length)
            sync(file)
        return np.cumsum(np.concatenate([np.empty(0, np.int64), *lengths]))

    def signatures(self) -> dict[str, npt.NDArray[Any]]:
        """bytes: one picture's after the other; ends: where each ends."""
        every = list(self._of_pictures(lambda store, pictures: store.signatures(pictures)))
        ends = np.cumsum(np.concatenate([np.empty(0, np.int64), *(lengths for _, lengths in every)]))
        return {"ends": ends, "bytes": np.concatenate([np.empty(0, np.uint8), *(some for some, _ in every)])}

    def _of_pictures(self, read: Callable[[Store, Int64], tuple[Bytes, Int64]]) -> Iterator[tuple[Bytes, Int64]]:
        """What is read of the pictures, in the segment's order and some thousands at a time; and each one's length.

        Without a step of Python a picture: 4 million of them would hold the interpreter for 6 s, beside the searches.
        """
        source = np.concatenate([np.full(len(at), number, np.int32) for number, at in enumerate(self._kept)])
        source, picture = source[self._order], np.concatenate(self._kept)[self._order]
        for begin in self._chunks(len(picture)):
            chunk = slice(begin, begin + _CHUNK_ROWS)
            found = []
            lengths = np.empty(len(source[chunk]), np.int64)
            for number in np.unique(source[chunk]).tolist():
                mine = np.flatnonzero(source[chunk] == number)
                some, lengths[mine] = read(self._sources[number].store, picture[chunk][mine])
                found.append((mine, some))
            begins = starts(np.cumsum(lengths))
            joined = np.empty(int(lengths.sum()), np.uint8)
            for mine, some in found:
                of_mine = lengths[mine]
                own = starts(np.cumsum(of_mine))
                joined[np.repeat(begins[mine] - own, of_mine) + np.arange(len(some))] = some
            yield joined, lengths

    def write_vectors(self, path: Path) -> None:
        with path.open("xb") as file:
            for begin in self._chunks(self.rows):
                file.write(self._vectors(slice(begin, begin + _CHUNK_ROWS)).data)
            file.write(np.arange(self.rows).data)
            sync(file)

    def write_codes(self, path: Path, codebook: Codebook) -> None:
        layout = codebook.layout
        size, block = layout.code_size, layout.block
        offsets, room = list_offsets(self.list_sizes, size, block), rooms(self.list_sizes, block)
        first = np.cumsum(self.list_sizes) - self.list_sizes
        with path.open("xb") as file:
            file.truncate(int(room.sum()) * (size + ID_BYTES))
            for chunk in self._whole_blocks(first, block):
                codes = self._codes(chunk, codebook)
                keys, at, counts = np.unique(self._list[chunk], return_index=True, return_counts=True)
                for key, start, count in zip(keys.tolist(), at.tolist(), counts.tolist(), strict=True):
                    row = chunk.start + start
                    file.seek(int(offsets[key] + (row - first[key]) * size))
                    file.write(layout.pack(codes[start : start + count]).data)
                    file.seek(int(offsets[key] + room[key] * size + (row - first[key]) * ID_BYTES))
                    file.write(np.arange(row, row + count).data)
            sync(file)

    def _whole_blocks(self, first: Int64, block: int) -> Iterator[slice]:
        """Rows some thousands at a time, cut where a block of a list begins. first: row of each list."""
        begin = 0
        while begin < self.rows:
            if self._abandoned():
                raise Abandoned
            end = min(begin + _CHUNK_ROWS, self.rows)
            if end < self.rows:
                end -= int(end - first[self._list[end]]) % block
            yield slice(begin, end)
            begin = end

    def _chunks(self, rows: int) -> Iterator[int]:
        for begin in range(0, rows, _CHUNK_ROWS):
            if self._abandoned():
                raise Abandoned
            yield begin

    def _codes(self, chunk: slice, codebook: Codebook) -> npt.NDArray[np.uint8]:
        codes = np.empty((chunk.stop - chunk.start, codebook.code_size), np.uint8)
        source, rows = self._source[chunk], self._row[chunk]
        for number in np.unique(source).tolist():
            mine = source == number
            store = self._sources[number].store
            if isinstance(store, Segment) and store.encoded:
                codes[mine] = store.codes(rows[mine])
            else:
                vectors = store.vectors(rows[mine]).astype(np.float32)
                codes[mine] = codebook.encode(codebook.rotate(vectors), self._list[chunk][mine])
        return codes

    def _vectors(self, chunk: slice) -> npt.NDArray[np.float16]:
        source, rows = self._source[chunk], self._row[chunk]
        vectors = np.empty((len(rows), self._dim), np.float16)
        for number in np.unique(source).tolist():
            mine = source == number
            store = self._sources[number].store
            store.read_soon(rows[mine])
            vectors[mine] = store.vectors(rows[mine])
        return vectors

    def _lists(self, part: Part, rows: Int64) -> Int64:
        if self._codebook is None:
            return np.zeros(len(rows), np.int64)
        if part.store.lists is not None:
            return part.store.lists[rows]
        lists = np.empty(len(rows), np.int64)
        for begin in self._chunks(len(rows)):
            chunk = slice(begin, begin + _CHUNK_ROWS)
            vectors: Float32 = part.store.vectors(rows[chunk]).astype(np.float32)
            lists[chunk] = self._codebook.assign(self._codebook.rotate(vectors), 1)[0][:, 0]
        # NaN has no nearest list (-1); an older version took it in.
        return np.maximum(lists, 0)

    def _tenant_codes(self) -> None:
        self.tenants: list[str] = []
        codes = []
        for part, at in zip(self._sources, self._kept, strict=True):
            wanted, inverse = np.unique(part.columns.tenants[at], return_inverse=True)
            new = [self._tenant(part.store.tenants[code]) for code in wanted.tolist()]
            codes.append(np.array(new, np.uint32)[inverse])
        self._tenants = np.concatenate(codes)[self._order]

    def _tenant(self, name: str) -> int:
        if name not in self.tenants:
            self.tenants.append(name)
        return self.tenants.index(name)
