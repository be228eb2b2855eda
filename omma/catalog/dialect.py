"""What SQLite and PostgreSQL say differently; everything else of the catalog is one SQL."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from sqlalchemy import ColumnElement, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

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

    def any_id(self, ids: ColumnElement[Any], values: Sequence[int]) -> ColumnElement[bool]:
        """The list of ids, null for none, holds one of the values."""

    async def append(self, connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add many rows, the quickest way there is; all have the same columns."""

    async def make_days(self, connection: AsyncConnection, days: Sequence[int]) -> None:
        """Make room for interactions of these days since 1970, UTC."""

    async def drop_days(self, connection: AsyncConnection, before: int) -> bool:
        """Drop interactions of the days before this one; True when there may be more of them."""

    async def new_ids(self, connection: AsyncConnection, count: int) -> list[int]:
        """So many ids that no row of `images` has had, for this transaction to use or to waste."""

    async def raise_ids(self, connection: AsyncConnection, image_id: int) -> None:
        """The next id of `images` is above this one and never lower than it would have been."""

    async def hold(self, connection: AsyncConnection, table: Table) -> None:
        """Nobody else changes the table until the transaction ends; who did before has ended theirs."""

    def now_ms(self) -> ColumnElement[int]:
        """The database's clock: milliseconds since 1970."""

    async def scrub(self, engine: AsyncEngine) -> None:
        """See omma.catalog.erasure.ErasureBook. Outside of transactions; engine: of those that write."""

    def error(self, error: BaseException) -> OmmaError | None:
        """The error with a kind that the driver's error stands for."""
