"""How searches fare, from the interactions; see omma.catalog.insight.InsightBook."""

from typing import Any

from sqlalchemy import Select, and_, case, func, select

from omma.catalog.database import Database, uninterrupted
from omma.catalog.insight import Insight
from omma.catalog.schema.people import DAY_MS, interactions
from omma.identity import Tenant
from omma.records import InteractionType


class Insights:
    """The catalog's call."""

    _database: Database

    @uninterrupted
    async def insights(self, tenant: Tenant, first_day: int, last_day: int) -> list[Insight]:
        async with self._database.reading() as connection:
            rows = (await connection.execute(_by_day(tenant, first_day, last_day))).all()
        return [
            Insight(
                int(row.day),
                row.index,
                row.searches,
                int(row.empty),
                int(row.clicked),
                None if row.median_ms is None else float(row.median_ms),
            )
            for row in rows
        ]


def _by_day(tenant: Tenant, first_day: int, last_day: int) -> Select[Any]:
    columns = interactions.c
    since, until = first_day * DAY_MS, (last_day + 1) * DAY_MS
    clicks = (
        select(columns.query_id, func.min(columns.ts).label("at"))
        .where(columns.ts >= since, columns.ts < until + DAY_MS, columns.tenant_id == tenant)
        .where(columns.type == InteractionType.CLICK.value, columns.query_id != "")
        .group_by(columns.query_id)
        .subquery()
    )
    day = (columns.ts // DAY_MS).label("day")
    after = (clicks.c.at - columns.ts).label("after")
    clicked = case((clicks.c.at.is_not(None), 1), else_=0).label("clicked")
    group = (columns.ts // DAY_MS, columns.index, clicked)
    searches = (
        select(
            day,
            columns.index,
            columns.rank,
            clicked,
            after,
            func.row_number().over(partition_by=group, order_by=clicks.c.at - columns.ts).label("place"),
            func.count().over(partition_by=group).label("places"),
        )
        .select_from(interactions.outerjoin(clicks, clicks.c.query_id == columns.query_id))
        .where(columns.ts >= since, columns.ts < until, columns.tenant_id == tenant)
        .where(columns.type == InteractionType.IMPRESSION.value)
        .subquery()
    )
    one = searches.c
    twice = one.place * 2
    middle = and_(one.clicked == 1, twice >= one.places, twice <= one.places + 2)
    return (
        select(
            one.day,
            one.index,
            func.count().label("searches"),
            func.sum(case((one.rank == 0, 1), else_=0)).label("empty"),
            func.sum(one.clicked).label("clicked"),
            func.avg(case((middle, one.after))).label("median_ms"),
        )
        .group_by(one.day, one.index)
        .order_by(one.day.desc(), one.index)
    )
