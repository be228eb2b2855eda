"""A part of the engine as a search sees it: the head or one sealed segment, at one moment."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from omma.vectors import Float16, Float32, Int64
from services.nn_shard.engine.bytebound import ByteBound
from services.nn_shard.engine.columns import Bools, Columns
from services.nn_shard.engine.postings import Postings
from services.nn_shard.engine.swig import Faiss

_CACHE_BYTES = 4_194_304

Bits = npt.NDArray[np.uint8]
"""One bit a row, row i in bit i & 7 of byte i >> 3: the layout of faiss.IDSelectorBitmap."""


class Store(Protocol):
    """What holds a part's rows. Everything but the head's growth is immutable."""

    @property
    def name(self) -> str:
        """Unique for ever."""

    @property
    def tenants(self) -> Sequence[str]: ...

    @property
    def listed(self) -> bool:
        """Rows have lists of the codebook; otherwise only an exact scan finds them."""

    @property
    def lists(self) -> Int64 | None:
        """int64[rows]: the codebook's list of each row; None unless `listed`. Made anew: 50 us for 100,000."""

    @property
    def list_sizes(self) -> Int64 | None:
        """int64[nlist]: rows of each list, when rows lie in order of their list."""

    @property
    def max_regions(self) -> int: ...

    @property
    def some_private(self) -> bool:
        """Whether a picture is private; true before one can be found."""

    @property
    def postings(self) -> Postings | None:
        """None where columns are always read whole: a head's, and a segment's of an earlier version."""

    @property
    def encoded(self) -> bool:
        """PQ codes exist: search the codes, then rescore."""

    def payload(self, picture: int) -> bytes: ...

    def signature(self, picture: int) -> bytes: ...

    def payloads(self, pictures: Int64) -> tuple[npt.NDArray[np.uint8], Int64]:
        """Of many, one after the other, and how long each is."""

    def signatures(self, pictures: Int64) -> tuple[npt.NDArray[np.uint8], Int64]:
        """As payloads."""

    def read_soon(self, rows: Int64) -> None:
        """The vectors of these rows, all near each other, are read next."""

    def vectors(self, rows: npt.NDArray[np.integer[Any]]) -> Float16:
        """float16[n, dim] of rows, read in the order given."""

    def scan(self, queries: Float32, count: int, keys: Int64 | None, selector: Faiss | None) -> tuple[Float32, Int64]:
        """Exact scores and rows, [b, count] each, -1 for none; keys: only these lists of each query."""

    def locate(self, ids: Int64, pictures: int) -> Int64:
        """int64[n]: position of each id's newest picture among the first `pictures`, -1 where there is none."""

    def buried(self, ids: Int64) -> Int64:
        """int64[n]: version of each id's delete in this part, -1 where there is none."""


class Part:
    """A store with the rows that were live at one moment.

    live: None while every row is. Immutable; `without` gives the next one. cache: FAISS parameters of this very moment.
    """

    __slots__ = ("_bits", "cache", "columns", "live", "live_pictures", "live_rows", "rows", "store")

    def __init__(self, store: Store, columns: Columns, live: Bits | None, live_rows: int, live_pictures: int) -> None:
        self.store = store
        self.columns = columns
        self.rows = len(columns.row_pictures)
        self.live = live
        self.live_rows = live_rows
        self.live_pictures = live_pictures
        self.cache: ByteBound[tuple[Faiss, ...]] = ByteBound(_CACHE_BYTES)

    def locate(self, ids: Int64) -> Int64:
        """int64[n]: position of each id's newest picture in this part, -1 where there is none."""
        return self.store.locate(ids, len(self.columns.ids))

    def pictures_live(self, pictures: npt.NDArray[np.integer[Any]]) -> Bools:
        """bool[n]: whether the pictures at these positions are live."""
        if self.live is None:
            return np.ones(len(pictures), np.bool_)
        ends = self.columns.row_ends[pictures]
        return row_bits(self.live, self.columns.picture_rows[ends - 1])

    def without(self, pictures: Sequence[int]) -> "Part":
        """This part with the pictures at these positions hidden; those already hidden count once."""
        at = np.unique(np.asarray(pictures, np.int64))
        at = at[self.pictures_live(at)]
        if not len(at):
            return self
        rows = np.concatenate([self.columns.rows_of(int(picture)) for picture in at])
        live = np.full((self.rows + 7) >> 3, 255, np.uint8) if self.live is None else self.live.copy()
        np.bitwise_and.at(live, rows >> 3, ~np.left_shift(1, rows & 7).astype(np.uint8))
        return Part(self.store, self.columns, live, self.live_rows - len(rows), self.live_pictures - len(at))

    def live_mask(self) -> Bools:
        """bool[rows]."""
        if self.live is None:
            return np.ones(self.rows, np.bool_)
        return np.unpackbits(self.live, count=self.rows, bitorder="little").view(np.bool_)


def row_bits(bits: Bits, rows: npt.NDArray[np.integer[Any]]) -> Bools:
    """bool[n]: the bits of these rows."""
    set_bits: Bools = (bits[rows >> 3] >> (rows & 7).astype(np.uint8)) & 1 != 0
    return set_bits
