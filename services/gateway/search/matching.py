"""Whether anything like what was sought is there: what the scores say by the index's own measure."""

from dataclasses import replace
from typing import Final

from omma.index import Index
from services.gateway.search.finding import Side
from services.gateway.search.query import SearchQuery, SoughtWords

_LEAST_UNDERSTOOD: Final = 0.3
"""Words that are understood less find what looks like nothing in particular (docs/benchmarks.md, Words)."""


def with_threshold(query: SearchQuery, index: Index) -> SearchQuery:
    """The query with the index's match_score for a threshold where it asked for that.

    Nothing is cut while the index has none, nor of words: they score lower than pictures do.
    """
    if not query.auto_threshold:
        return query
    score = index.match_score if _of_pictures(query) else None
    return replace(query, auto_threshold=False, score_threshold=score)


def is_no_good_match(query: SearchQuery, side: Side) -> bool:
    """Of a first page: no hits, words that were hardly understood, or a best hit below the index's match_score."""
    if query.cursor:
        return False
    understood, ranked = side.resolved.text_confidence, side.found.ranked
    if not ranked or (understood is not None and understood < _LEAST_UNDERSTOOD):
        return True
    least = side.served.index.match_score
    if least is None or not _of_pictures(query):
        return False
    scores = side.found.candidates.scores
    return max(float(scores[one.position]) for one in ranked) < least


def _of_pictures(query: SearchQuery) -> bool:
    return not any(isinstance(one, SoughtWords) for one in query.sought)
