"""Consumer groups: who of a group's members reads which partition."""

from collections.abc import Callable, Hashable, Iterable

from omma.log.interface import TopicPartition


class Group:
    """Shares the partitions of one topic out among the members, in equal ranges by the order of joining.

    A partition changes hands only when its owner lets it go, which it does at its next poll or at its close: what it
    polled before is then handled, and no record is in two hands.
    """

    def __init__(self, partitions: Iterable[TopicPartition], on_change: Callable[[], None]) -> None:
        """on_change: called when members have to look again at what is theirs."""
        self._partitions = tuple(partitions)
        self._on_change = on_change
        self._members: list[Hashable] = []
        self._owner: dict[TopicPartition, Hashable] = {}

    def join(self, member: Hashable) -> None:
        self._members.append(member)
        self._on_change()

    def leave(self, member: Hashable) -> None:
        self._members.remove(member)
        self._owner = {at: owner for at, owner in self._owner.items() if owner is not member}
        self._on_change()

    @property
    def empty(self) -> bool:
        return not self._members

    def owns(self, member: Hashable, at: TopicPartition) -> bool:
        return self._owner.get(at) is member

    def settle(self, member: Hashable) -> set[TopicPartition]:
        """Let go of what is no longer the member's, take what is and is free; returns what the member owns now."""
        share = self._share(member)
        lost = {at for at, owner in self._owner.items() if owner is member and at not in share}
        for at in lost:
            del self._owner[at]
        self._owner |= {at: member for at in share if at not in self._owner}
        if lost:
            self._on_change()
        return {at for at in share if self._owner[at] is member}

    def _share(self, member: Hashable) -> set[TopicPartition]:
        place, members, count = self._members.index(member), len(self._members), len(self._partitions)
        return set(self._partitions[place * count // members : (place + 1) * count // members])
