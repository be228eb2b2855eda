"""What an operator asks of the gateway: keys, dead letters, what is where. All of it needs role admin."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import APIRouter

from omma.catalog.interface import Catalog, Role
from omma.dead_letters import DeadLetters
from services.gateway.auth import Authenticator
from services.gateway.indexes import ServedIndexes
from services.gateway.rest.dead_letters import dead_letters_router
from services.gateway.rest.keys import keys_router
from services.gateway.rest.signed_in import signed_in
from services.gateway.rest.stats import stats_router


@dataclass(frozen=True, slots=True)
class Operation:
    """waiting: pictures that wait to be embedded."""

    catalog: Catalog
    dead_letters: DeadLetters
    waiting: Callable[[], Awaitable[int]]

    def routers(self, indexes: ServedIndexes, authenticator: Authenticator) -> tuple[APIRouter, ...]:
        """For the REST app."""
        admin = signed_in(authenticator, Role.ADMIN)
        return (
            keys_router(self.catalog, admin),
            dead_letters_router(self.dead_letters, admin),
            stats_router(self.catalog, indexes, self.waiting, admin),
        )
