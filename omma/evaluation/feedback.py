"""Judgments and pairs from what people said of pictures. Pure."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from omma.catalog.feedback import FeedbackAction
from omma.evaluation.metrics import MAX_GRADE

_GRADES: Final = {FeedbackAction.RELEVANT: MAX_GRADE, FeedbackAction.DUPLICATE: MAX_GRADE, FeedbackAction.IRRELEVANT: 0}
_SOURCES: Final = {
    FeedbackAction.RELEVANT: "feedback",
    FeedbackAction.DUPLICATE: "feedback",
    FeedbackAction.IRRELEVANT: "apart",
    FeedbackAction.DIFFERENT: "apart",
}


@dataclass(frozen=True, slots=True)
class Opinion:
    """Of a picture, beside the one that was sought; both by any name."""

    sought: str
    picture: str
    action: FeedbackAction


def judgments_of_feedback(newest_first: Iterable[Opinion]) -> Iterator[tuple[str, str, int]]:
    """Sought picture, picture and grade, by the last word on each pair.

    Those sought without a picture that was called good are left out: with them alone nothing can be measured.
    """
    last = _last_words(newest_first, _GRADES)
    good = {one.sought for one in last if _GRADES[one.action]}
    return ((one.sought, one.picture, _GRADES[one.action]) for one in last if one.sought in good)


def pairs_of_feedback(newest_first: Iterable[Opinion]) -> Iterator[tuple[str, str, str]]:
    """First, second and source as `train_simclr --pairs` reads them: `feedback` belong together, `apart` do not, by the
    last word on each pair, whichever of the two was sought.
    """
    both_ways = (
        Opinion(min(one.sought, one.picture), max(one.sought, one.picture), one.action) for one in newest_first
    )
    return ((one.sought, one.picture, _SOURCES[one.action]) for one in _last_words(both_ways, _SOURCES))


def _last_words(newest_first: Iterable[Opinion], of: Collection[FeedbackAction]) -> list[Opinion]:
    last: dict[tuple[str, str], Opinion] = {}
    for one in newest_first:
        if one.action in of and one.sought != one.picture:
            last.setdefault((one.sought, one.picture), one)
    return [last[pair] for pair in sorted(last)]
