"""Before an install or an upgrade changes anything: `python -m services.indexer.prepare`.

PostgreSQL is brought to this version's schema, the bucket is looked at, no index that answers loses its processes, and
the topic of events is made with as many partitions as the settings want. It ends with exit code 0, or with 1 and a
line that says what has to be mended.
"""

from collections.abc import Collection
from contextlib import AsyncExitStack
from functools import partial
from typing import ClassVar

from pydantic import Field

from omma.catalog.interface import Catalog
from omma.errors import WrongState
from omma.index import IndexState
from omma.outbox import ensure_images_topic
from omma.persistence import until_there
from omma.process import begin, run_service
from omma.storage import StorageSettings, open_storage
from services.indexer.settings import IndexerSettings


class PrepareProcess(StorageSettings):
    """What reaches the storage, and of OMMA_INDEXER__… the partitions."""

    service: ClassVar[str] = "omma-prepare"
    indexer: IndexerSettings = IndexerSettings()
    prepare_indexes: tuple[str, ...] | None = Field(
        default=None, description="names, as JSON, of those that will have processes; unset: none is looked for"
    )
    patience_seconds: float = Field(default=120.0, ge=0, le=3600, description="for servers that do not answer yet")


async def main() -> None:
    """Raises what `open_storage` raises, ReplicaDown for a server that is not there in time, WrongState, field
    `indexes`, when one that answers or may be gone back to would have no processes any more.
    """
    settings = PrepareProcess()
    begin(settings)
    async with AsyncExitStack() as stack:
        storage = await open_storage(settings, stack, patience_seconds=settings.patience_seconds)
        if settings.prepare_indexes is not None:
            await _require_kept(storage.catalog, settings.prepare_indexes)
        topic = partial(ensure_images_topic, storage.log, settings.indexer.images_partitions)
        await until_there("Kafka", topic, patience_seconds=settings.patience_seconds)


async def _require_kept(catalog: Catalog, kept: Collection[str]) -> None:
    for one in await catalog.indexes():
        if one.state is not IndexState.RETIRED and one.id not in kept:
            raise WrongState(
                f"Index {one.id} is {one.state.value} and would lose its processes: leave its entry, until a rollout "
                "has gone to another index and `omma rollout retire` has let go of it.",
                field="indexes",
            )


if __name__ == "__main__":
    run_service(main())
