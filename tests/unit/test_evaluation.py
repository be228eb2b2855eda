"""Measures of retrieval against a plain reading of their definitions, their intervals, and the split."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from omma.errors import InvalidQuery
from omma.evaluation import (
    compare,
    held_out,
    interval,
    leave_one_out,
    measure,
    ranking,
    words_to_pictures,
    zero_shot,
)
from omma.vectors import normalise


def plainly(scores: list[float], grades: list[int], k: int, relevant_from: int) -> list[float]:
    """nDCG@k, AP, AP@k, recall@k, precision@k, R-precision of one query, straight from the definitions."""
    order = sorted(range(len(scores)), key=lambda row: (-scores[row], row))
    by_rank = [grades[row] for row in order]
    hits = [grade >= relevant_from for grade in by_rank]
    total = sum(hits)

    def dcg(some: list[int]) -> float:
        return sum((2**grade - 1) / math.log2(rank + 1) for rank, grade in enumerate(some[:k], 1))

    precisions = [sum(hits[:rank]) / rank if hit else 0.0 for rank, hit in enumerate(hits, 1)]
    return [
        dcg(by_rank) / dcg(sorted(grades, reverse=True)),
        sum(precisions) / total,
        sum(precisions[:k]) / total,
        sum(hits[:k]) / total,
        sum(hits[:k]) / k,
        sum(hits[:total]) / total,
    ]


@settings(max_examples=80, deadline=None)
@given(
    vectors=arrays.arrays(np.int8, st.tuples(st.integers(2, 12), st.just(2)), elements=st.integers(-2, 2)),
    k=st.integers(1, 15),
    relevant_from=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_measures_are_what_their_definitions_say_also_with_ties(
    vectors: np.ndarray, k: int, relevant_from: int, seed: int
) -> None:
    corpus = vectors.astype(np.float32)  # small integers: exact inner products and many ties
    n = len(corpus)
    graded = np.random.default_rng(seed).integers(0, 6, (n, n)).astype(np.uint8)
    made = measure(corpus, corpus, lambda part: graded[part], leave_out=np.arange(n), k=k, relevant_from=relevant_from)
    expected = {}
    for query in range(n):
        others = [row for row in range(n) if row != query]
        grades = [int(graded[query, row]) for row in others]
        if any(grade >= relevant_from for grade in grades):
            scores = [float(corpus[query] @ corpus[row]) for row in others]
            expected[query] = plainly(scores, grades, k, relevant_from)
    assert made.queries.tolist() == list(expected)
    assert np.allclose(np.array([*made.columns().values()]).T.reshape(-1, 6), [*expected.values()] or np.empty((0, 6)))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    vectors, labels = normalise(rng.normal(size=(60, 8))), rng.integers(0, 5, 60)
    whole = leave_one_out(vectors, labels, k=7)
    monkeypatch.setattr(ranking, "_CHUNK_SCORES", 7 * 60)
    parts = leave_one_out(vectors, labels, k=7)
    for name, column in whole.columns().items():
        assert np.allclose(parts.columns()[name], column), name


def test_perfect_neighbours_give_one_and_a_lone_label_is_no_query() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    made = leave_one_out(np.eye(3, dtype=np.float32)[labels], labels, k=2)
    assert made.queries.tolist() == [0, 1, 2, 3, 4]
    for name, column in made.columns().items():
        assert column.tolist() == ([1, 1, 1, 0.5, 0.5] if name == "precision@2" else [1] * 5), name


def test_equal_scores_order_by_row_as_merge_orders_by_id() -> None:
    same = np.ones((5, 1), np.float32)
    (chunk,) = ranking.ranked(same, same, np.arange(5))
    assert chunk.rows[2].tolist() == [0, 1, 3, 4, 2]


def test_zero_and_minus_zero_are_one_score() -> None:
    (chunk,) = ranking.ranked(np.ones((1, 1), np.float32), np.array([[-0.0], [0.0], [-1], [1]], np.float32))
    assert chunk.rows.tolist() == [[3, 0, 1, 2]]


@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("labels", lambda: leave_one_out(np.eye(3, dtype=np.float32), [0, 1])),
        ("k", lambda: leave_one_out(np.eye(3, dtype=np.float32), [0, 0, 0], k=0)),
        ("vectors", lambda: leave_one_out(np.full((3, 2), np.nan, np.float32), [0, 0, 0])),
        ("vectors", lambda: words_to_pictures(np.eye(3, dtype=np.float32), [0, 0, 0], np.eye(2, dtype=np.float32))),
        ("labels", lambda: zero_shot(np.eye(3, dtype=np.float32), [0, 0, 3], np.eye(3, dtype=np.float32))),
        ("judgments", lambda: measure(*[np.eye(2, dtype=np.float32)] * 2, lambda _: np.full((2, 2), 6, np.uint8))),
        ("queries", lambda: interval(np.empty(0))),
        ("queries", lambda: compare(np.zeros(3), np.zeros(4))),
        ("share", lambda: held_out("a.jpg", 1.5)),
        ("name", lambda: held_out("")),
    ],
)
def test_what_cannot_be_measured_says_which_field(field: str, call) -> None:
    with pytest.raises(InvalidQuery) as refused:
        call()
    assert refused.value.field == field


def test_zero_shot_and_words_to_pictures() -> None:
    texts = np.eye(3, dtype=np.float32)
    pictures = texts[[0, 1, 2, 0]]
    assert zero_shot(pictures, [0, 1, 2, 1], texts).tolist() == [1, 1, 1, 0]
    made = words_to_pictures(pictures, [0, 1, 1, 1], texts, k=2)
    assert made.queries.tolist() == [0, 1]  # no picture is labelled 2
    assert made.precision.tolist() == [0.5, 0.5]


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for trial in range(200):
        found = interval(rng.random(80) ** 2, resamples=500, seed=trial)
        held += found.low <= 1 / 3 <= found.high
    assert 180 <= held <= 199  # 95 % of 200 is 190, its standard deviation 3


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(0).random(50)
    assert interval(values, seed=4) == interval(values, seed=4) != interval(values, seed=5)


def test_a_difference_that_is_there_is_found_and_one_that_is_not_is_not() -> None:
    rng = np.random.default_rng(5)
    first = rng.random(300)
    found = compare(first, first + rng.normal(0.03, 0.1, 300), resamples=2_000)
    assert found.p < 0.01
    assert 0 < found.low < found.mean < found.high
    assert found.better + found.worse == 300
    same = compare(first, first, resamples=2_000)
    assert (same.p, same.mean, same.better, same.worse) == (1, 0, 0, 0)


def test_chance_alone_is_called_a_difference_as_often_as_p_says() -> None:
    rng = np.random.default_rng(6)
    small = sum(compare(rng.random(40), rng.random(40), resamples=400, seed=n).p < 0.1 for n in range(200))
    assert 8 <= small <= 34  # 10 % of 200 is 20, its standard deviation 4.2


def test_the_split_is_the_same_for_ever() -> None:
    # Values of sha256: a change here would let trained pictures into what is measured.
    assert [held_out(f"image_{number:04}.jpg") for number in range(12)] == SPLIT_OF_TWELVE


def test_folder_suffix_and_case_do_not_decide_and_a_larger_share_keeps_the_smaller() -> None:
    names = [f"{number:05}" for number in range(4_000)]
    out = {name for name in names if held_out(name + ".jpg")}
    assert 0.18 < len(out) / len(names) < 0.22
    assert out == {name for name in names if held_out(f"/some/where/{name}.JPEG")}
    assert out == {name for name in names if held_out(f"C:\\x\\{name}.webp")}
    assert out < {name for name in names if held_out(name, 0.3)}
    assert not any(held_out(name, 0) for name in names)
    assert all(held_out(name, 1) for name in names)


SPLIT_OF_TWELVE = [number in {7, 9, 11} for number in range(12)]
