"""Dead letters: pictures that could not be read, why, and another try."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from omma.catalog.interface import Catalog
from omma.catalog.picture import PictureState
from omma.errors import Absent
from omma.identity import ImageId, Tenant
from omma.log.interface import Log, LogRecord
from omma.outbox import Outbox
from omma.records import DEAD_LETTERS_TOPIC, ImageEvent
from omma.v1 import records_pb2

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """kind: of the error. reason: one sentence. uri: of the original as it was."""

    image_id: ImageId
    version: int
    tenant: Tenant
    uri: str
    kind: str
    reason: str
    space: str
    failed_at_ms: int


class DeadLetters:
    """What is still dead: a letter whose picture was changed, deleted or read since is passed over."""

    def __init__(
        self,
        catalog: Catalog,
        log: Log,
        outbox: Outbox,
        indexed: Callable[[], Awaitable[None]],
        live_space: Callable[[], str] = lambda: "",
    ) -> None:
        """indexed: returns when every event so far is handled. live_space: whose letters count, where two spaces have
        one of a picture.
        """
        self._live_space = live_space
        self._catalog = catalog
        self._log = log
        self._outbox = outbox
        self._indexed = indexed

    async def letters(self, tenant: Tenant) -> list[DeadLetter]:
        """By id. Reads the whole topic, which is compacted to one letter a picture."""
        live_space = self._live_space()
        newest: dict[ImageId, DeadLetter] = {}
        async for record in self._log.scan(DEAD_LETTERS_TOPIC):
            letter = _letter(record)
            if letter is None:
                continue
            known = newest.get(letter.image_id)
            if known is None or letter.version > known.version or known.space != live_space:
                newest[letter.image_id] = letter
        rows = await self._catalog.pictures(newest.keys())
        dead = {row.id: row.version for row in rows.values() if row.state is PictureState.DEAD and row.tenant == tenant}
        return [newest[image_id] for image_id in sorted(dead) if newest[image_id].version == dead[image_id]]

    async def show(self, tenant: Tenant, image_id: ImageId) -> DeadLetter:
        """Raises Absent."""
        for letter in await self.letters(tenant):
            if letter.image_id == image_id:
                return letter
        raise Absent(f"Picture {image_id} has no dead letter.")

    async def replay(
        self, tenant: Tenant, image_ids: Collection[ImageId] | None, wait_seconds: float
    ) -> tuple[list[ImageId], list[ImageId]]:
        """Let the indexer try again; None: every dead letter. Ids that have none are left out.

        Returns which were sent, and which of them are dead again after at most wait_seconds.
        """
        wanted = [one.image_id for one in await self.letters(tenant) if image_ids is None or one.image_id in image_ids]
        changes = await self._catalog.retry(tenant, wanted)
        await self._outbox.send(changes)
        sent = [change.id for change in changes]
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                await self._indexed()
        rows = await self._catalog.pictures(sent)
        return sent, [one for one in sent if rows[one].state is PictureState.DEAD]


def _letter(record: LogRecord) -> DeadLetter | None:
    """None of one that was taken back, and of one that cannot be read."""
    if record.value is None:
        return None
    try:
        message = records_pb2.DeadLetter.FromString(record.value)
        event = ImageEvent.from_message(message.event) if message.event.image_id else None
    except (DecodeError, ValueError) as error:
        logger.error("a dead letter is passed over", extra={"at": record.place, "reason": str(error)})
        return None
    return DeadLetter(
        image_id=event.image_id if event else ImageId(0),
        version=event.version if event else 0,
        tenant=event.tenant if event else Tenant(""),
        uri=message.uri,
        kind=message.kind,
        reason=message.reason,
        space=message.space,
        failed_at_ms=message.failed_at_ms,
    )
