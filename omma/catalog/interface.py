"""The catalog: rows of pictures, spaces, indexes, keys and interactions."""

from typing import Protocol

from omma.catalog.anomaly import AnomalyBook
from omma.catalog.api_key import KeyBook
from omma.catalog.audit import AuditBook
from omma.catalog.auto_tag import AutoTagBook
from omma.catalog.copies import CopyBook
from omma.catalog.download import DownloadBook
from omma.catalog.erasure import ErasureBook
from omma.catalog.feedback import FeedbackBook
from omma.catalog.given import GivenBook
from omma.catalog.inbox_object import ObjectBook
from omma.catalog.insight import InsightBook
from omma.catalog.job import JobBook
from omma.catalog.judgement import JudgementBook
from omma.catalog.logged_interaction import InteractionBook
from omma.catalog.orphan import OrphanBook
from omma.catalog.picture import PictureBook
from omma.catalog.quota import QuotaBook
from omma.catalog.rollout import RolloutBook
from omma.catalog.verdict import VerdictBook
from omma.index import Index
from omma.space import Space


class Catalog(
    AnomalyBook,
    AuditBook,
    AutoTagBook,
    CopyBook,
    DownloadBook,
    ErasureBook,
    FeedbackBook,
    GivenBook,
    InsightBook,
    InteractionBook,
    JobBook,
    JudgementBook,
    KeyBook,
    ObjectBook,
    OrphanBook,
    PictureBook,
    QuotaBook,
    RolloutBook,
    VerdictBook,
    Protocol,
):
    """Every write is one transaction. Tenant-scoped calls never see another tenant's rows: to them these are absent.

    Raises StorageFull; Overloaded when another process holds the database longer than the timeout; ReplicaDown when
    the database does not answer, of a write also when nobody knows whether it was done: it is safe to repeat.
    """

    async def register_space(self, space: Space, index: Index | None = None) -> None:
        """Idempotent. index: of this space, registered with it: both or neither.

        Raises WrongSpace when the id exists with another signature, dim or buckets; with an index as register_index.
        """

    async def spaces(self) -> list[Space]: ...

    async def register_index(self, index: Index) -> None:
        """Idempotent for an equal one. Raises WrongState when the id exists and differs, and for a live one beside
        another: a rollout makes an index live.
        """

    async def indexes(self) -> list[Index]: ...

    async def adopt_codebook(self, index_id: str, codebook: str) -> bool:
        """Sets the index's first codebook; False when it has one already."""

    async def keep_match_score(self, index_id: str, score: float) -> None:
        """What `Index.match_score` is from now on. Nothing happens where there is no such index."""

    async def acquire_lease(
        self, name: str, holder: str, ttl_seconds: float, *, longest_seconds: float | None = None
    ) -> bool:
        """True when the holder has it now: it was free, expired, or already the holder's (then renewed).

        longest_seconds: that anybody takes this one for; ttl_seconds unless told. One that would last an hour longer,
        since the clock was set back, ends after it.
        """

    async def release_lease(self, name: str, holder: str) -> None: ...

    async def forget_leases(self, ended_seconds: float) -> int:
        """Those that ended so long ago, or longer, and were neither released nor taken over. Returns how many."""

    async def counts(self, space: str = "") -> dict[str, int]:
        """Rows by state over all tenants, and `unsent`. space: without vectors that were given for another one."""

    async def close(self) -> None: ...
