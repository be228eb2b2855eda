"""A space: a model version with its preprocessing and dimension. Vectors of two spaces never meet."""

from dataclasses import dataclass, field
from typing import Final, NewType

from omma.errors import WrongSpace

SpaceId = NewType("SpaceId", str)
"""`<model>-<major>.<minor>.0-<8 hex of the signature>`: legal in a topic name ([A-Za-z0-9._-])."""

LEAST_DIM: Final = 2
MOST_DIM: Final = 4_096
"""Of a space that has no model."""


@dataclass(frozen=True, slots=True)
class Space:
    """id: the stamp on every vector and answer. Vectors are L2-normalised and compared by inner product.

    model: "" where callers bring the vectors; id is the name that they chose then. Not compared: a patch has the same
    space. signature: sha256 hex over model
    towers, preprocessing, dim and metric. buckets: fixed for the space's life.
    """

    id: SpaceId
    model: str = field(compare=False)
    signature: str
    dim: int
    buckets: int = 256
    metric: str = "ip"

    @property
    def vectors_topic(self) -> str:
        return f"omma.vectors.{self.id}"

    def takes(self, given: str) -> bool:
        """Whether a row belongs here. given: the space that it was given a vector of; "" for a picture, which belongs
        to the space of every model.
        """
        return given == self.id if given else bool(self.model)


def require_same_space(wanted: str, given: str) -> None:
    """Raises WrongSpace, field `space`, when two stamps differ."""
    if wanted != given:
        raise WrongSpace(f"Vectors of space {given!r} cannot be compared in space {wanted!r}.", field="space")
