"""What is durable, opened as the settings say: catalog, log and blobs, each in a folder or on its server."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from omma.blobs.folder import FolderBlobs
from omma.blobs.interface import Blobs
from omma.blobs.objects import Objects
from omma.blobs.originals import Originals
from omma.blobs.s3_settings import S3Settings
from omma.catalog.interface import Catalog
from omma.catalog.postgres_settings import PostgresSettings
from omma.description import RowLimits
from omma.log.interface import Log
from omma.log.kafka.settings import KafkaSettings
from omma.log.sqlite import SqliteLog
from omma.persistence import until_there
from omma.process import ProcessSettings
from omma.scanning import Clamd, ClamdSettings, Unscanned

T = TypeVar("T")


class StorageSettings(ProcessSettings):
    """Of a process that opens the storage. A server that is named takes the folder's part: OMMA_POSTGRES__URL that of
    the catalog, OMMA_KAFKA__BROKERS that of the log, OMMA_S3__BUCKET that of the blobs.
    """

    data_dir: Path = Field(default=Path("omma-data"), description="one folder holds what no server does")
    postgres: PostgresSettings | None = None
    kafka: KafkaSettings | None = None
    s3: S3Settings | None = None
    clamd: ClamdSettings | None = None
    description: RowLimits = Field(default_factory=RowLimits)
    deleted_grace_seconds: float = Field(
        default=86_400.0, ge=0, le=365 * 86_400, description="a deleted picture can be restored; then its bytes go"
    )


@dataclass(frozen=True, slots=True)
class Storage:
    """What is durable. row_limits: of what is said of a picture. objects: of other buckets; None without OMMA_S3__…

    deleted_grace_seconds: how long a deleted picture can be restored.
    """

    catalog: Catalog
    log: Log
    blobs: Blobs
    originals: Originals
    row_limits: RowLimits
    objects: Objects | None = None
    deleted_grace_seconds: float = 86_400.0


async def open_storage(
    settings: StorageSettings, stack: AsyncExitStack, *, patience_seconds: float | None = None
) -> Storage:
    """All of it, closed by the stack, once its servers are there. patience_seconds: then ReplicaDown; None: never.

    A server that does not answer is waited for, and so is one whose name is not known: in a cluster a name may come
    with its server. A folder is not: what is wrong with it is said. What waiting does not mend is raised at once:
    WrongState, with the setting as its field, for a password, a database or a bucket that is wrong; what else each
    part raises.
    """

    def opened(server: object | None, part: str, attempt: Callable[[StorageSettings], Awaitable[T]]) -> Awaitable[T]:
        once = partial(attempt, settings)
        return once() if server is None else until_there(part, once, patience_seconds=patience_seconds)

    catalog = await opened(settings.postgres, "PostgreSQL", _open_catalog)
    stack.push_async_callback(catalog.close)
    log = await opened(settings.kafka, "Kafka", _open_log)
    stack.push_async_callback(log.close)
    blobs = await opened(settings.s3, "the object storage", _open_blobs)
    stack.push_async_callback(blobs.close)
    objects = _open_objects(settings)
    if objects is not None:
        stack.push_async_callback(objects.close)
    scanner = Unscanned() if settings.clamd is None else Clamd(settings.clamd)
    originals = Originals(blobs, objects, scanner)
    stack.push_async_callback(originals.close)
    return Storage(catalog, log, blobs, originals, settings.description, objects, settings.deleted_grace_seconds)


# The cluster's clients come with the extra `cluster`, which one machine does without: imported where one is named. And
# whoever only asks a server reads these settings without SQLAlchemy.


async def _open_catalog(settings: StorageSettings) -> Catalog:
    if settings.postgres is None:
        from omma.catalog.sqlite import open_sqlite_catalog

        return await open_sqlite_catalog(settings.data_dir / "catalog.db", settings.description)
    from omma.catalog.postgres import open_postgres_catalog

    return await open_postgres_catalog(settings.postgres, settings.description)


async def _open_log(settings: StorageSettings) -> Log:
    if settings.kafka is None:
        return await SqliteLog.open(settings.data_dir / "log.db")
    from omma.log.kafka.log import KafkaLog

    return await KafkaLog.open(settings.kafka)


async def _open_blobs(settings: StorageSettings) -> Blobs:
    if settings.s3 is None:
        return await FolderBlobs.open(settings.data_dir / "blobs")
    from omma.blobs.s3 import S3Blobs

    return await S3Blobs.open(settings.s3)


def _open_objects(settings: StorageSettings) -> Objects | None:
    if settings.s3 is None:
        return None
    from omma.blobs.s3_objects import S3Objects

    return S3Objects(settings.s3)
