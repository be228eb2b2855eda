"""What administrators ask of the gateway: a tenant's own keys, dead letters, jobs and pictures, an admin the rest."""

from dataclasses import dataclass

from fastapi import APIRouter

from omma.catalog.api_key import Role
from omma.catalog.interface import Catalog
from omma.dead_letters import DeadLetters
from omma.images import PictureLimits
from services.gateway.callers.auth import Authenticator
from services.gateway.callers.keys import Keys
from services.gateway.callers.quotas import QuotaDesk
from services.gateway.erasing import Erasing
from services.gateway.jobs import Jobs
from services.gateway.lists import Lists
from services.gateway.pictures.trace import Tracer
from services.gateway.pictures.vectors import Vectors
from services.gateway.rest.audit import audit_router
from services.gateway.rest.dead_letters import dead_letters_router
from services.gateway.rest.erase import erase_router
from services.gateway.rest.experiments import experiments_router
from services.gateway.rest.ingest import ingest_router
from services.gateway.rest.insights import insights_router
from services.gateway.rest.jobs import jobs_router
from services.gateway.rest.keys import keys_router
from services.gateway.rest.quotas import quotas_router
from services.gateway.rest.rollouts import rollouts_router
from services.gateway.rest.signed_in import signed_in
from services.gateway.rest.spaces import spaces_router
from services.gateway.rest.stats import stats_router
from services.gateway.rest.trace import trace_router
from services.gateway.rest.uploads import uploads_router
from services.gateway.rest.vectors import vectors_router
from services.gateway.rest.verify import verify_router
from services.gateway.rollouts.experiments import Experiments
from services.gateway.rollouts.relevance import Relevance
from services.gateway.rollouts.rollouts import Rollouts
from services.gateway.settings import GatewaySettings
from services.gateway.uploads import Uploads
from services.gateway.vector_lists import OwnSpaces, VectorLists
from services.topology.indexes import ServedIndexes


@dataclass(frozen=True, slots=True)
class Operation:
    """The cores that it asks."""

    catalog: Catalog
    dead_letters: DeadLetters
    jobs: Jobs
    lists: Lists
    spaces: OwnSpaces
    vector_lists: VectorLists
    uploads: Uploads
    tracer: Tracer
    rollouts: Rollouts
    experiments: Experiments
    erasing: Erasing
    relevance: Relevance

    def routers(
        self, indexes: ServedIndexes, authenticator: Authenticator, settings: GatewaySettings, limits: PictureLimits
    ) -> tuple[APIRouter, ...]:
        """For the REST app."""
        admin = signed_in(authenticator, Role.ADMIN)
        tenant_admin = signed_in(authenticator, Role.TENANT_ADMIN)
        return (
            keys_router(Keys(self.catalog, authenticator.changed), tenant_admin),
            dead_letters_router(self.dead_letters, tenant_admin),
            jobs_router(self.jobs, self.lists, tenant_admin, signed_in(authenticator, Role.READ)),
            ingest_router(self.lists, self.vector_lists, tenant_admin, settings, limits),
            uploads_router(self.uploads, tenant_admin),
            vectors_router(Vectors(self.catalog, indexes), self.vector_lists, tenant_admin, settings, limits),
            spaces_router(self.spaces, self.rollouts, admin),
            stats_router(self.catalog, indexes, self.jobs.waiting, admin),
            trace_router(self.tracer, tenant_admin),
            verify_router(self.jobs, admin),
            rollouts_router(self.rollouts, self.relevance, admin),
            experiments_router(self.experiments, admin),
            erase_router(self.erasing, admin),
            audit_router(self.catalog, admin),
            insights_router(self.catalog, tenant_admin, sampled=settings.impressions_sampled),
            quotas_router(QuotaDesk(self.catalog), tenant_admin, admin),
        )
