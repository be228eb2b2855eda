"""The routes by which people curate a collection, over the cores that they ask."""

from dataclasses import dataclass

from fastapi import APIRouter

from omma.catalog.api_key import Role
from services.gateway.callers.auth import Authenticator
from services.gateway.curation.feedback import FeedbackDesk
from services.gateway.jobs import Jobs
from services.gateway.rest.clusters import clusters_router
from services.gateway.rest.feedback import feedback_router
from services.gateway.rest.signed_in import signed_in


@dataclass(frozen=True, slots=True)
class Curation:
    """The cores that it asks."""

    feedback: FeedbackDesk
    jobs: Jobs

    def routers(self, authenticator: Authenticator) -> tuple[APIRouter, ...]:
        """For the REST app."""
        reader = signed_in(authenticator, Role.READ)
        writer = signed_in(authenticator, Role.WRITE)
        return (feedback_router(self.feedback, reader, writer), clusters_router(self.jobs, writer))
