"""What stands apart, in the catalog; see omma.catalog.anomaly.AnomalyBook."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Column, and_, or_, select

from omma.catalog.anomaly import AnomalyMeasure, AnomalyScore
from omma.catalog.database import Database, uninterrupted
from omma.catalog.feedback import FeedbackAction
from omma.catalog.picture import PictureState
from omma.catalog.schema.people import anomaly_scores, feedback
from omma.catalog.schema.pictures import images
from omma.catalog.where import where
from omma.filters import Filter
from omma.identity import ImageId, Tenant

_COLUMNS: Final[dict[AnomalyMeasure, Column[Any]]] = {
    AnomalyMeasure.DISTANCE: anomaly_scores.c.distance,
    AnomalyMeasure.DENSITY: anomaly_scores.c.density,
    AnomalyMeasure.TRAINING: anomaly_scores.c.training,
}


class Anomalies:
    """See omma.catalog.anomaly.AnomalyBook."""

    _database: Database

    @uninterrupted
    async def pictures_to_score(
        self, tenant: Tenant | None, after: ImageId, limit: int
    ) -> list[tuple[ImageId, Tenant]]:
        query = (
            select(images.c.id, images.c.tenant_id)
            .where(images.c.id > after, images.c.state == PictureState.INDEXED)
            .order_by(images.c.id)
            .limit(limit)
        )
        if tenant is not None:
            query = query.where(images.c.tenant_id == tenant)
        async with self._database.reading() as connection:
            return [(ImageId(row.id), Tenant(row.tenant_id)) for row in await connection.execute(query)]

    @uninterrupted
    async def keep_anomaly_scores(self, tenant: Tenant, space: str, scores: Sequence[AnomalyScore]) -> None:
        if not scores:
            return
        insert = self._database.dialect.insert(anomaly_scores)
        kept = ("space", "distance", "density", "neighbours", "training", "scored_at")
        anew = insert.on_conflict_do_update(
            index_elements=["tenant_id", "image_id"], set_={name: insert.excluded[name] for name in kept}
        )
        now_ms = self._database.now_ms()
        values = [
            {
                "tenant_id": tenant,
                "image_id": one.image_id,
                "space": space,
                "distance": one.distance,
                "density": one.density,
                "neighbours": one.neighbours,
                "training": one.training,
                "scored_at": now_ms,
            }
            for one in sorted(scores, key=lambda one: one.image_id)
        ]
        async with self._database.writing() as connection:
            await connection.execute(anew, values)

    @uninterrupted
    async def anomalies(
        self,
        tenant: Tenant,
        space: str,
        by: AnomalyMeasure,
        limit: int,
        after: tuple[float, ImageId] | None = None,
        *,
        filter: Filter | None = None,
    ) -> list[AnomalyScore]:
        columns, score = anomaly_scores.c, _COLUMNS[by]
        reviewed = (
            select(feedback.c.id)
            .where(
                feedback.c.tenant_id == columns.tenant_id,
                feedback.c.image_id == columns.image_id,
                feedback.c.action == FeedbackAction.REVIEWED.value,
                feedback.c.ts >= columns.scored_at,
            )
            .exists()
        )
        live = and_(images.c.tenant_id == columns.tenant_id, images.c.id == columns.image_id)
        query = (
            select(anomaly_scores)
            .select_from(anomaly_scores.join(images, live))
            .where(
                columns.tenant_id == tenant,
                columns.space == space,
                score.is_not(None),
                images.c.state == PictureState.INDEXED,
                ~reviewed,
            )
            .order_by(score.desc(), columns.image_id)
            .limit(limit)
        )
        if filter is not None:
            query = query.where(where(filter, self._database.dialect))
        if after is not None:
            last, image_id = after
            query = query.where(or_(score < last, and_(score == last, columns.image_id > image_id)))
        async with self._database.reading() as connection:
            found = (await connection.execute(query)).all()
        return [
            AnomalyScore(ImageId(row.image_id), row.distance, row.density, row.neighbours, row.training)
            for row in found
        ]
