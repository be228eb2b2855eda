"""The registry of job kinds: what each is called, what may be asked of it, and who may ask.

A gateway accepts jobs by it; services/worker has a runner for each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ConfigDict, Field

from omma.catalog.api_key import Role
from omma.request_body import RequestBody

MAX_CLUSTERED: Final = 10_000
"""Pictures at a time: their clusters take a minute or two."""
DEFAULT_THRESHOLD: Final = 0.4
"""Mean cosine: within 0.006 of the best for omma-mini on 95 classes of photographs (docs/benchmarks.md)."""


class JobParameters(RequestBody):
    """What may be asked of a job beside its source."""

    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True, slots=True)
class JobKind:
    """about: one line for people. role: who may start, see and stop one. parameters: what they are checked against.

    goes_on: a new one goes on where the last one that was asked for the same was broken off.
    """

    name: str
    about: str
    role: Role
    parameters: type[JobParameters] = JobParameters
    goes_on: bool = True


class IngestParameters(JobParameters):
    """forget_missing: of a folder, what is away en masse (a disk that is not mounted?) is taken as deleted.

    revive_deleted: also what a caller deleted comes back, without what was said of it. owner, private: of what is new
    or changed; left out they stay as they are.
    """

    forget_missing: bool = False
    revive_deleted: bool = False
    owner: str = ""
    private: bool = False


class AnomaliesParameters(JobParameters):
    """every_tenant: of all of them, not of the job's alone."""

    every_tenant: bool = False


class AutoTagsParameters(JobParameters):
    """space: of the words' vectors. least_confidence: of a tag that is kept."""

    space: str
    least_confidence: float = Field(default=0.3, ge=0, le=1)


class ClusterParameters(JobParameters):
    """image_ids: none: those of the filter. filter: canonical, "" for every picture. threshold: average_linkage's.

    visible_to: of private pictures only those that this name owns; None: all, which is an administrator's to ask.
    """

    image_ids: tuple[int, ...] = Field(default=(), max_length=MAX_CLUSTERED, strict=False)
    filter: str = ""
    limit: int = Field(default=MAX_CLUSTERED, ge=1, le=MAX_CLUSTERED)
    threshold: float = Field(default=DEFAULT_THRESHOLD, ge=-1, le=1)
    visible_to: str | None = ""


class ListParameters(JobParameters):
    """refetch: also what an earlier ingest downloaded is downloaded, as it may have changed.

    revive_deleted: as of IngestParameters.
    """

    refetch: bool = False
    revive_deleted: bool = False


class VectorsParameters(JobParameters):
    """space: that the vectors are of. revive_deleted: as of IngestParameters."""

    space: str
    revive_deleted: bool = False


class VerifyParameters(JobParameters):
    """repair: mend what can be. full: compare every picture, also where digests agree.

    bury: write deleted records after live vectors that have no row, and that no row can be made for from the log.
    index: its id, "" for the live one.
    """

    index: str = Field(default="", max_length=200)
    repair: bool = False
    full: bool = False
    bury: bool = False


class CollectParameters(JobParameters):
    """sweep: also list every original and thumbnail for those that no row needs."""

    sweep: bool = False


ERASE: Final = JobKind("erase", "what is left of erased pictures goes from every disk", Role.ADMIN, goes_on=False)
ANOMALIES: Final = JobKind(
    "anomalies", "how far each picture stands apart is measured", Role.TENANT_ADMIN, AnomaliesParameters
)
AUTO_TAGS: Final = JobKind(
    "auto_tags", "pictures are tagged by neighbours and words", Role.TENANT_ADMIN, AutoTagsParameters
)
CLUSTER: Final = JobKind(
    "cluster", "pictures are put into groups that look alike", Role.WRITE, ClusterParameters, goes_on=False
)
COLLECT: Final = JobKind("collect", "bytes that no row needs are deleted", Role.ADMIN, CollectParameters)
INGEST: Final = JobKind("ingest", "pictures of a folder or a bucket become rows", Role.TENANT_ADMIN, IngestParameters)
INGEST_LIST: Final = JobKind("ingest_list", "pictures that a list names become rows", Role.TENANT_ADMIN, ListParameters)
INGEST_VECTORS: Final = JobKind(
    "ingest_vectors", "vectors that a caller computed become rows", Role.TENANT_ADMIN, VectorsParameters
)
VERIFY: Final = JobKind(
    "verify", "blobs, catalog, log and shards are compared", Role.ADMIN, VerifyParameters, goes_on=False
)

_EVERY: Final = (ANOMALIES, AUTO_TAGS, CLUSTER, COLLECT, ERASE, INGEST, INGEST_LIST, INGEST_VECTORS, VERIFY)
KINDS: Final[Mapping[str, JobKind]] = {kind.name: kind for kind in _EVERY}
