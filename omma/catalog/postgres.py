"""The catalog's dialect of PostgreSQL."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ARRAY, ColumnElement, Double, Table, Text, any_, case, cast, false, func, literal
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

from omma.catalog.dialect import Bounds, Dialect
from omma.errors import OmmaError, Overloaded, StorageFull
from omma.filters import Value

_SCALARS: Final = ("string", "number", "boolean")
_DISK_FULL: Final = "53100"
_LOCK_TIMEOUT: Final = frozenset({"55P03", "57014", "40P01", "53300"})


class PostgresDialect(Dialect):
    def insert(self, table: Table) -> postgresql.Insert:
        return postgresql.insert(table)

    def among(self, column: ColumnElement[Any], values: Sequence[Value]) -> ColumnElement[bool]:
        member = Double() if any(isinstance(value, float) for value in values) else column.type
        return column == any_(literal(list(values), ARRAY(member)))

    def any_tag(self, tags: ColumnElement[Any], values: Sequence[Value]) -> ColumnElement[bool]:
        return tags.bool_op("?|")(literal(list(values), ARRAY(Text())))

    def attribute_among(
        self, attributes: ColumnElement[Any], name: str, values: Sequence[Value]
    ) -> ColumnElement[bool]:
        member = cast(attributes, JSONB)[name]
        # A list contains a scalar as its element, but another list as its part: hence the look at the type.
        given = literal(list(values), JSONB)
        return case((func.jsonb_typeof(member).in_(_SCALARS), given.contains(member)), else_=false())

    def attribute_between(self, attributes: ColumnElement[Any], name: str, bounds: Bounds) -> ColumnElement[bool]:
        member = cast(attributes, JSONB)[name]
        return case((func.jsonb_typeof(member) == "number", bounds(cast(member.astext, Double))), else_=false())

    def error(self, error: BaseException) -> OmmaError | None:
        state = getattr(error, "sqlstate", None)
        if state == _DISK_FULL:
            return StorageFull("The catalog cannot grow: its disk is full. Nothing was written.")
        if state in _LOCK_TIMEOUT:
            return Overloaded("The catalog is busy. Nothing was written; try again.", retry_after_seconds=1.0)
        return None
