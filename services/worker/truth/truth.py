"""Both questions on one storage."""

from dataclasses import dataclass

from omma.dead_letters import DeadLetters
from omma.outbox import Outbox
from omma.storage import Storage
from services.gateway.pictures.trace import Tracer
from services.topology.indexes import ServedIndexes
from services.worker.truth.verify import Verifier


@dataclass(frozen=True, slots=True)
class Truth:
    """Whether everything agrees, and where a picture is."""

    verifier: Verifier
    tracer: Tracer

    @classmethod
    def on(
        cls,
        storage: Storage,
        outbox: Outbox,
        dead_letters: DeadLetters,
        indexes: ServedIndexes,
        *,
        max_picture_bytes: int,
    ) -> "Truth":
        """Of the index that is live whenever it is asked."""
        return cls(
            Verifier(storage, outbox, indexes),
            Tracer(
                storage,
                dead_letters,
                indexes,
                max_picture_bytes=max_picture_bytes,
            ),
        )
