"""Which group each of many pictures is in, held small: what a gateway knows of all of them."""

from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from omma.vectors import Int64

_FRESH: Final = 4_096
Stored = TypeVar("Stored", bound=np.generic)

GroupPair = tuple[int, int, str, int]
"""Ids of two pictures of one group, the rule that brought one of them there, and its distance."""


class GroupIds:
    """By image id the group, the rule and the distance of the pair that brought it there: 19 bytes each. Group 0: it
    is in none any more.
    """

    def __init__(self, fresh: int = _FRESH) -> None:
        """fresh: memberships that wait in a dictionary until they are sorted in: a million rows are sorted in 0.1 s."""
        self._most_fresh = fresh
        self._ids = np.empty(0, np.int64)
        self._groups = np.empty(0, np.int64)
        self._rules = np.empty(0, np.uint8)
        self._distances = np.empty(0, np.int16)
        self._names: list[str] = []
        self._fresh: dict[int, tuple[int, int, int]] = {}

    def put(self, image_id: int, group: int, rule: str, distance: int) -> None:
        """From now on, whatever was known of the picture."""
        if rule not in self._names:
            self._names.append(rule)
        self._fresh[image_id] = group, self._names.index(rule), distance
        if len(self._fresh) > self._most_fresh:
            self._settle()

    def among(self, ids: Int64) -> tuple[GroupPair, ...]:
        """Of these pictures, those of one group in pairs that connect them: each with the lowest of them. Pure; 75 ids
        take some 20 us.
        """
        rows = np.minimum(np.searchsorted(self._ids, ids), max(0, len(self._ids) - 1))
        known = self._ids[rows] == ids if len(self._ids) else np.zeros(len(ids), bool)
        group_of = dict(zip(ids[known].tolist(), self._groups[rows[known]].tolist(), strict=True))
        for image_id in ids.tolist() if self._fresh else ():
            if image_id in self._fresh:
                group_of[image_id] = self._fresh[image_id][0]
        members: dict[int, list[int]] = {}
        for image_id in sorted(group_of):
            if group_of[image_id]:
                members.setdefault(group_of[image_id], []).append(image_id)
        return tuple(
            (hub, image_id, *self._told(image_id))
            for hub, *others in sorted(of for of in members.values() if len(of) > 1)
            for image_id in others
        )

    def _told(self, image_id: int) -> tuple[str, int]:
        if image_id in self._fresh:
            _, rule, distance = self._fresh[image_id]
        else:
            row = np.searchsorted(self._ids, image_id)
            rule, distance = int(self._rules[row]), int(self._distances[row])
        return self._names[rule], distance

    def _settle(self) -> None:
        fresh = sorted(self._fresh.items())
        ids = np.array([one for one, _ in fresh], np.int64)
        columns = np.array([told for _, told in fresh], np.int64)
        kept = ~np.isin(self._ids, ids)
        order = np.argsort(np.concatenate([self._ids[kept], ids]), kind="stable")

        def joined(old: npt.NDArray[Stored], new: Int64) -> npt.NDArray[Stored]:
            together: npt.NDArray[Stored] = np.concatenate([old[kept], new.astype(old.dtype)])[order]
            return together

        self._groups = joined(self._groups, columns[:, 0])
        self._rules = joined(self._rules, columns[:, 1])
        self._distances = joined(self._distances, columns[:, 2])
        self._ids = joined(self._ids, ids)
        self._fresh = {}
