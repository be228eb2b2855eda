"""The registry of job kinds: what each is called, what may be asked of it, and who may ask.

A gateway accepts jobs by it; services/worker has a runner for each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict

from omma.catalog.interface import Role


class JobParameters(BaseModel):
    """What may be asked of a job beside its source."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class JobKind:
    """about: one line for people. role: who may start, see and stop one. parameters: what they are checked against."""

    name: str
    about: str
    role: Role
    parameters: type[JobParameters] = JobParameters


class VerifyParameters(JobParameters):
    """repair: mend what can be. full: compare every picture, also where digests agree."""

    repair: bool = False
    full: bool = False


INGEST: Final = JobKind("ingest", "pictures of a folder or a bucket become rows", Role.TENANT_ADMIN)
VERIFY: Final = JobKind("verify", "blobs, catalog, log and shards are compared", Role.ADMIN, VerifyParameters)

KINDS: Final[Mapping[str, JobKind]] = {kind.name: kind for kind in (INGEST, VERIFY)}
