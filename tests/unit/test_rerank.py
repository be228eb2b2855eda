"""Re-ranking as pure functions: gates, near-duplicates, diversity, policies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.errors import InvalidQuery, OutOfTime
from omma.hits import Payload
from omma.vectors import normalise
from services.rerank.client import DropReason, NearDuplicates, RerankQuery
from services.rerank.diversity import diverse_order
from services.rerank.policies import DEFAULT, DIVERSE, Policy
from services.rerank.rerank import is_blocked, rerank
from tests.unit.rerank_candidates import COPY, EAST, FEW_PHASHES, NORTH, OTHER, UNLIKE, candidates, ids

# Near-duplicates


# Gates


def test_the_phash_gate_keeps_what_is_near_the_query_picture() -> None:
    query = RerankQuery(k=5, query_phash=COPY, phash_gate=4, near_duplicates=NearDuplicates.KEEP)
    reranked = rerank(query, DEFAULT, candidates([COPY ^ 0b1111, COPY ^ 0b11111, 0, COPY]))
    assert [(hit.position + 1, hit.phash_distance) for hit in reranked.ranked] == [(1, 4), (4, 0)]
    assert reranked.dropped == ((2, DropReason.PHASH_GATE), (3, DropReason.PHASH_GATE))


def test_the_distance_is_told_without_a_gate_where_it_is_known() -> None:
    reranked = rerank(RerankQuery(k=5, query_phash=COPY), DEFAULT, candidates([OTHER, COPY]))
    assert [hit.phash_distance for hit in reranked.ranked] == [64, 0]


def test_a_black_query_picture_has_a_phash() -> None:
    query = RerankQuery(k=5, query_phash=0, phash_gate=4, near_duplicates=NearDuplicates.KEEP)
    reranked = rerank(query, DEFAULT, candidates([0, 0b1111, 0b11111, COPY]))
    assert [(hit.position, hit.phash_distance) for hit in reranked.ranked] == [(0, 0), (1, 4)]


@pytest.mark.parametrize(("gate", "phash"), [(4, None), (-1, COPY), (65, COPY)])
def test_a_gate_that_cannot_be_is_refused(gate: int, phash: int | None) -> None:
    with pytest.raises(InvalidQuery) as raised:
        rerank(RerankQuery(k=5, query_phash=phash, phash_gate=gate), DEFAULT, candidates([COPY]))
    assert raised.value.field == "phash_gate"


def test_the_threshold_keeps_what_equals_it() -> None:
    reranked = rerank(RerankQuery(k=5, score_threshold=0.7), DEFAULT, candidates(UNLIKE[:3], scores=[0.9, 0.7, 0.69]))
    assert ids(reranked) == [1, 2]
    assert reranked.dropped == ((3, DropReason.SCORE_THRESHOLD),)


@pytest.mark.parametrize(
    ("url", "blocked"),
    [
        ("https://spam.example/a.jpg", True),
        ("http://CDN.Spam.Example:8080/a", True),
        ("https://spam.example./a", True),
        ("https://user@spam.example/a", True),
        ("https://notspam.example/a", False),
        ("https://spam.example.org/a", False),
        ("https://fine.example/?u=spam.example", False),
        ("", False),
        ("spam.example", False),
        ("http://[spam.example", False),
    ],
)
def test_a_domain_is_blocked_with_those_below_it(url: str, blocked: bool) -> None:
    assert is_blocked(url, frozenset({"spam.example"})) is blocked


def test_small_pictures_are_dropped_and_unknown_sizes_kept() -> None:
    sizes = [(100, 99), (100, 100), (0, 0), (5000, 20)]
    policy = Policy(name="own", version=1, min_side_pixels=100)
    hits = candidates(UNLIKE[:4], payloads=[Payload(width=width, height=height) for width, height in sizes])
    reranked = rerank(RerankQuery(k=5), policy, hits)
    assert ids(reranked) == [2, 3]
    assert {reason for _, reason in reranked.dropped} == {DropReason.LOW_QUALITY}


def test_the_default_policy_keeps_the_order_of_the_scores() -> None:
    vectors = [EAST] * 5
    assert ids(rerank(RerankQuery(k=4), DEFAULT, candidates(UNLIKE, vectors))) == [1, 2, 3, 4]


def test_nothing_found_is_nothing_ranked() -> None:
    for policy in (DEFAULT, DIVERSE):
        assert rerank(RerankQuery(k=5), policy, candidates([], [])).ranked == ()


def test_a_k_below_one_is_refused() -> None:
    with pytest.raises(InvalidQuery):
        rerank(RerankQuery(k=0), DEFAULT, candidates([0]))


CASES = st.lists(st.tuples(FEW_PHASHES, st.integers(0, 5), st.integers(0, 400), st.booleans()), max_size=25)


@given(CASES, st.integers(1, 30), st.sampled_from(NearDuplicates), st.sampled_from([1.0, 0.5]))
def test_every_candidate_is_ranked_folded_dropped_or_beyond_k_once(
    rows: list[tuple[int, int, int, bool]], k: int, near_duplicates: NearDuplicates, relevance: float
) -> None:
    policy = Policy(
        name="own", version=1, relevance=relevance, blocked_domains=frozenset({"spam.example"}), min_side_pixels=200
    )
    hits = candidates(
        [row[0] for row in rows],
        [(np.cos(row[1] / 5), np.sin(row[1] / 5)) for row in rows],
        payloads=[
            Payload(source_url="https://spam.example" if row[3] else "", width=row[2], height=400) for row in rows
        ],
    )
    reranked = rerank(RerankQuery(k=k, near_duplicates=near_duplicates), policy, hits)
    told = [*ids(reranked), *(int(one) for hit in reranked.ranked for one in hit.duplicates)]
    told += [int(image_id) for image_id, _ in reranked.dropped]
    assert len(told) == len(set(told))
    assert len(reranked.ranked) <= k
    if len(reranked.ranked) < k:
        assert set(told) == set(range(1, len(rows) + 1))


# Diversity


def test_diversity_prefers_what_is_unlike_the_hits_before() -> None:
    hits = candidates(UNLIKE[:3], [EAST, EAST, NORTH], scores=[0.9, 0.89, 0.6])
    assert ids(rerank(RerankQuery(k=2), DIVERSE, hits)) == [1, 3]


def test_without_vectors_diversity_does_not_apply() -> None:
    assert ids(rerank(RerankQuery(k=2), DIVERSE, candidates(UNLIKE[:3]))) == [1, 2]


@given(st.integers(0, 30), st.floats(0, 1), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_the_order_is_that_of_the_definition(count: int, relevance: float, k: int, seed: int) -> None:
    numbers = np.random.default_rng(seed)
    vectors = normalise(numbers.standard_normal((count, 4)) + 1e-3)
    scores = np.sort(numbers.random(count).astype(np.float32))[::-1].copy()
    order = diverse_order(scores, vectors, relevance, k).tolist()
    assert len(order) == len(set(order)) == min(k, count)
    for turn, chosen in enumerate(order):
        values = {
            one: relevance * scores[one]
            - (1 - relevance) * max((float(vectors[one] @ vectors[other]) for other in order[:turn]), default=-1.0)
            for one in range(count)
            if one not in order[:turn]
        }
        assert values[chosen] >= max(values.values()) - 1e-5


def test_diversity_of_many_ends_when_time_is_up() -> None:
    numbers = np.random.default_rng(1)
    vectors = normalise(numbers.standard_normal((600, 8)))
    scores = np.linspace(1, 0, 600, dtype=np.float32)
    looks = 0

    def out_of_time_at_the_third_look() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise OutOfTime("now")

    with pytest.raises(OutOfTime):
        diverse_order(scores, vectors, 0.5, 600, out_of_time_at_the_third_look)
    assert len(set(diverse_order(scores, vectors, 0.5, 600).tolist())) == 600


@given(st.integers(1, 30))
def test_relevance_alone_is_the_order_of_the_scores(count: int) -> None:
    scores = np.linspace(1, 0, count, dtype=np.float32)
    vectors = np.ones((count, 2), np.float32)
    assert diverse_order(scores, vectors, 1.0, count).tolist() == list(range(count))


# Policies
