"""Feedback in the catalog; see omma.catalog.feedback.FeedbackBook."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import RowMapping, select

from omma.catalog.database import Database, uninterrupted
from omma.catalog.feedback import Feedback, FeedbackAction
from omma.catalog.picture import PictureState
from omma.catalog.schema.people import feedback, interactions
from omma.catalog.schema.pictures import images
from omma.errors import Absent
from omma.identity import ImageId, Tenant
from omma.records import InteractionType


class Opinions:
    """See omma.catalog.feedback.FeedbackBook."""

    _database: Database

    @uninterrupted
    async def add_feedback(self, tenant: Tenant, given: Feedback) -> None:
        live = select(images.c.id).where(
            images.c.tenant_id == tenant, images.c.id == given.image_id, images.c.state != PictureState.DELETED
        )
        values: dict[str, Any] = {
            "tenant_id": tenant,
            "image_id": given.image_id,
            "action": given.action.value,
            "note": given.note,
            "query_id": given.query_id,
            "query_image_id": given.query_image_id,
            "given_by": given.given_by,
            "ts": self._database.now_ms(),
        }
        async with self._database.writing() as connection:
            if (await connection.execute(live)).first() is None:
                raise Absent(f"There is no picture {given.image_id}.", field="image_id")
            await connection.execute(feedback.insert(), values)

    @uninterrupted
    async def feedback(
        self, tenant: Tenant, limit: int, *, image_id: ImageId | None = None, before: int | None = None
    ) -> list[Feedback]:
        query = select(feedback).where(feedback.c.tenant_id == tenant).order_by(feedback.c.id.desc()).limit(limit)
        if image_id is not None:
            query = query.where(feedback.c.image_id == image_id)
        if before is not None:
            query = query.where(feedback.c.id < before)
        async with self._database.reading() as connection:
            return [_feedback(row) for row in (await connection.execute(query)).mappings()]

    @uninterrupted
    async def sought_pictures(
        self, tenant: Tenant, query_ids: Collection[str], since_ms: int, until_ms: int
    ) -> dict[str, ImageId]:
        columns = interactions.c
        query = select(columns.query_id, columns.query_image_id).where(
            columns.ts >= since_ms,
            columns.ts < until_ms,
            columns.tenant_id == tenant,
            columns.type == InteractionType.IMPRESSION.value,
            columns.query_image_id > 0,
            self._database.dialect.among(columns.query_id, list(query_ids)),
        )
        async with self._database.reading() as connection:
            return {row.query_id: ImageId(row.query_image_id) for row in await connection.execute(query)}


def _feedback(row: RowMapping) -> Feedback:
    return Feedback(
        image_id=ImageId(row["image_id"]),
        action=FeedbackAction(row["action"]),
        note=row["note"],
        query_id=row["query_id"],
        query_image_id=row["query_image_id"],
        given_by=row["given_by"],
        id=row["id"],
        at_ms=row["ts"],
    )
