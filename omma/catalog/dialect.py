"""What SQLite and PostgreSQL say differently; everything else of the catalog is one SQL."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from sqlalchemy import ColumnElement, Table
from sqlalchemy.dialects import postgresql, sqlite

from omma.errors import OmmaError
from omma.filters import Value

Upsert: TypeAlias = postgresql.Insert | sqlite.Insert
Bounds: TypeAlias = Callable[[ColumnElement[Any]], ColumnElement[bool]]


class Dialect(Protocol):
    """Every condition is true or false, never null, so that its negation is right; a list is one parameter."""

    def insert(self, table: Table) -> Upsert:
        """An insert that knows ON CONFLICT."""

    def among(self, column: ColumnElement[Any], values: Sequence[Value]) -> ColumnElement[bool]:
        """The column, never null, is one of the values."""

    def any_tag(self, tags: ColumnElement[Any], values: Sequence[Value]) -> ColumnElement[bool]:
        """The JSON list holds one of the values."""

    def attribute_among(
        self, attributes: ColumnElement[Any], name: str, values: Sequence[Value]
    ) -> ColumnElement[bool]:
        """The JSON object's member is one of the values, of the same JSON type: true is not 1."""

    def attribute_between(self, attributes: ColumnElement[Any], name: str, bounds: Bounds) -> ColumnElement[bool]:
        """The JSON object's member is a number within the bounds."""

    def now_ms(self) -> ColumnElement[int]:
        """The database's clock: milliseconds since 1970."""

    def error(self, error: BaseException) -> OmmaError | None:
        """The error with a kind that the driver's error stands for."""
