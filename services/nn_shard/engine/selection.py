"""Which rows of a part a search may answer with: tenant, filter and regions as bits, or as few rows."""

from dataclasses import dataclass

import numpy as np

from omma.filters import Filter
from omma.vectors import Int64
from omma.viewing import visible
from services.nn_shard.engine.bytebound import ByteBound
from services.nn_shard.engine.columns import Bools, Columns, take_runs
from services.nn_shard.engine.filtering import pictures_kept
from services.nn_shard.engine.options import SearchOptions
from services.nn_shard.engine.part import Bits, Part, row_bits
from services.nn_shard.engine.swig import Faiss, faiss


@dataclass(frozen=True, slots=True)
class Selection:
    """count: rows selected, live or not. rows: their numbers, rising, when they are few.

    Otherwise bits: of all rows, and lists: bool[nlist], the lists that hold one. Neither: every row.
    """

    count: int
    rows: Int64 | None = None
    bits: Bits | None = None
    lists: Bools | None = None

    @property
    def bytes(self) -> int:
        return 256 + sum(array.nbytes for array in (self.rows, self.bits, self.lists) if array is not None)


class Selector:
    """Finds selections, and keeps those of sealed segments, whose rows never change."""

    def __init__(self, few_rows: int, cache_bytes: int) -> None:
        self._few_rows = few_rows
        self._cache: ByteBound[Selection] = ByteBound(cache_bytes)

    def select(self, part: Part, options: SearchOptions) -> Selection | None:
        """None when the part has no such row. A repeated filter costs 2 us a segment. A new one of which postings
        know that it keeps few costs 0.1 us for each of these; another 1 to 30 ms a million rows."""
        tenants = part.store.tenants
        one_tenant = len(tenants) == 1
        whole_only = not options.use_crops and part.store.max_regions > 1
        if one_tenant and tenants[0] != options.tenant:
            return None
        filter = visible(options.filter, options.visible_to) if part.store.some_private else options.filter
        if one_tenant and filter is None and not whole_only:
            return Selection(part.rows)
        # A head's rows change under its name: the number of rows is part of the key.
        key = (part.store.name, part.rows, options.tenant, filter, whole_only)
        found = self._cache.get(key)
        if found is None:
            found = self._evaluate(part, options.tenant, filter, whole_only)
            self._cache.put(key, found, found.bytes)
        return found if found.count else None

    def _evaluate(self, part: Part, name: str, filter: Filter | None, whole_only: bool) -> Selection:
        columns, tenants = part.columns, part.store.tenants
        if name not in tenants:
            return Selection(0)
        tenant = tenants.index(name) if len(tenants) > 1 else None
        postings = part.store.postings
        narrowed = None if postings is None else postings.narrowed(tenant, filter)
        if narrowed is not None:
            rows = _rows(columns, narrowed[_kept(columns, narrowed, tenant, filter)])
            if whole_only:
                rows = rows[columns.regions[rows] == 0]
            if len(rows) <= self._few_rows:
                return Selection(len(rows), rows=rows)
            return Selection(len(rows), bits=_bits(rows, part.rows), lists=_lists_of(part, rows))
        mask: Bools = _kept(columns, None, tenant, filter)[columns.row_pictures]
        if whole_only:
            mask &= columns.regions == 0
        count = int(np.count_nonzero(mask))
        if count == part.rows:
            return Selection(count)
        if count <= self._few_rows:
            return Selection(count, rows=np.flatnonzero(mask))
        return Selection(count, bits=np.packbits(mask, bitorder="little"), lists=_lists_with(part, mask))


def _kept(columns: Columns, pictures: Int64 | None, tenant: int | None, filter: Filter | None) -> Bools:
    """bool[n]: which of these pictures, or of all, are the tenant's (None: all are) and pass the filter."""
    kept = np.ones(len(columns.ids) if pictures is None else len(pictures), np.bool_)
    if tenant is not None:
        kept &= (columns.tenants if pictures is None else columns.tenants[pictures]) == tenant
    if filter is not None:
        kept &= pictures_kept(filter, columns, pictures)
    return kept


def _rows(columns: Columns, pictures: Int64) -> Int64:
    """The rows of these pictures, rising."""
    at, _ = take_runs(columns.row_ends, pictures)
    return np.sort(columns.picture_rows[at]).astype(np.int64)


def _bits(rows: Int64, count: int) -> Bits:
    """One bit a row, of rows that rise: touches no byte but theirs."""
    bits = np.zeros((count + 7) >> 3, np.uint8)
    of_byte = rows >> 3
    first = np.flatnonzero(np.diff(of_byte, prepend=-1))
    bits[of_byte[first]] = np.bitwise_or.reduceat((1 << (rows & 7)).astype(np.uint8), first)
    return bits


def _lists_of(part: Part, rows: Int64) -> Bools | None:
    sizes = part.store.list_sizes
    if sizes is None:
        return None
    some = np.zeros(len(sizes), np.bool_)
    some[np.searchsorted(np.cumsum(sizes), rows, side="right")] = True
    return some


def _lists_with(part: Part, mask: Bools) -> Bools | None:
    sizes = part.store.list_sizes
    if sizes is None:
        return None
    before = np.concatenate([[0], np.cumsum(mask)])
    ends = np.cumsum(sizes)
    some: Bools = before[ends] > before[ends - sizes]
    return some


def live_rows(part: Part, rows: Int64) -> Int64:
    """Those of the rows that are live."""
    return rows if part.live is None else rows[row_bits(part.live, rows)]


def parameters(part: Part, selection: Selection, probes: int) -> Faiss | None:
    """FAISS parameters that let only live selected rows pass; None when every row does. Kept with the part."""
    if selection.bits is None and part.live is None:
        return None
    key = (id(selection) if selection.bits is not None else None, probes)
    found = part.cache.get(key)
    if found is None:
        both = [bits for bits in (part.live, selection.bits) if bits is not None]
        bits = both[0] if len(both) == 1 else both[0] & both[1]
        chosen = faiss.IDSelectorBitmap(bits)
        # The selection is held as well: its id is the key, and must not be given to another.
        found = faiss.SearchParametersIVF(nprobe=probes, sel=chosen), chosen, bits, selection
        part.cache.put(key, found, 1_024 + (0 if bits is part.live else bits.nbytes))
    return found[0]
