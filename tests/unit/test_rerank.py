"""Re-ranking as pure functions: gates, near-duplicates, diversity, policies."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.copies import Pair, Signatures, copies, grouped
from omma.errors import InvalidQuery, OutOfTime
from omma.hits import Hits, Payload
from omma.identity import ImageId
from omma.images import signature
from omma.vectors import normalise
from services.rerank.client import DropReason, Folded, NearDuplicates, Reranked, RerankQuery
from services.rerank.diversity import diverse_order
from services.rerank.near_duplicates import _compared, folded, hamming, leaders
from services.rerank.policies import DEFAULT, DIVERSE, Policies, Policy
from services.rerank.rerank import is_blocked, rerank
from tests.pictures import scene

COPY = 0xF0F0_F0F0_F0F0_F0F0
OTHER = 0x0F0F_0F0F_0F0F_0F0F
UNLIKE = [0, *(0xFFFF << shift for shift in (0, 16, 32, 48))]
FIRST = Policies().get("default@1")
EAST, NORTH = (1.0, 0.0), (0.0, 1.0)


def candidates(
    phashes: list[int],
    vectors: list[tuple[float, ...]] | None = None,
    scores: list[float] | None = None,
    payloads: list[Payload] | None = None,
    known: list[bool] | None = None,
    signatures: list[bytes] | None = None,
) -> Hits:
    """Ids 1, 2, 3 …, best first."""
    count = len(phashes)
    return Hits(
        ids=np.arange(1, count + 1),
        scores=np.array(scores or np.linspace(0.9, 0.1, count), np.float32),
        versions=np.ones(count, np.int64),
        phashes=np.array(phashes, np.uint64),
        boxes=np.zeros((count, 4), np.int32),
        payloads=None if payloads is None else tuple(payloads),
        vectors=None if vectors is None else np.array(vectors, np.float16).reshape(count, 2),
        phash_known=np.array([True] * count if known is None else known),
        signatures=None if signatures is None else tuple(signatures),
    )


def ids(reranked: Reranked) -> list[int]:
    return [hit.position + 1 for hit in reranked.ranked]


# Near-duplicates


def test_copies_collapse_under_the_best_of_them() -> None:
    hits = candidates([COPY, OTHER, COPY ^ 0b111111, COPY], [EAST, NORTH, EAST, EAST])
    reranked = rerank(RerankQuery(k=10), DEFAULT, hits)
    assert [(hit.position, hit.duplicates) for hit in reranked.ranked] == [(0, (3, 4)), (1, ())]
    assert reranked.dropped == ()
    assert reranked.policy == "default@2"


def test_drop_takes_the_copies_out_and_says_so() -> None:
    hits = candidates([COPY, OTHER, COPY], [EAST, NORTH, EAST])
    reranked = rerank(RerankQuery(k=10, near_duplicates=NearDuplicates.DROP), DEFAULT, hits)
    assert ids(reranked) == [1, 2]
    assert [hit.duplicates for hit in reranked.ranked] == [(), ()]
    assert reranked.dropped == ((3, DropReason.NEAR_DUPLICATE),)


def test_keep_leaves_copies_alone() -> None:
    hits = candidates([COPY, COPY, COPY], [EAST, EAST, EAST])
    reranked = rerank(RerankQuery(k=2, near_duplicates=NearDuplicates.KEEP), DEFAULT, hits)
    assert [(hit.position, hit.duplicates) for hit in reranked.ranked] == [(0, ()), (1, ())]


@pytest.mark.parametrize(
    ("bits", "cosine", "joined"),
    [(6, 1.0, True), (7, 1.0, False), (0, 0.96, True), (0, 0.94, False), (6, 0.94, False)],
)
def test_phash_proposes_and_the_cosine_confirms(bits: int, cosine: float, joined: bool) -> None:
    near = (cosine, (1 - cosine**2) ** 0.5)
    reranked = rerank(RerankQuery(k=5), DEFAULT, candidates([COPY, COPY ^ (2**bits - 1)], [EAST, near]))
    assert (len(reranked.ranked) == 1) is joined


def test_black_pictures_whose_phash_is_0_are_like_each_other() -> None:
    hits = candidates([0, 0, 1, 2**64 - 1], [EAST, EAST, EAST, EAST])
    assert ids(rerank(RerankQuery(k=5), DEFAULT, hits)) == [1, 4]


def test_who_has_no_phash_is_nobodys_copy_passes_no_gate_and_has_no_distance() -> None:
    hits = candidates([0, 0, 0], [EAST, EAST, EAST], known=[True, False, False])
    assert ids(rerank(RerankQuery(k=5), DEFAULT, hits)) == [1, 2, 3]
    gated = rerank(RerankQuery(k=5, query_phash=0, phash_gate=64), DEFAULT, hits)
    assert ids(gated) == [1]
    told = rerank(RerankQuery(k=5, query_phash=3), DEFAULT, hits)
    assert [hit.phash_distance for hit in told.ranked] == [2, None, None]


def test_without_vectors_the_phash_decides() -> None:
    assert ids(rerank(RerankQuery(k=5), DEFAULT, candidates([COPY, COPY, OTHER]))) == [1, 3]


def test_a_chain_of_small_edits_is_one_group_in_the_first_version_its_far_ends_are_two() -> None:
    chain = [COPY, COPY ^ 0b1111, COPY ^ 0b1111_1111]
    by_policy = [
        [(hit.position + 1, hit.duplicates) for hit in rerank(RerankQuery(k=5), policy, candidates(chain)).ranked]
        for policy in (DEFAULT, FIRST)
    ]
    assert by_policy == [[(1, (2, 3))], [(1, (2,)), (3, ())]]


SIGNED = [signature(scene(seed=seed)) for seed in range(3)]


def test_signatures_fold_whatever_the_vectors_say_and_tell_the_rule() -> None:
    hits = candidates([COPY, OTHER, COPY], [EAST, NORTH, NORTH], signatures=[SIGNED[0], SIGNED[1], SIGNED[0]])
    for way, dropped in ((NearDuplicates.COLLAPSE, ()), (NearDuplicates.DROP, ((3, DropReason.NEAR_DUPLICATE),))):
        reranked = rerank(RerankQuery(k=5, near_duplicates=way), DEFAULT, hits)
        assert ids(reranked) == [1, 2]
        assert reranked.dropped == dropped
        assert reranked.folded == (Folded(ImageId(3), ImageId(1), "signature", 0),)


@pytest.mark.parametrize("signed", [True, False])
def test_thousands_of_copies_are_not_compared_each_with_each(monkeypatch: pytest.MonkeyPatch, signed: bool) -> None:
    seen: list[int] = []

    def counted(signatures: Signatures, check: Callable[[], object]) -> list[Pair]:
        seen.append(len(signatures.pictures))
        return copies(signatures, check)

    monkeypatch.setattr("services.rerank.near_duplicates.copies", counted)
    count = 4_000
    hits = candidates([COPY] * count, [EAST] * count, signatures=[SIGNED[0] if signed else b""] * count)
    reranked = rerank(RerankQuery(k=10), DEFAULT, hits)
    assert [(hit.position, len(hit.duplicates)) for hit in reranked.ranked] == [(0, count - 1)]
    assert {one.rule for one in reranked.folded} == {"signature" if signed else "phash"}
    assert sum(seen) <= 20


@given(
    rows=st.lists(st.tuples(st.sampled_from([0, 1, 2, None]), st.sampled_from([COPY, COPY ^ 1, OTHER])), max_size=12),
    said=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), max_size=3),
)
def test_equal_pictures_that_are_compared_once_fold_as_if_each_were_compared(
    rows: list[tuple[int | None, int]], said: list[tuple[int, int]]
) -> None:
    hits = candidates(
        [phash for _, phash in rows],
        [EAST] * len(rows),
        scores=[0.5] * len(rows),
        signatures=[b"" if number is None else SIGNED[number] for number, _ in rows],
    )
    apart = tuple((ImageId(one), ImageId(other)) for one, other in said if one != other)
    leader, pairs = folded(DEFAULT, hits, apart=apart)
    every = _compared(hits, DEFAULT, lambda: None) if rows else []
    expected, _ = grouped(
        hits.ids, every, [(one - 1, other - 1) for one, other in apart if max(one, other) <= len(rows)]
    )
    if not apart:
        assert leader.tolist() == expected.tolist()
    assert all(leader[one - 1] != leader[other - 1] for one, other in apart if max(one, other) <= len(rows))
    assert set(pairs) >= {row for row, leads in enumerate(leader.tolist()) if leads != row}


def test_other_signatures_are_others_whatever_hash_and_vector_say() -> None:
    hits = candidates([COPY, COPY], [EAST, EAST], signatures=SIGNED[:2])
    assert ids(rerank(RerankQuery(k=5), DEFAULT, hits)) == [1, 2]
    first = rerank(RerankQuery(k=5), FIRST, hits)
    assert (ids(first), first.folded) == ([1], (Folded(ImageId(2), ImageId(1), "phash", 0),))


def test_a_picture_without_a_signature_is_told_by_phash_and_vector() -> None:
    hits = candidates([COPY, COPY, COPY ^ 1], [EAST, EAST, NORTH], signatures=[SIGNED[0], b"", b""])
    reranked = rerank(RerankQuery(k=5), DEFAULT, hits)
    assert ids(reranked) == [1, 3]
    assert reranked.folded == (Folded(ImageId(2), ImageId(1), "phash", 0),)


def test_a_copy_of_what_was_blocked_takes_its_place() -> None:
    payloads = [Payload(source_url="https://spam.example/1"), Payload(source_url="https://fine.example/1")]
    policy = Policy(name="own", version=1, blocked_domains=frozenset({"spam.example"}))
    reranked = rerank(RerankQuery(k=5), policy, candidates([COPY, COPY], [EAST, EAST], payloads=payloads))
    assert [(hit.position, hit.duplicates) for hit in reranked.ranked] == [(1, ())]
    assert reranked.dropped == ((1, DropReason.BLOCKED_SOURCE),)


FEW_PHASHES = st.integers(0, 30).map(lambda number: 0 if number == 0 else 0xFFFF << number)


@given(st.lists(st.tuples(FEW_PHASHES, st.integers(0, 5)), max_size=40))
def test_groups_are_those_of_the_plain_greedy_walk(rows: list[tuple[int, int]]) -> None:
    phashes = np.array([phash for phash, _ in rows], np.uint64)
    angles = np.array([turn * 0.2 for _, turn in rows])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    expected: list[int] = []
    for row, phash in enumerate(phashes):
        leads = [one for one in range(row) if expected[one] == one]
        near = [
            one for one in leads if int(phash ^ phashes[one]).bit_count() <= 6 and vectors[row] @ vectors[one] >= 0.95
        ]
        expected.append(near[0] if near else row)
    assert leaders(phashes, np.ones(len(phashes), bool), vectors, max_hamming=6, min_cosine=0.95).tolist() == expected


def test_groups_reach_over_the_blocks_that_bound_memory() -> None:
    phashes = np.random.default_rng(1).integers(1, 2**63, 1500, np.uint64)
    phashes[[700, 1400]] = phashes[3]
    leader = leaders(phashes, np.ones(len(phashes), bool), None, max_hamming=0, min_cosine=0.95)
    assert leader[[700, 1400]].tolist() == [3, 3]
    assert (leader == np.arange(1500)).sum() == 1498


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_hamming_counts_the_bits_that_differ(a: int, b: int) -> None:
    assert hamming(np.array([a], np.uint64), np.uint64(b)).tolist() == [(a ^ b).bit_count()]


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


def test_a_name_is_its_highest_version() -> None:
    policies = Policies(
        [Policy(name="shop", version=2), Policy(name="shop", version=10), Policy(name="shop", version=1)]
    )
    assert policies.get("shop").id == "shop@10"
    assert policies.get("shop@1").id == "shop@1"
    assert policies.get("").id == "default@2"
    assert policies.get("diverse").relevance < 1


def test_a_deployment_says_what_is_default() -> None:
    assert Policies(default="diverse@1").get("").id == "diverse@1"
    with pytest.raises(InvalidQuery):
        Policies(default="absent")


@pytest.mark.parametrize("name", ["shop", "default@3", "default@", "@1", "x" * 10_000])
def test_an_unknown_policy_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(InvalidQuery, match="default@1, default@2, diverse@1, diverse@2") as raised:
        Policies().get(name)
    assert raised.value.field == "policy"


def test_a_published_policy_never_changes() -> None:
    with pytest.raises(ValueError, match="default@1"):
        Policies([Policy(name="default", version=1)])
    assert Policies([Policy(name="default", version=2)]).get("default@2") == DEFAULT


@pytest.mark.parametrize(
    "wrong", [{"relevance": 1.1}, {"version": 0}, {"name": "a@b"}, {"max_hamming": 65}, {"lambda": 0.5}]
)
def test_a_policy_out_of_bounds_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        Policy.model_validate({"name": "own", "version": 1, **wrong})
