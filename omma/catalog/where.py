"""A filter as a SQL condition on `images`."""

import math
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, false, func, not_, or_

from omma.catalog.dialect import Dialect
from omma.catalog.schema.pictures import images
from omma.filters import ATTRIBUTES, And, AnyOf, Between, Filter, Not, Or

_COLUMNS: Final[dict[str, ColumnElement[Any]]] = {
    "owner": images.c.owner,
    "source": images.c.source_url,
    "source_domain": images.c.source_domain,
    "created_at": images.c.created_at,
    "width": images.c.width,
    "height": images.c.height,
    "private": func.coalesce(images.c.private, false()),
}


def where(filter: Filter, dialect: Dialect) -> ColumnElement[bool]:
    """True for the rows that the filter keeps; a missing attribute matches nothing but a `not`."""
    match filter:
        case And(parts):
            return and_(*(where(part, dialect) for part in parts))
        case Or(parts):
            return or_(*(where(part, dialect) for part in parts))
        case Not(part):
            return not_(where(part, dialect))
        case AnyOf("tags", values):
            return dialect.any_tag(images.c.tags, values)
        case AnyOf(field, values) if field.startswith(ATTRIBUTES):
            return dialect.attribute_among(images.c.attributes, field.removeprefix(ATTRIBUTES), values)
        case AnyOf(field, values):
            return dialect.among(_COLUMNS[field], values)
        case Between(field) if field.startswith(ATTRIBUTES):
            name = field.removeprefix(ATTRIBUTES)
            return dialect.attribute_between(images.c.attributes, name, lambda column: _within(column, filter))
        case Between(field):
            return _within(_COLUMNS[field], filter)


def _within(column: ColumnElement[Any], bounds: Between) -> ColumnElement[bool]:
    conditions = []
    if bounds.low != -math.inf:
        conditions.append(column > bounds.low if bounds.low_open else column >= bounds.low)
    if bounds.high != math.inf:
        conditions.append(column < bounds.high if bounds.high_open else column <= bounds.high)
    return and_(*conditions)
