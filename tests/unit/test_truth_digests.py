"""Digests of buckets: equal for equal holdings, in whatever order and pieces they come."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from omma.buckets import bucket_of, mix
from omma.digests import Digests, buckets_of, mixed
from omma.identity import MAX_IMAGE_ID

IDS = st.integers(1, MAX_IMAGE_ID)
HELD = st.dictionaries(IDS, st.integers(1, MAX_IMAGE_ID), max_size=40)


def digests(held: dict[int, int], pieces: int = 1, buckets: int = 8) -> Digests:
    made = Digests.empty(buckets)
    pairs = list(held.items())
    for first in range(pieces):
        ids = np.array([i for i, _ in pairs[first::pieces]], np.int64)
        made.add(ids, np.array([v for _, v in pairs[first::pieces]], np.int64))
    return made


def equal(one: Digests, other: Digests) -> bool:
    return bool((one.pictures == other.pictures).all() and (one.sums == other.sums).all())


@given(st.lists(IDS, min_size=1))
def test_the_arithmetic_is_that_of_buckets(ids: list[int]) -> None:
    many = np.array(ids, np.int64)
    assert mixed(many.view(np.uint64)).tolist() == [mix(one) for one in ids]
    assert buckets_of(many, 256).tolist() == [bucket_of(one, 256) for one in ids]


@given(HELD, st.integers(1, 5))
def test_order_and_pieces_do_not_matter(held: dict[int, int], pieces: int) -> None:
    assert equal(digests(held), digests(dict(reversed(held.items())), pieces))


@given(HELD.filter(bool), st.data())
def test_another_version_a_missing_and_a_doubled_picture_show(held: dict[int, int], data: st.DataObject) -> None:
    image_id = data.draw(st.sampled_from(sorted(held)))
    version = data.draw(st.integers(1, MAX_IMAGE_ID).filter(lambda one: one != held[image_id]))
    assert not equal(digests(held), digests(held | {image_id: version}))
    assert not equal(digests(held), digests({i: v for i, v in held.items() if i != image_id}))
    doubled = digests(held)
    doubled.add(np.array([image_id]), np.array([held[image_id]]))
    assert not equal(digests(held), doubled)


def test_versions_that_change_places_show() -> None:
    assert not equal(digests({1: 1, 9: 2}, buckets=1), digests({1: 2, 9: 1}, buckets=1))
