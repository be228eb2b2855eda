"""How far pictures stand apart from the others of their tenant, as a job of the worker last measured it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from omma.filters import Filter
from omma.identity import ImageId, Tenant


class AnomalyMeasure(StrEnum):
    """Cosine distances, 0 … 2. distance: to the nearest picture. density: the mean to the ten nearest. training: to the
    nearest middle of what the model was trained on.
    """

    DISTANCE = "distance"
    DENSITY = "density"
    TRAINING = "training"


@dataclass(frozen=True, slots=True)
class AnomalyScore:
    """distance, density, training: as AnomalyMeasure has them. neighbours: pictures that density rests on, 1 … 10.
    training: None where the model does not say what it was trained on.
    """

    image_id: ImageId
    distance: float
    density: float
    neighbours: int
    training: float | None = None

    def by(self, measure: AnomalyMeasure) -> float:
        """0 for what was not measured, which is in no list."""
        match measure:
            case AnomalyMeasure.DISTANCE:
                return self.distance
            case AnomalyMeasure.DENSITY:
                return self.density
            case AnomalyMeasure.TRAINING:
                return self.training or 0.0


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
