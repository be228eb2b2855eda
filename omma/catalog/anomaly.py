"""How far pictures stand apart from the others of their tenant, as a job of the worker last measured it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from omma.filters import Filter
from omma.identity import ImageId, Tenant


class AnomalyMeasure(StrEnum):
    """Cosine distances, 0 … 2. distance: to the nearest picture. density: the mean to the ten nearest."""

    DISTANCE = "distance"
    DENSITY = "density"


@dataclass(frozen=True, slots=True)
class AnomalyScore:
    """distance, density: as AnomalyMeasure has them. neighbours: pictures that density rests on, 1 … 10."""

    image_id: ImageId
    distance: float
    density: float
    neighbours: int
    scored_at_ms: int = 0

    def by(self, measure: AnomalyMeasure) -> float:
        return self.distance if measure is AnomalyMeasure.DISTANCE else self.density


class AnomalyBook(Protocol):
    """The catalog's calls about what stands apart; each is one transaction and raises as the catalog's others do."""

    async def pictures_to_score(
        self, tenant: Tenant | None, after: ImageId, limit: int
    ) -> list[tuple[ImageId, Tenant]]:
        """Indexed pictures with higher ids, by id. tenant: None: of every tenant."""

    async def keep_anomaly_scores(self, tenant: Tenant, space: str, scores: Sequence[AnomalyScore]) -> None:
        """In place of what was kept of these pictures. space: in which they were measured."""

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
        """The farthest first, equal ones by id; not deleted ones, nor those that were reviewed since they were scored.
        after: score and id of the last one of a page. filter: of pictures.
        """
