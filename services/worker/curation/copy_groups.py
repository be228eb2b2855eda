"""Which group each of some connected pictures is in, as their pairs and people's verdicts have it."""

import numpy as np

from omma.catalog.copies import NO_GROUP, Connected, Membership
from omma.copies import MERGED, Pair, grouped


def changed_memberships(connected: Connected) -> list[Membership]:
    """Those that are others than the ones kept, by id. The same whichever of the pictures was asked for. Pure.

    Where not all that is connected was looked at, a group keeps the lowest name that any of it has.
    """
    ids = connected.ids
    row = {id: at for at, id in enumerate(ids)}
    pairs = [Pair(row[one.first], row[one.second], one.distance, one.rule) for one in connected.pairs]
    pairs += [Pair(row[first], row[second], 0, MERGED) for first, second in connected.together]
    apart = [(row[first], row[second]) for first, second in connected.apart]
    leader, nearest = grouped(np.array(ids, np.int64), pairs, apart)
    members: dict[int, list[int]] = {}
    for at, lowest in enumerate(leader.tolist()):
        members.setdefault(lowest, []).append(at)
    changed = []
    for lowest, rows in members.items():
        group = int(ids[lowest]) if len(rows) > 1 else NO_GROUP
        if group and not connected.whole:
            group = min(group, *(connected.groups.get(ids[at]) or group for at in rows))
        for at in rows:
            if connected.groups.get(ids[at], NO_GROUP) != group:
                pair = nearest[at] if len(rows) > 1 else None
                told = ("", 0) if pair is None else (pair.rule, pair.distance)
                changed.append(Membership(ids[at], group, *told))
    return sorted(changed, key=lambda one: one.image_id)
