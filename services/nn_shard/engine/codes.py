"""How PQ codes lie in an inverted list: one after the other, or packed for FAISS's fast scan."""

from functools import reduce
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from omma.vectors import Int64
from services.nn_shard.engine.swig import Faiss, faiss

Codes = npt.NDArray[np.uint8]

_FAST_SCAN_ROWS = 32


class CodeLayout(Protocol):
    """block: rows that are packed together; a list has room for a multiple of them. code_size: bytes a row."""

    block: int
    code_size: int

    def pack(self, codes: Codes) -> Codes:
        """uint8[n, code_size] as they lie in a list from the beginning of a block on: room for whole blocks."""

    def unpack(self, content: Codes, lists: Int64, places: Int64) -> Codes:
        """uint8[n, code_size] of rows, each by its place, from 0, and the byte of content that its list begins at."""


class OneByOne:
    """Eight bits a sub-quantizer."""

    block = 1

    def __init__(self, code_size: int) -> None:
        self.code_size = code_size

    def pack(self, codes: Codes) -> Codes:
        return codes.reshape(-1)

    def unpack(self, content: Codes, lists: Int64, places: Int64) -> Codes:
        found: Codes = content[(lists + places * self.code_size)[:, None] + np.arange(self.code_size)]
        return found


class InBlocks:
    """Four bits a sub-quantizer, 32 rows interleaved: FAISS keeps its tables in registers and scores 32 rows at once.

    Where each half byte of a block goes is asked of FAISS's own packer, which packs a row at a time: 2 us each.
    """

    block = _FAST_SCAN_ROWS

    def __init__(self, index: Faiss) -> None:
        """index: an IndexIVFPQFastScan."""
        self.code_size = int(index.code_size)
        # [32, halves]: the half byte of the block that holds a row's; [halves of a block]: the other way round.
        self._place_of = _packed_places(index.get_CodePacker(), self.code_size)
        self._half_at = np.argsort(self._place_of, axis=None)

    def pack(self, codes: Codes) -> Codes:
        blocks = -(-len(codes) // self.block)
        halves = np.zeros((blocks * self.block, self.code_size, 2), np.uint8)
        halves[: len(codes), :, 0], halves[: len(codes), :, 1] = codes & 15, codes >> 4
        packed = halves.reshape(blocks, -1)[:, self._half_at].reshape(-1, 2)
        return _bytes_of(packed[:, 0], packed[:, 1])

    def unpack(self, content: Codes, lists: Int64, places: Int64) -> Codes:
        at = self._place_of[places % self.block]
        blocks = lists + places // self.block * (self.block * self.code_size)
        halves = content[blocks[:, None] + (at >> 1)] >> ((at & 1) << 2).astype(np.uint8) & 15
        return _bytes_of(halves[:, 0::2], halves[:, 1::2])


def layout_of(ivf: Faiss) -> CodeLayout:
    """Of an IndexIVFPQ or an IndexIVFPQFastScan."""
    return InBlocks(ivf) if isinstance(ivf, faiss.IndexIVFPQFastScan) else OneByOne(int(ivf.code_size))


def _packed_places(packer: Faiss, code_size: int) -> Int64:
    """int64[32, 2 * code_size]: for each half byte of each row, low one first, where it lies in a packed block.

    Each row's halves hold digits of their own number, sixteen different ones at a time, and are packed alone.
    """
    halves = np.arange(2 * code_size)
    places = np.empty((_FAST_SCAN_ROWS, 2 * code_size), np.int64)
    for row in range(_FAST_SCAN_ROWS):
        digits = (_packed_alone(packer, _joined(halves >> bits & 15), row) << bits for bits in (0, 4, 8))
        number = reduce(np.bitwise_or, digits)
        there = np.flatnonzero(_packed_alone(packer, _joined(np.full_like(halves, 15)), row))
        places[row, number[there]] = there
    return places


def _bytes_of(low: npt.NDArray[Any], high: npt.NDArray[Any]) -> Codes:
    joined: Codes = (low | high << 4).astype(np.uint8, copy=False)
    return joined


def _joined(halves: Int64) -> Codes:
    return _bytes_of(halves[0::2], halves[1::2])


def _packed_alone(packer: Faiss, code: Codes, row: int) -> Int64:
    """The half bytes of a block that holds this code at this row and zeros elsewhere, low one of each byte first."""
    block = np.zeros(packer.block_size, np.uint8)
    packer.pack_1(code, row, block[None])
    return np.stack([block & 15, block >> 4], axis=1).reshape(-1).astype(np.int64)
