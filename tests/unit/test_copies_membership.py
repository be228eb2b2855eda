"""Groups held small: the newest membership of a picture counts, and candidates of one group are connected by it."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from omma.catalog.copies import NO_GROUP, Connected, CopyPair, Membership
from omma.copies import GroupIds, grouped
from omma.copies.groups import Pair
from omma.identity import ImageId
from services.worker.curation.copy_groups import changed_memberships

PUT = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 12), st.sampled_from(["look:crop", "signature"])))


@given(PUT, st.integers(0, 3), st.permutations(range(1, 13)))
def test_candidates_of_one_group_are_connected_and_no_others(
    put: list[tuple[int, int, str]], fresh: int, asked: list[int]
) -> None:
    groups, expected = GroupIds(fresh), dict[int, tuple[int, str]]()
    for image_id, group, rule in put:
        groups.put(image_id, group, rule, 40)
        expected[image_id] = group, rule
    found = groups.among(np.array(asked, np.int64))
    assert all(rule == expected[second][1] and distance == 40 for _, second, rule, distance in found)
    rows = [Pair(first - 1, second - 1, distance, rule) for first, second, rule, distance in found]
    leader, _ = grouped(np.arange(1, 13), rows)
    for one in range(1, 13):
        for other in range(1, 13):
            told = (expected.get(one, (0, ""))[0] or -one) == (expected.get(other, (0, ""))[0] or -other)
            assert (leader[one - 1] == leader[other - 1]) == told


EDGES = st.lists(
    st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(0, 90)).filter(lambda edge: edge[0] < edge[1]),
    max_size=10,
    unique_by=lambda edge: edge[:2],
)


@given(EDGES, EDGES, EDGES, st.dictionaries(st.integers(1, 8), st.integers(0, 8)))
def test_memberships_are_by_connection_and_what_people_said_wins(
    edges: list[tuple[int, int, int]],
    merged: list[tuple[int, int, int]],
    parted: list[tuple[int, int, int]],
    before: dict[int, int],
) -> None:
    apart = {edge[:2] for edge in parted} - {edge[:2] for edge in merged}
    connected = Connected(
        ids=tuple(map(ImageId, range(1, 9))),
        pairs=tuple(CopyPair(ImageId(a), ImageId(b), "look:crop", bits) for a, b, bits in edges),
        together=tuple((ImageId(a), ImageId(b)) for a, b, _ in merged),
        apart=tuple((ImageId(a), ImageId(b)) for a, b in apart),
        groups={ImageId(id): group for id, group in before.items()},
        whole=True,
    )
    changed = changed_memberships(connected)
    after = {id: before.get(id, NO_GROUP) for id in range(1, 9)} | {one.image_id: one.group for one in changed}
    assert all(after[a] == NO_GROUP or after[a] != after[b] for a, b in apart)
    sizes = Counter(after.values())
    assert all(group == NO_GROUP or (after[group] == group <= id and sizes[group] > 1) for id, group in after.items())
    if not apart:
        assert all(NO_GROUP != after[a] == after[b] for a, b, _ in (*edges, *merged))
    followed = GroupIds()
    for id, group in before.items():
        followed.put(id, group, "look:crop", 0)
    for one in changed:
        followed.put(one.image_id, one.group, one.rule, one.distance)
    joined = {id for pair in followed.among(np.arange(1, 9)) for id in pair[:2]}
    assert joined == {id for id, group in after.items() if group}, "whoever follows the changes knows all of a group"
    assert changed == sorted(changed, key=lambda one: one.image_id)
    again = changed_memberships(
        Connected(connected.ids, connected.pairs, connected.together, connected.apart, after, whole=True)
    )
    assert again == []


def test_a_group_that_is_larger_than_was_looked_at_keeps_its_name() -> None:
    ids = (ImageId(7), ImageId(9))
    pairs = (CopyPair(*ids, "signature", 3),)
    part = Connected(ids, pairs, (), (), {ImageId(9): 2}, whole=False)
    assert changed_memberships(part) == [Membership(ImageId(7), 2, "signature", 3)]
