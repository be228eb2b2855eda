"""How well an index's codebook still fits what it holds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Drift:
    """Of one shard. train_rows: that the codebook was trained on.

    list_imbalance: 1 for lists of one size, 2 where searches look at twice as many rows for the same probes; 0 before
    rows are sealed. quantisation_error: mean squared distance of rows, of length 1, from what their codes say.
    recent_fit: how near recent rows lie to their lists, over how near the training sample did; 0 before a head filled.
    rebuild: why a rebuild as a new index would help; "" while it would not.
    """

    train_rows: int
    list_imbalance: float
    quantisation_error: float
    recent_fit: float
    rebuild: str
