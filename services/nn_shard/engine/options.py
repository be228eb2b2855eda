"""What the queries of one batch share."""

from dataclasses import dataclass

from omma.errors import InvalidQuery
from omma.filters import Filter
from omma.identity import Tenant

MAX_K = 100_000
MAX_EFFORT = 10


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """Hashable, so that a caller may group queries by it and send each group as one batch.

    effort: 1 … 10 maps to lists probed, 4 being about the tuned setting; 0 is the tuned setting itself.
    visible_to: private pictures count only where this is their owner, see omma.viewing; None: all do.
    use_crops: compare with every region of a picture; otherwise only region 0, the whole, counts.
    exclude: picture ids that are left out of the answer. explain: fill ShardHits.stage_us.
    Raises InvalidQuery (field `k` or `effort`) outside of 1 … MAX_K and 0 … MAX_EFFORT.
    """

    tenant: Tenant
    k: int
    filter: Filter | None = None
    visible_to: str | None = None
    effort: int = 0
    exact: bool = False
    use_crops: bool = False
    with_payload: bool = False
    with_vectors: bool = False
    exclude: tuple[int, ...] = ()
    explain: bool = False
    with_signatures: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MAX_K:
            raise InvalidQuery(f"k must be 1 to {MAX_K}.", field="k", limit=MAX_K)
        if not 0 <= self.effort <= MAX_EFFORT:
            raise InvalidQuery(f"effort must be 1 to {MAX_EFFORT}, or 0.", field="effort", limit=MAX_EFFORT)
