"""Who should find whom: from labels of pictures, or from grades of pairs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from omma.errors import InvalidQuery
from omma.evaluation.metrics import MAX_GRADE, Grades, UInt8
from omma.vectors import Int64

GROUP_GRADE: Final = 2
"""Of a picture with another label of the same group: 3 of the 31 points that the same label gives."""


@dataclass(frozen=True, slots=True)
class Judgments:
    """Queries over a corpus of n pictures and the grades of what they should find.

    queries: names for people. rows: int64[q], the corpus row that a query is, -1 for words. words: the texts that a
    model must embed, either the classes of `labels` or the queries that are no picture, in their order.
    labels: int64[n], rows of words; None when there are no labels. relevant_from: as in omma.evaluation.measure.
    """

    queries: tuple[str, ...]
    rows: Int64
    grades: Grades
    relevant_from: int
    words: tuple[str, ...] = ()
    labels: Int64 | None = None


class Judged(Protocol):
    """Judgments about a whole folder, before it is known which pictures take part."""

    @property
    def about(self) -> str:
        """Where they come from, as a report says it."""

    def wanted(self) -> Int64:
        """Rows of the pictures that can take part, rising."""

    def among(self, rows: Int64) -> Judgments:
        """The judgments when only these rows are in the corpus. Raises InvalidQuery, field `judgments`."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A label a picture, and perhaps a group of labels: the same label is grade 5, the same group GROUP_GRADE.

    labels, groups: by row, "" for a picture that has none and takes no part. groups may be empty.
    """

    about: str
    names: Sequence[str]
    labels: Sequence[str]
    groups: Sequence[str] = ()

    def wanted(self) -> Int64:
        return np.flatnonzero([label != "" for label in self.labels])

    def among(self, rows: Int64) -> Judgments:
        classes, labels = _numbered([self.labels[row] for row in rows])
        groups = _numbered([self.groups[row] for row in rows])[1] if self.groups else None
        if not len(rows) or max(Counter(labels.tolist()).values()) < 2:
            raise InvalidQuery("No two pictures have the same label: there is nothing to find.", field="judgments")

        def grades(part: slice) -> UInt8:
            same = labels[part, None] == labels
            near = np.uint8(0) if groups is None else np.uint8(GROUP_GRADE) * (groups[part, None] == groups)
            return np.where(same, np.uint8(MAX_GRADE), near).astype(np.uint8)

        return Judgments(
            queries=tuple(self.names[row] for row in rows),
            rows=np.arange(len(rows)),
            grades=grades,
            relevant_from=GROUP_GRADE + 1,
            words=tuple(spoken(name) for name in classes),
            labels=labels,
        )


@dataclass(frozen=True, slots=True)
class Graded:
    """Grades 0 … 5 of pairs. by_picture: query row to {row: grade}; by_words: query text to {row: grade}.

    pictures: how many the folder has. What is not in a query's grades is grade 0.
    """

    about: str
    names: Sequence[str]
    by_picture: Mapping[int, Mapping[int, int]]
    by_words: Mapping[str, Mapping[int, int]]
    relevant_from: int = 1

    def wanted(self) -> Int64:
        return np.arange(len(self.names))

    def among(self, rows: Int64) -> Judgments:
        place = {int(row): number for number, row in enumerate(rows)}
        asked = [(self.names[row], place[row], given) for row, given in self.by_picture.items() if row in place]
        texts = [(text, -1, given) for text, given in self.by_words.items()]
        queries = [
            (name, row, {place[one]: grade for one, grade in given.items() if one in place and place[one] != row})
            for name, row, given in asked + texts
        ]
        queries = [one for one in queries if max(one[2].values(), default=0) >= self.relevant_from]
        if not queries:
            raise InvalidQuery("No query has a relevant picture in the folder.", field="judgments")

        def grades(part: slice) -> UInt8:
            dense = np.zeros((part.stop - part.start, len(rows)), np.uint8)
            for number, (_, _, given) in enumerate(queries[part]):
                dense[number, list(given)] = list(given.values())
            return dense

        return Judgments(
            queries=tuple(name for name, _, _ in queries),
            rows=np.array([row for _, row, _ in queries], np.int64),
            grades=grades,
            relevant_from=self.relevant_from,
            words=tuple(name for name, row, _ in queries if row < 0),
        )


def spoken(label: str) -> str:
    """A label as words: `yin_yang` and `Golden-Delicious` lose their marks, not their case."""
    return " ".join(label.replace("_", " ").replace("-", " ").split())


def _numbered(labels: Sequence[str]) -> tuple[tuple[str, ...], Int64]:
    names, numbers = np.unique(np.array(labels, dtype=object).astype(str), return_inverse=True)
    return tuple(map(str, names)), numbers.astype(np.int64)
