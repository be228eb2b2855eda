"""Comparing two answers, drafting them into one list, and whose a click is."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from omma.judging.draft import Brought, collapsed, credit, team_draft
from omma.judging.rankings import overlap, rank_biased_overlap, score_shift

pages = st.lists(st.integers(1, 30), unique=True, max_size=10)
seeds = st.integers(0, 2**64 - 1)


def test_overlap_counts_what_both_have() -> None:
    assert overlap([1, 2, 3], [3, 2, 9]) == pytest.approx(2 / 3)
    assert overlap([], []) == 1 and overlap([1], []) == 0
    assert overlap(range(20), range(5, 25)) == 0.5


def test_rank_biased_overlap_of_the_papers_shape() -> None:
    """Equation 32 by its definition, term by term."""
    short, long, p = [1, 2, 3], [3, 4, 1, 5, 2], 0.9
    agreed = [len(set(short[:d]) & set(long[:d])) for d in range(1, 6)]
    first = sum(agreed[d - 1] / d * p**d for d in range(1, 6))
    second = sum(agreed[2] * (d - 3) / (3 * d) * p**d for d in range(4, 6))
    expected = (1 - p) / p * (first + second) + ((agreed[4] - agreed[2]) / 5 + agreed[2] / 3) * p**5
    assert rank_biased_overlap(short, long) == pytest.approx(expected)
    assert rank_biased_overlap(long, short) == pytest.approx(expected)


@given(pages, pages)
def test_rank_biased_overlap_lies_between_nothing_and_the_same(first: list[int], second: list[int]) -> None:
    found = rank_biased_overlap(first, second)
    assert -1e-12 <= found <= 1 + 1e-12
    assert rank_biased_overlap(first, first) == pytest.approx(1)
    if not set(first) & set(second) and (first or second):
        assert found == 0


def test_score_shift_is_of_the_means() -> None:
    assert score_shift([0.9, 0.7], [0.6]) == pytest.approx(-0.2)
    assert score_shift([], [0.6]) == 0


@given(pages, pages, seeds)
def test_a_draft_has_every_picture_once_in_each_teams_order(
    control: list[int], candidate: list[int], seed: int
) -> None:
    drafted = team_draft(control, candidate, seed)
    assert sorted(one.picture for one in drafted) == sorted(set(control) | set(candidate))
    for arm, page in ((Brought.CONTROL, control), (Brought.CANDIDATE, candidate)):
        picked = [one.picture for one in drafted if one.picked_by is arm]
        assert picked == [picture for picture in page if picture in picked]
    shared = set(control) & set(candidate)
    assert all((one.arm is Brought.BOTH) == (one.picture in shared) for one in drafted)
    assert all(one.arm in (Brought.BOTH, one.picked_by) for one in drafted)
    assert drafted == team_draft(control, candidate, seed)


@given(pages, pages, seeds)
def test_no_team_is_ever_more_than_one_pick_ahead(control: list[int], candidate: list[int], seed: int) -> None:
    drafted = team_draft(control, candidate, seed)
    for length in range(len(drafted) + 1):
        picks = Counter(one.picked_by for one in drafted[:length])
        left = {
            arm: set(page) - {one.picture for one in drafted[:length]}
            for arm, page in ((Brought.CONTROL, control), (Brought.CANDIDATE, candidate))
        }
        if all(left.values()):
            assert abs(picks[Brought.CONTROL] - picks[Brought.CANDIDATE]) <= 1


def test_over_seeds_each_team_is_first_as_often() -> None:
    first = [team_draft([1, 2, 3], [4, 5, 6], seed)[0].picked_by for seed in range(2_000)]
    assert stats.binomtest(first.count(Brought.CONTROL), 2_000).pvalue > 0.001


@given(pages, pages, st.sets(st.integers(1, 30)))
def test_whoever_clicks_blindly_favours_nobody(control: list[int], candidate: list[int], clicked: set[int]) -> None:
    """Arms whose names are exchanged have their credit exchanged: clicks that know of no arm are fair over seeds."""

    def gained(first: list[int], second: list[int], seed: int) -> dict[Brought, int]:
        return credit({one.picture: one.credited for one in team_draft(first, second, seed)}, clicked)

    for seed in range(8):
        one, other = gained(control, candidate, seed), gained(candidate, control, seed)
        assert (one[Brought.CONTROL], one[Brought.CANDIDATE]) == (other[Brought.CANDIDATE], other[Brought.CONTROL])


def test_of_the_page_that_is_shown_each_team_has_as_good_places() -> None:
    """What a look at rank r is worth is 1 / r; pages share pictures, at other ranks."""
    gains = []
    for seed in range(4_000):
        page = team_draft([1, 2, 3, 4, 5, 6], [7, 1, 8, 9, 3, 10], seed)[:6]
        signs = {Brought.CONTROL: -1, Brought.CANDIDATE: 1, Brought.BOTH: 0}
        gains.append(sum(signs[one.picked_by] / rank for rank, one in enumerate(page, 1)))
    assert abs(stats.ttest_1samp(gains, 0).statistic) < 4


def test_the_same_page_twice_credits_nobody() -> None:
    drafted = team_draft([1, 2, 3], [1, 2, 3], 5)
    credited = {one.picture: one.credited for one in drafted}
    assert credit(credited, [1, 2, 3]) == {Brought.CONTROL: 0, Brought.CANDIDATE: 0}


def test_what_both_have_is_credited_to_the_arm_that_ranks_it_higher_whoever_picked_it() -> None:
    for seed in range(8):
        credited = {one.picture: one.credited for one in team_draft([1, 2, 3], [1, 3, 2, 4], seed)}
        expected = {1: Brought.BOTH, 2: Brought.CONTROL, 3: Brought.CANDIDATE, 4: Brought.CANDIDATE}
        assert credited == expected


def test_near_duplicates_are_folded_after_the_draft_and_belong_to_all_who_brought_one() -> None:
    drafted = team_draft([1, 2], [3, 4], 0)
    kept = collapsed(drafted, {2: 7, 4: 7})
    assert len(kept) == 3
    assert {one.picture: one.arm for one in kept}[kept[2].picture] is Brought.BOTH
    assert kept[2].credited is Brought.BOTH, "both are second"
    first = collapsed(team_draft([1, 2], [3, 4], 0), {1: 7, 4: 7})
    assert {one.credited for one in first if one.arm is Brought.BOTH} == {Brought.CONTROL}
    alone = collapsed(team_draft([1, 2], [3], 0), {1: 7, 2: 7})
    assert {one.picture: one.arm for one in alone} == {1: Brought.CONTROL, 3: Brought.CANDIDATE}
    # A group's name may be the id of a picture that is in no group.
    assert len(collapsed(team_draft([7, 2], [3], 0), {2: 7, 3: 7})) == 2


def test_a_picture_is_credited_once_and_what_was_not_shown_never() -> None:
    arms = {1: Brought.CONTROL, 2: Brought.CANDIDATE, 3: Brought.BOTH}
    assert credit(arms, [1, 1, 2, 3, 99]) == {Brought.CONTROL: 1, Brought.CANDIDATE: 1}


@pytest.mark.parametrize("better", [0.05, 0.2])
def test_whoever_clicks_by_worth_favours_the_better_arm(better: float) -> None:
    won = Counter[Brought]()
    for seed in range(3_000):
        arms = {one.picture: one.arm for one in team_draft([1, 2, 3, 4], [1, 5, 6, 7], seed)}
        # Positions are looked at ever less often; the candidate's own pictures are liked more often.
        for rank, (picture, arm) in enumerate(arms.items(), 1):
            worth = 0.3 + better * (arm is Brought.CANDIDATE)
            if (hash((seed, picture)) % 1_000) / 1_000 < worth / math.sqrt(rank):
                won.update(credit(arms, [picture]))
    assert won[Brought.CANDIDATE] > won[Brought.CONTROL]
