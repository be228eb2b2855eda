"""Grades from what people clicked."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from omma.evaluation.metrics import MAX_GRADE

PRIOR_VIEWS: Final = 1.0
"""Looks without a click that every pair is credited with, so that one click out of one look is not certainty."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture that one search (query_id) showed at a rank, from 1, and whether this line tells of a click on it."""

    query: str
    picture: str
    rank: int
    clicked: bool
    query_id: str


def grades_from_clicks(seen: Iterable[Seen]) -> dict[str, dict[str, int]]:
    """query to {picture: grade}. Pure.

    Of a pair, attraction = clicks / (sum of 1/rank over its impressions + PRIOR_VIEWS), grade = round(5 x attraction),
    0 … 5, at least 1 where there was a click. 1/rank is the chance that a rank is looked at: the position-based model
    (Craswell et al., An Experimental Comparison of Click Position-Bias Models, 2008) with the propensities of Joachims
    et al., Unbiased Learning-to-Rank with Biased Feedback (2017). One search's repeated clicks on a picture count
    once; a click without its impression (impressions may be sampled) counts as one look more.

    What it cannot mend: a picture that nobody was shown has grade 0 however good it is, so the model that made the
    lists is favoured.
    """
    looks: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    clicks: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in seen:
        pair = (one.query, one.picture)
        looks[pair].setdefault(one.query_id, one.rank)
        if one.clicked:
            clicks[pair].add(one.query_id)
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for (query, picture), ranks in looks.items():
        clicked = len(clicks[query, picture])
        attraction = clicked / (sum(1 / rank for rank in ranks.values()) + PRIOR_VIEWS)
        grades[query][picture] = max(min(1, clicked), min(MAX_GRADE, round(MAX_GRADE * attraction)))
    return dict(grades)
