"""Which candidates are copies of one another, and what becomes of them."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omma.copies import Pair, Signatures, copies, grouped
from omma.hits import Payload
from omma.identity import ImageId
from omma.images import signature
from services.rerank.client import DropReason, Folded, NearDuplicates, RerankQuery
from services.rerank.near_duplicates import _compared, _signed, folded, hamming, leaders
from services.rerank.policies import DEFAULT, Policy
from services.rerank.rerank import rerank
from tests.pictures import scene
from tests.unit.rerank_candidates import COPY, EAST, FEW_PHASHES, FIRST, NORTH, OTHER, candidates, ids


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


@pytest.mark.parametrize("policy", [DEFAULT, FIRST])
def test_a_query_may_allow_fewer_bits_than_the_policy_and_never_more(policy: Policy) -> None:
    hits = candidates([COPY, COPY, COPY ^ 0b1111, COPY ^ 0b1111_1111], [EAST, EAST, EAST, EAST])
    found = {bits: ids(rerank(RerankQuery(k=5, duplicate_bits=bits), policy, hits)) for bits in (0, 1, 3, 4, 64)}
    as_the_policy = [1] if policy is DEFAULT else [1, 4]
    assert found == {0: as_the_policy, 1: [1, 3, 4], 3: [1, 3, 4], 4: as_the_policy, 64: as_the_policy}


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
    leader, pairs = folded(DEFAULT, hits, RerankQuery(k=1, apart=apart))
    every = _compared(hits, _signed(hits), DEFAULT, lambda: None) if rows else []
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
