"""The catalog in SQL: one implementation for SQLite and PostgreSQL, a class a subject."""

from omma.catalog.anomalies import Anomalies
from omma.catalog.audits import Audits
from omma.catalog.auto_tags import AutoTags
from omma.catalog.clicks import Clicks
from omma.catalog.comparing import Comparing
from omma.catalog.database import Database
from omma.catalog.downloads import Downloads
from omma.catalog.erasures import Erasures
from omma.catalog.indexing import Indexing
from omma.catalog.insights import Insights
from omma.catalog.interface import Catalog
from omma.catalog.jobs import Jobs
from omma.catalog.judging import Judging
from omma.catalog.objects import Objects
from omma.catalog.opinions import Opinions
from omma.catalog.people import People
from omma.catalog.registry import Registry
from omma.catalog.repairs import Repairs
from omma.catalog.rollouts import Rollouts
from omma.catalog.verdicts import Verdicts
from omma.description import RowLimits


class SqlCatalog(
    Erasures,
    Objects,
    Indexing,
    Registry,
    Clicks,
    People,
    Comparing,
    Repairs,
    Jobs,
    Downloads,
    Insights,
    Judging,
    Opinions,
    Anomalies,
    Audits,
    AutoTags,
    Rollouts,
    Verdicts,
    Catalog,
):
    """On a database whose schema is this version's. row_limits: what no row passes, whoever writes it."""

    def __init__(self, database: Database, row_limits: RowLimits) -> None:
        self._database = database
        self._row_limits = row_limits

    async def close(self) -> None:
        await self._database.close()
