"""A filter on columns: one truth value a picture."""

from collections.abc import Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt

from omma.filters import ATTRIBUTES, And, AnyOf, Between, Filter, Not, Or, Value
from services.nn_shard.engine.columns import Bools, Columns, term_key, text_key

_KEYS = {"owner": "owner", "source": "source", "source_domain": "source_domain"}
_NUMBERS = {"created_at": "created_at", "width": "width", "height": "height"}


def pictures_kept(filter: Filter, columns: Columns) -> Bools:
    """bool[n]: which pictures the filter keeps. 1 million pictures and one equality take about 1 ms."""
    match filter:
        case And(parts):
            return _every([pictures_kept(part, columns) for part in parts])
        case Or(parts):
            return _any([pictures_kept(part, columns) for part in parts])
        case Not(part):
            return ~pictures_kept(part, columns)
        case AnyOf(field, values):
            return _any_of(field, values, columns)
        case Between():
            return _between(filter, columns)


def _every(masks: Sequence[Bools]) -> Bools:
    return reduce(np.logical_and, masks)


def _any(masks: Sequence[Bools]) -> Bools:
    return reduce(np.logical_or, masks)


def _any_of(field: str, values: Sequence[Value], columns: Columns) -> Bools:
    if field in _KEYS:
        keys = np.array([text_key(str(value)) for value in values], np.uint64)
        return _isin(getattr(columns, _KEYS[field]), keys)
    if field in _NUMBERS:
        return _isin(getattr(columns, _NUMBERS[field]), np.array([float(value) for value in values]))
    keys = np.array([key for value in values if (key := term_key(field, value)) is not None], np.uint64)
    return _with_term(_isin(columns.term_keys, keys), columns)


def _between(bounds: Between, columns: Columns) -> Bools:
    if bounds.field in _NUMBERS:
        return _inside(getattr(columns, _NUMBERS[bounds.field]), bounds)
    if not bounds.field.startswith(ATTRIBUTES):
        return np.zeros(len(columns.ids), np.bool_)
    of_field = columns.term_fields == np.uint64(text_key(bounds.field))
    return _with_term(of_field & _inside(columns.term_numbers, bounds), columns)


def _isin(column: npt.NDArray[np.generic], values: npt.NDArray[np.generic]) -> Bools:
    # One comparison a value is 10 x faster than np.isin, which sorts, while values are few.
    if len(values) > 8:
        return np.isin(column, values)
    return _any([column == value for value in values]) if len(values) else np.zeros(len(column), np.bool_)


def _inside(numbers: npt.NDArray[np.int64 | np.int32 | np.float64], bounds: Between) -> Bools:
    above = numbers > bounds.low if bounds.low_open else numbers >= bounds.low
    below = numbers < bounds.high if bounds.high_open else numbers <= bounds.high
    kept: Bools = above & below
    return kept


def _with_term(terms: Bools, columns: Columns) -> Bools:
    kept = np.zeros(len(columns.ids), np.bool_)
    kept[np.searchsorted(columns.term_ends, np.flatnonzero(terms), side="right")] = True
    return kept
