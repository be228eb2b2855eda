"""Freshness: a replica is as old as the newest moment that it is known to cover, whatever keeps it from the next."""

from services.nn_shard.freshness import Freshness
from tests.clock import Clock

BOUND_SECONDS = 30.0


def fresh(clock: Clock) -> Freshness:
    return Freshness(BOUND_SECONDS, clock)


def test_nothing_is_known_before_the_log_was_asked() -> None:
    clock = Clock(100.0)
    freshness = fresh(clock)
    assert not freshness.applied({0: 5})
    assert freshness.stale
    assert freshness.age_seconds == float("inf")


def test_counts_from_when_the_log_was_asked_not_from_when_it_was_reached() -> None:
    clock = Clock(100.0)
    freshness = fresh(clock)
    freshness.log_ended_at({0: 10, 1: 4, 2: 99}, clock())
    assert not freshness.applied({0: 10, 1: 3})
    clock.seconds += 20
    assert freshness.applied({0: 10, 1: 4})  # bucket 2 is another shard's
    assert freshness.age_seconds == 20


def test_who_follows_a_busy_log_closely_is_fresh_though_never_at_its_end() -> None:
    clock = Clock(100.0)
    freshness = fresh(clock)
    for second in range(100):
        clock.seconds += 1
        freshness.log_ended_at({0: 1_000 * (second + 1)}, clock())
        freshness.applied({0: 1_000 * second})
        assert second == 0 or not freshness.stale


def test_who_reads_slower_than_the_log_grows_turns_stale() -> None:
    clock = Clock(100.0)
    freshness = fresh(clock)
    freshness.log_ended_at({0: 0}, clock())
    freshness.applied({0: 0})
    for second in range(200):
        clock.seconds += 1
        freshness.log_ended_at({0: 1_000 * second}, clock())
        freshness.applied({0: 500 * second})
    assert freshness.stale


def test_without_word_from_the_log_the_clock_alone_makes_it_stale_and_catching_up_mends_it() -> None:
    clock = Clock(100.0)
    freshness = fresh(clock)
    freshness.log_ended_at({0: 7}, clock())
    assert freshness.applied({0: 7})
    clock.seconds += BOUND_SECONDS
    assert not freshness.stale
    clock.seconds += 1
    assert freshness.stale
    freshness.log_ended_at({0: 9}, clock())
    freshness.applied({0: 7})
    assert freshness.stale
    freshness.applied({0: 9})
    assert not freshness.stale


def test_a_replay_begins_with_nothing() -> None:
    clock = Clock(100.0)
    freshness = fresh(clock)
    freshness.log_ended_at({0: 7}, clock())
    freshness.applied({0: 7})
    freshness.start_over()
    assert not freshness.applied({0: 7})
