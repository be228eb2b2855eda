"""Re-ranking policies: named, versioned, never changed once published, so that two can be compared."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from omma.errors import InvalidQuery
from omma.settings import Section

Domain = Annotated[str, StringConstraints(to_lower=True, strip_whitespace=True, min_length=1, max_length=253)]


class DuplicatesBy(StrEnum):
    """signature: what `omma.copies` tells, and the verdicts that people gave. phash: 64 bits and the vectors alone."""

    SIGNATURE = "signature"
    PHASH = "phash"


class Policy(Section):
    """name@version. Everything that re-ranking decides beside what the query itself asks.

    relevance: of maximal marginal relevance; 1 keeps the order of the scores.
    duplicates_by: what tells near-duplicates. max_hamming, min_cosine: where pHash does, as for pictures without a
    signature.
    blocked_domains: a source on one of them or below it is dropped.
    min_side_pixels: a picture whose shorter side is known and smaller is dropped.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")
    version: int = Field(ge=1, le=1_000_000)
    relevance: float = Field(default=1.0, ge=0, le=1)
    duplicates_by: DuplicatesBy = DuplicatesBy.SIGNATURE
    max_hamming: int = Field(default=6, ge=0, le=64)
    min_cosine: float = Field(default=0.95, ge=-1, le=1)
    blocked_domains: frozenset[Domain] = frozenset()
    min_side_pixels: int = Field(default=0, ge=0, le=100_000)

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"


DEFAULT: Final = Policy(name="default", version=2)
DIVERSE: Final = Policy(name="diverse", version=2, relevance=0.7)
_BUILT_IN: Final = (
    Policy(name="default", version=1, duplicates_by=DuplicatesBy.PHASH),
    Policy(name="diverse", version=1, duplicates_by=DuplicatesBy.PHASH, relevance=0.7),
    DEFAULT,
    DIVERSE,
)


class Policies:
    """What a query may ask for: the built-in ones and a deployment's own."""

    def __init__(self, own: Iterable[Policy] = (), default: str = DEFAULT.name) -> None:
        """default: for a query that names none. Raises ValueError when an id comes twice with different content,
        InvalidQuery when there is no such default.
        """
        self._by_name: dict[str, Policy] = {}
        for policy in sorted((*_BUILT_IN, *own), key=lambda one: one.version):
            if self._by_name.setdefault(policy.id, policy) != policy:
                raise ValueError(f"Policy {policy.id} is published already; give the changed one another version.")
            self._by_name[policy.name] = policy  # the highest version comes last
        self._default = self.get(default)

    def get(self, name: str) -> Policy:
        """By name (its highest version) or name@version; empty is the default. Raises InvalidQuery, field `policy`."""
        if not name:
            return self._default
        policy = self._by_name.get(name)
        if policy is None:
            known = ", ".join(sorted(one for one in self._by_name if "@" in one))
            raise InvalidQuery(f"{name[:80]!r} is no policy; there are {known}.", field="policy")
        return policy
