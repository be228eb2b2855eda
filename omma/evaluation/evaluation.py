"""One model on one set of judgments, and two models against each other."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from omma.errors import InvalidQuery, NoTextTower
from omma.evaluation.judgments import Judgments
from omma.evaluation.metrics import Float64, Measured, measure
from omma.evaluation.significance import Difference, Interval, compare, interval
from omma.evaluation.words import words_to_pictures, zero_shot
from omma.vectors import Float32

SIGNIFICANT: Final = 0.05
"""p below which the verdict is a difference."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model's measures, one value a query: by picture (or by judged words), and by the classes' names.

    vectors: float32[n, d] of the corpus. queries: float32[q, d] of the judgments' queries. words: None when the model
    or the judgments have none; accuracy: float64[n], 1 where the nearest class name is the picture's.
    """

    model: str
    vectors: Float32
    queries: Float32
    measured: Measured
    words: Measured | None = None
    accuracy: Float64 | None = None

    def columns(self) -> dict[str, Float64]:
        """Every measure, float64[its queries], the primary one first."""
        made = self.measured.columns()
        if self.words is not None and self.accuracy is not None:
            made["zero-shot accuracy"] = self.accuracy
            made |= {f"words: {name}": column for name, column in self.words.columns().items() if "R-" not in name}
        return made

    def intervals(self) -> dict[str, Interval]:
        return {name: interval(column) for name, column in self.columns().items()}


def evaluate(model: str, vectors: Float32, judgments: Judgments, words: Float32 | None, *, k: int = 10) -> Evaluation:
    """Measure a model. vectors: float32[n, d] of the corpus; words: those of judgments.words, None: it knows none.

    Raises InvalidQuery, field `k` and the like; NoTextTower when queries are words and the model knows none.
    """
    queries = _query_vectors(vectors, judgments, words)
    measured = measure(
        queries,
        vectors,
        judgments.grades,
        leave_out=judgments.rows,
        k=k,
        relevant_from=judgments.relevant_from,
    )
    if words is None or judgments.labels is None:
        return Evaluation(model, vectors, queries, measured)
    return Evaluation(
        model,
        vectors,
        queries,
        measured,
        words_to_pictures(vectors, judgments.labels, words, k=k),
        zero_shot(vectors, judgments.labels, words),
    )


def compare_models(first: Evaluation, second: Evaluation) -> dict[str, Difference]:
    """Paired differences, second - first, of every measure that both have; the first is the one that decides.

    Raises InvalidQuery, field `queries`, when they were not measured on the same queries.
    """
    if not np.array_equal(first.measured.queries, second.measured.queries):
        raise InvalidQuery("The two models were measured on different queries.", field="queries")
    ours, theirs = first.columns(), second.columns()
    return {name: compare(ours[name], theirs[name]) for name in ours if name in theirs}


def verdict(first: str, second: str, differences: dict[str, Difference]) -> str:
    """What the comparison means, in one or two sentences; decided by the first measure alone."""
    name, found = next(iter(differences.items()))
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.3f}"
    change = f"{name} {found.first.mean:.3f} → {found.second.mean:.3f}"
    spread = f"{found.mean:+.3f}, 95 % interval {found.low:+.3f} to {found.high:+.3f}, {p}"
    counts = f"{found.better:,} of {found.queries:,} queries got better, {found.worse:,} worse"
    if found.p < SIGNIFICANT:
        best, other = (second, first) if found.mean > 0 else (first, second)
        return f"{best} is better than {other}: {change} ({spread}). {counts}."
    return f"No difference between {first} and {second} can be shown: {change} ({spread}). {counts}."


def _query_vectors(vectors: Float32, judgments: Judgments, words: Float32 | None) -> Float32:
    by_words = judgments.rows < 0
    made = vectors[judgments.rows]
    if by_words.any():
        if words is None:
            raise NoTextTower("Queries are words, and the model has no text tower.", field="text")
        made[by_words] = words
    return made
