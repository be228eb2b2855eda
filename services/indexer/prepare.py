"""Before an install or an upgrade changes anything: `python -m services.indexer.prepare`.

PostgreSQL is brought to this version's schema, the bucket is looked at and the topic of events is made with as many
partitions as the settings want. It ends with exit code 0, or with 1 and a line that says what has to be mended.
"""

from contextlib import AsyncExitStack
from functools import partial
from typing import ClassVar

from pydantic import Field

from omma.outbox import ensure_images_topic
from omma.persistence import until_there
from omma.process import begin, run_service
from omma.storage import StorageSettings, open_storage
from services.indexer.settings import IndexerSettings


class PrepareProcess(StorageSettings):
    """What reaches the storage, and of OMMA_INDEXER__… the partitions."""

    service: ClassVar[str] = "omma-prepare"
    indexer: IndexerSettings = IndexerSettings()
    patience_seconds: float = Field(default=120.0, ge=0, le=3600, description="for servers that do not answer yet")


async def main() -> None:
    """Raises what `open_storage` raises, ReplicaDown for a server that is not there in time."""
    settings = PrepareProcess()
    begin(settings)
    async with AsyncExitStack() as stack:
        storage = await open_storage(settings, stack, patience_seconds=settings.patience_seconds)
        topic = partial(ensure_images_topic, storage.log, settings.indexer.images_partitions)
        await until_there("Kafka", topic, patience_seconds=settings.patience_seconds)


if __name__ == "__main__":
    run_service(main())
