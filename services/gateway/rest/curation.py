"""The routes by which people curate a collection, over the cores that they ask."""

from dataclasses import dataclass

from fastapi import APIRouter

from omma.catalog.api_key import Role
from services.gateway.callers.auth import Authenticator
from services.gateway.curation.anomalies import AnomalyList
from services.gateway.curation.auto_tags import AutoTagDesk
from services.gateway.curation.clusters import ClusterDesk
from services.gateway.curation.duplicates import Duplicates
from services.gateway.curation.feedback import FeedbackDesk
from services.gateway.jobs import Jobs
from services.gateway.rest.anomalies import anomalies_router
from services.gateway.rest.auto_tags import auto_tags_router
from services.gateway.rest.clusters import clusters_router
from services.gateway.rest.duplicates import duplicates_router
from services.gateway.rest.feedback import feedback_router
from services.gateway.rest.signed_in import signed_in
from services.topology.indexes import ServedIndexes


@dataclass(frozen=True, slots=True)
class Curation:
    """The cores that it asks."""

    feedback: FeedbackDesk
    jobs: Jobs
    anomalies: AnomalyList
    clusters: ClusterDesk
    duplicates: Duplicates
    auto_tags: AutoTagDesk

    def routers(self, indexes: ServedIndexes, authenticator: Authenticator) -> tuple[APIRouter, ...]:
        """For the REST app."""
        reader = signed_in(authenticator, Role.READ)
        writer = signed_in(authenticator, Role.WRITE)
        tenant_admin = signed_in(authenticator, Role.TENANT_ADMIN)
        return (
            feedback_router(self.feedback, reader, writer),
            clusters_router(self.clusters, self.jobs, writer),
            anomalies_router(self.anomalies, self.jobs, indexes, reader, tenant_admin),
            auto_tags_router(self.auto_tags, tenant_admin),
            duplicates_router(self.duplicates, reader, writer),
        )
