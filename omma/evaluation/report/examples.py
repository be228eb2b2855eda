"""Which queries a report shows: the best, the worst, and those that two models answer most differently."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from omma.evaluation.evaluation import Evaluation
from omma.evaluation.judgments import Judgments
from omma.evaluation.metrics import Float64
from omma.evaluation.ranking import ranked


@dataclass(frozen=True, slots=True)
class Found:
    """A picture in an answer. row: of the corpus. grade: 0 … 5. score: cosine."""

    row: int
    grade: int
    score: float


@dataclass(frozen=True, slots=True)
class Example:
    """A query and what each model finds. row: of the corpus, -1 for words. values: nDCG of each model."""

    name: str
    row: int
    label: str
    values: tuple[float, ...]
    answers: tuple[tuple[Found, ...], ...]


def extremes(evaluation: Evaluation, judgments: Judgments, *, count: int, shown: int) -> tuple[list[Example], ...]:
    """The best and the worst queries of a model by nDCG, then by average precision; at most one a label, if it can."""
    key = evaluation.measured.ndcg + 1e-6 * evaluation.measured.average_precision
    ends = [_spread(np.argsort(sign * key, kind="stable"), judgments, evaluation)[:count] for sign in (-1, 1)]
    return tuple(_examples(end, [evaluation], judgments, shown) for end in ends)


def changed_most(
    first: Evaluation, second: Evaluation, judgments: Judgments, *, count: int, shown: int
) -> tuple[list[Example], ...]:
    """The queries that the second model answers better, and worse, by nDCG than the first: the largest changes."""
    change: Float64 = second.measured.ndcg - first.measured.ndcg
    better = [one for one in _spread(np.argsort(-change, kind="stable"), judgments, first) if change[one] > 0]
    worse = [one for one in _spread(np.argsort(change, kind="stable"), judgments, first) if change[one] < 0]
    return tuple(_examples(some[:count], [first, second], judgments, shown) for some in (better, worse))


def label_of(judgments: Judgments, query: int) -> str:
    """The label of a query as words; empty where there are no labels."""
    return "" if judgments.labels is None else judgments.words[judgments.labels[judgments.rows[query]]]


def _spread(order: Iterable[np.integer], judgments: Judgments, evaluation: Evaluation) -> list[int]:
    """Positions among the measured queries in this order, the first of every label before any second."""
    firsts: list[int] = []
    others: list[int] = []
    seen: set[str] = set()
    for one in map(int, order):
        label = label_of(judgments, int(evaluation.measured.queries[one]))
        (others if label and label in seen else firsts).append(one)
        seen.add(label)
    return firsts + others


def _examples(
    chosen: Sequence[int], evaluations: Sequence[Evaluation], judgments: Judgments, shown: int
) -> list[Example]:
    if not chosen:
        return []
    measured = evaluations[0].measured
    queries = measured.queries[list(chosen)]
    answers = [[_answer(one, judgments, int(query), shown) for one in evaluations] for query in queries]
    return [
        Example(
            judgments.queries[query],
            int(judgments.rows[query]),
            label_of(judgments, int(query)),
            tuple(float(evaluation.measured.ndcg[place]) for evaluation in evaluations),
            tuple(found),
        )
        for query, place, found in zip(queries, chosen, answers, strict=True)
    ]


def _answer(evaluation: Evaluation, judgments: Judgments, query: int, shown: int) -> tuple[Found, ...]:
    asked = evaluation.queries[query : query + 1]
    (chunk,) = ranked(asked, evaluation.vectors, judgments.rows[query : query + 1])
    grades = judgments.grades(slice(query, query + 1))[0]
    others = len(evaluation.vectors) - (judgments.rows[query] >= 0)
    rows = chunk.rows[0, : min(shown, others)]
    return tuple(Found(int(row), int(grades[row]), float(evaluation.vectors[row] @ asked[0])) for row in rows)
