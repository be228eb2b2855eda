"""Equal scores at the edge of what is kept: the lowest ids stay, wherever their rows lie, so that replicas agree.

FAISS keeps any of them. What it left out is looked for in the order of ids, some thousand rows at a time, until there
are enough: a million copies of one picture cost what the first few thousand do.
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from omma.vectors import Float32, Int64
from services.nn_shard.engine.columns import Bools, take_runs
from services.nn_shard.engine.part import Part, row_bits
from services.nn_shard.engine.rescore import Scratch
from services.nn_shard.engine.segment import Segment
from services.nn_shard.engine.selection import Selection

Code: TypeAlias = npt.NDArray[np.uint8]

_PICTURES: Final = 4_096
"""At a time: 2 MB of originals at 256 dimensions, scored in 0.5 ms."""
_CODES: Final = 8_192
"""At a time: with what picks them, 5 MB at 64 bytes a code."""


def lowest_equals(
    part: Part, chosen: Selection, query: Float32, *, score: np.float32, wanted: int, scratch: Scratch
) -> tuple[Float32, Int64]:
    """The rows that score this, exactly, of the lowest ids: `wanted` at most, and their scores.

    query: float32[1, dim]. Reads originals, all of the part's in the worst case: 90 ms for a million rows of 256.
    """
    found: list[Int64] = []
    missing = wanted
    for some in _by_id(part):
        rows = some[_selected(part, chosen, some)]
        if not len(rows):
            continue
        equals = rows[scratch.scores(query, part.store.vectors(rows)) == score]
        found.append(equals)
        missing -= len(equals)
        if missing <= 0:
            break
    rows = np.concatenate([np.empty(0, np.int64), *found])[:wanted]
    return np.full(len(rows), score, np.float32), rows


def lowest_of_codes(part: Part, chosen: Selection, known: Int64, wanted: int) -> Int64:
    """Of the rows whose list and PQ code are those of a known row: `wanted` of the lowest ids, for each of the codes.

    Their estimates are equal. Other codes can come to the same estimate; one of which FAISS returned no row is missed.
    """
    segment = part.store
    assert isinstance(segment, Segment), "only segments are encoded"
    lists = np.searchsorted(np.cumsum(segment.list_sizes), known, side="right")
    codes = segment.codes(known)
    _, first = np.unique(np.column_stack([lists, codes]), axis=0, return_index=True)
    found = [_of_code(part, chosen, int(lists[at]), codes[at], wanted) for at in first.tolist()]
    return np.concatenate(found)


def _of_code(part: Part, chosen: Selection, number: int, code: Code, wanted: int) -> Int64:
    segment = part.store
    assert isinstance(segment, Segment), "only segments are encoded"
    end = int(np.cumsum(segment.list_sizes)[number])
    found: list[Int64] = []
    missing = wanted
    # Within a list rows lie in the order of their ids.
    for begin in range(end - int(segment.list_sizes[number]), end, _CODES):
        some = np.arange(begin, min(begin + _CODES, end))
        rows = some[_selected(part, chosen, some)]
        equals = rows[(segment.codes(rows) == code).all(axis=1)][:missing]
        found.append(equals)
        missing -= len(equals)
        if missing <= 0:
            break
    return np.concatenate([np.empty(0, np.int64), *found])


def _by_id(part: Part) -> Iterator[Int64]:
    """Rows of the part, those of the lowest ids first."""
    columns = part.columns
    order = np.argsort(columns.ids, kind="stable")
    for begin in range(0, len(order), _PICTURES):
        positions, _ = take_runs(columns.row_ends, order[begin : begin + _PICTURES])
        yield columns.picture_rows[positions].astype(np.int64)


def _selected(part: Part, chosen: Selection, rows: Int64) -> Bools:
    kept = np.ones(len(rows), np.bool_) if part.live is None else row_bits(part.live, rows)
    return kept if chosen.bits is None else kept & row_bits(chosen.bits, rows)
