"""A sealed segment's pictures in order of each field that a filter can name, so that few are found without reading all.

Postings narrow, columns decide: what they give holds every picture that a filter keeps, and `filtering` looks at each.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from omma.filters import TRUTH_FIELDS, And, AnyOf, Between, Filter, Not, Or, Value
from omma.vectors import Int64
from services.nn_shard.engine.columns import Columns, UInt32, starts, term_key, text_key
from services.nn_shard.engine.filtering import KEYS, NUMBERS

_WORTH: Final = 8
"""Narrowed to more than one of so many pictures, reading the columns whole is as fast: they are read in order."""

Column: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Orders:
    """What is stored. By picture: uint32[n] each, positions in order of the value and then of the picture. By term:
    terms uint32[t], positions in order of the key; numbers uint32[m], those of terms that are numbers, in order of the
    field and then of the number; pictures uint32[t], whose each term is. 28 bytes a picture, up to 12 a term.
    """

    tenants: UInt32
    owner: UInt32
    source: UInt32
    source_domain: UInt32
    created_at: UInt32
    width: UInt32
    height: UInt32
    terms: UInt32
    numbers: UInt32
    pictures: UInt32

    def arrays(self) -> dict[str, Column]:
        """Name to array, as they are stored."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def orders_of(columns: Columns) -> Orders:
    """Of a segment's columns: some ten sorts, 1 us a picture; numpy releases the GIL."""
    by_picture = {
        name: _order(getattr(columns, name))
        for name in ("tenants", "owner", "source", "source_domain", "created_at", "width", "height")
    }
    numeric = np.flatnonzero(~np.isnan(columns.term_numbers))
    by_number = numeric[np.lexsort((columns.term_numbers[numeric], columns.term_fields[numeric]))]
    lengths = columns.term_ends - starts(columns.term_ends)
    return Orders(
        **by_picture,
        terms=_order(columns.term_keys),
        numbers=by_number.astype(np.uint32),
        pictures=np.repeat(np.arange(len(columns.ids), dtype=np.uint32), lengths),
    )


def _order(column: Column) -> UInt32:
    return np.argsort(column, kind="stable").astype(np.uint32)


class _Run(NamedTuple):
    """A piece of an order; of: whose each is, where the order is one of terms."""

    at: UInt32
    of: UInt32 | None = None

    def pictures(self) -> UInt32:
        return self.at if self.of is None else self.of[self.at]


class Postings:
    """Finds by value; holds nothing. A look costs some 10 us: both ends of a run by bisection in the mapped file."""

    def __init__(self, columns: Columns, orders: Orders) -> None:
        self._columns, self._orders = columns, orders

    def narrowed(self, tenant: int | None, filter: Filter | None) -> Int64 | None:
        """int64[m], rising: positions of pictures among which are all of the tenant's (by its code) that the filter
        keeps; None where that may be most of them.
        """
        fewest = _fewest(
            [
                None if tenant is None else self._equal("tenants", (tenant,)),
                None if filter is None else self._runs(filter),
            ]
        )
        if fewest is None or _count(fewest) * _WORTH > len(self._columns.ids):
            return None
        pictures = np.concatenate([np.empty(0, np.uint32), *(run.pictures() for run in fewest)])
        # Runs of several values meet, and those of a range lie by value. What rises is merged, not sorted.
        pictures.sort(kind="stable")
        first = np.ones(len(pictures), np.bool_)
        np.not_equal(pictures[1:], pictures[:-1], out=first[1:])
        return pictures[first].astype(np.int64)

    def some(self, term: AnyOf) -> bool:
        """Whether a picture, live or not, may have it."""
        runs = self._runs(term)
        return runs is None or _count(runs) > 0

    def _runs(self, filter: Filter) -> list[_Run] | None:
        """Runs that hold every picture that the filter keeps; None where postings cannot say."""
        match filter:
            case And(parts):
                return _fewest([self._runs(part) for part in parts])
            case Or(parts):
                every = [self._runs(part) for part in parts]
                return None if None in every else [run for runs in every if runs for run in runs]
            case Not():
                return None
            case AnyOf(field, values):
                return self._any_of(field, values)
            case Between():
                return self._between(filter)

    def _any_of(self, field: str, values: Sequence[Value]) -> list[_Run] | None:
        if field in KEYS:
            return self._equal(field, [text_key(str(value)) for value in values])
        if field in NUMBERS:
            return self._equal(field, [float(value) for value in values])
        if field in TRUTH_FIELDS and False in values:
            return None  # only what is true is a term
        keys = [key for value in values if (key := term_key(field, value)) is not None]
        return self._of_terms(_equal(self._orders.terms, self._columns.term_keys, keys))

    def _between(self, bounds: Between) -> list[_Run]:
        if bounds.field in NUMBERS:
            return [_Run(_inside(getattr(self._orders, bounds.field), getattr(self._columns, bounds.field), bounds))]
        of_field = _equal(self._orders.numbers, self._columns.term_fields, [text_key(bounds.field)])
        return self._of_terms([_inside(run, self._columns.term_numbers, bounds) for run in of_field])

    def _equal(self, name: str, values: Sequence[float]) -> list[_Run]:
        return [_Run(run) for run in _equal(getattr(self._orders, name), getattr(self._columns, name), values)]

    def _of_terms(self, runs: Sequence[UInt32]) -> list[_Run]:
        return [_Run(run, self._orders.pictures) for run in runs]


def _count(runs: Sequence[_Run]) -> int:
    return sum(len(run.at) for run in runs)


def _fewest(every: Sequence[list[_Run] | None]) -> list[_Run] | None:
    return min((runs for runs in every if runs is not None), key=_count, default=None)


def _equal(order: UInt32, column: Column, values: Sequence[float]) -> list[UInt32]:
    """The run of each value."""
    runs = []
    for value in values:
        begin = bisect_left(order, value, key=column.__getitem__)
        runs.append(order[begin : bisect_right(order, value, lo=begin, key=column.__getitem__)])
    return runs


def _inside(order: UInt32, column: Column, bounds: Between) -> UInt32:
    first, last = bisect_right if bounds.low_open else bisect_left, bisect_left if bounds.high_open else bisect_right
    begin = first(order, bounds.low, key=column.__getitem__)
    return order[begin : last(order, bounds.high, lo=begin, key=column.__getitem__)]
