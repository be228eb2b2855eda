"""Which indexes this process can ask, with which embedder and shards, and who is answered from which.

Two things come together here: places, from the topology or this very process, and states and shares, from the catalog.
Where they disagree what can be answered is answered, and what cannot says why.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from omma.errors import Absent, CursorExpired, ReplicaDown, WrongState
from omma.identity import Tenant
from omma.index import Index, IndexId, IndexState
from omma.rollouts.arms import Arm, Variant, arm_of
from omma.rollouts.rollout import Mode, Rollout, RolloutId, RolloutState, Routing
from omma.rollouts.settings import SearchSettings
from omma.space import Space
from services.egs.client import Embedder
from services.nn_shard.client import ShardClient

_WITH_VECTORS_OF_ALL = (IndexState.LIVE, IndexState.CANARY, IndexState.STANDBY, IndexState.SHADOW)
"""Best first: what may answer a vector of a space that is not the live one's."""


@dataclass(frozen=True, slots=True)
class PlacedIndex:
    """shards: the replicas of shard 0, of shard 1, …; all of `index.shards`."""

    index: Index
    space: Space
    shards: tuple[tuple[ShardClient, ...], ...]


@dataclass(frozen=True, slots=True)
class ServedIndex(PlacedIndex):
    """One that queries can be embedded for."""

    embedder: Embedder


@dataclass(frozen=True, slots=True)
class Chosen:
    """Where a search goes. variant: its side of a rollout; None where it takes no part in one.

    beside: the candidate, where both are asked and their answers interleaved. control, candidate: what each arm does
    where a query does not say; the same but in an experiment.
    """

    served: ServedIndex
    variant: Variant | None = None
    beside: ServedIndex | None = None
    control: SearchSettings = field(default_factory=SearchSettings)
    candidate: SearchSettings = field(default_factory=SearchSettings)


class ServedIndexes:
    """The indexes at hand: places are replaced as a whole when one comes or goes, states when the catalog's change."""

    def __init__(self, served: Iterable[ServedIndex] = ()) -> None:
        self._served: Mapping[str, ServedIndex] = {}
        self._routing: Routing | None = None
        self._tripped: tuple[str, int] | None = None
        self._why: Mapping[IndexId, str] = {}
        self._forgetful: list[Callable[[IndexId], None]] = []
        self.replace(served)

    def tell_gone(self, forget: Callable[[IndexId], None]) -> None:
        """forget: told of an index that has lost its place, or is retired; more than once of the same one."""
        self._forgetful.append(forget)

    def replace(self, served: Iterable[ServedIndex], unplaced: Mapping[IndexId, str] | None = None) -> None:
        """Searches under way keep what they started with. unplaced: why others have no place, in words."""
        before, self._served = self._served, {one.index.id: self._as_routed(one) for one in served}
        self._why = unplaced or {}
        self._forget(before)

    def follow(self, routing: Routing) -> None:
        """States and shares as the catalog has them. Searches under way keep what they started with."""
        self._routing = routing
        self._served = {name: self._as_routed(one) for name, one in self._served.items()}
        self._forget(self._served)

    @property
    def epoch(self) -> int:
        """Of the routing that is followed, 0 before the first."""
        return 0 if self._routing is None else self._routing.epoch

    @property
    def defaults(self) -> SearchSettings:
        """Of every search that does not say."""
        return SearchSettings() if self._routing is None else self._routing.defaults

    @property
    def rollout(self) -> Rollout | None:
        """The one that runs, whatever its state."""
        return None if self._routing is None else self._routing.running

    def stage(self, rollout_id: str) -> int | None:
        """changed_at_ms of the rollout as it is followed here, which tells its steps apart; None when it is over."""
        running = self.rollout
        return None if running is None or running.id != rollout_id else running.changed_at_ms

    def trip(self, rollout_id: str) -> None:
        """This process asks the rollout's candidate nothing more, until the rollout takes another step."""
        rollout = self.rollout
        if rollout is not None and rollout.id == rollout_id:
            self._tripped = (rollout.id, rollout.changed_at_ms)

    def shadowed(self) -> tuple[RolloutId, ServedIndex] | None:
        """The rollout whose candidate is asked in the shadow, and the candidate; None where there is none."""
        rollout = self.rollout
        if rollout is None or rollout.state is not RolloutState.SHADOW:
            return None
        candidate = self._served.get(rollout.candidate)
        return None if candidate is None else (rollout.id, candidate)

    def every(self) -> tuple[ServedIndex, ...]:
        return tuple(self._served.values())

    def placed(self, index_id: str) -> ServedIndex | None:
        """Whatever its state."""
        return self._served.get(index_id)

    def misplaced(self) -> tuple[IndexId, ...]:
        """Those that the catalog wants answers from, and that have no place here."""
        known = () if self._routing is None else self._routing.indexes
        wanted = (IndexState.LIVE, IndexState.CANARY)
        return tuple(one.id for one in known if one.state in wanted and one.id not in self._served)

    def why_misplaced(self, index_id: IndexId) -> str:
        """In words for administrators: addresses may be in them."""
        return self._why.get(index_id, "Its shards are not known here.")

    def live(self) -> ServedIndex:
        """Raises ReplicaDown while there is none."""
        for one in self._served.values():
            if one.index.state is IndexState.LIVE:
                return one
        if missing := self.misplaced():
            raise ReplicaDown(f"Index {missing[0]} is live and its shards are not known here.", field="index")
        raise ReplicaDown("No index is live yet.", field="index")

    def live_space(self) -> str:
        """Id of the live index's space, also while the index itself cannot be asked. Raises ReplicaDown."""
        for one in () if self._routing is None else self._routing.indexes:
            if one.state is IndexState.LIVE:
                return one.space
        return self.live().space.id

    def pinned(self, index_id: str) -> ServedIndex:
        """The one with this id, the live one for an empty id. Raises Absent, WrongState while it is being built."""
        if not index_id:
            return self.live()
        # A retired one keeps its place until its shards have ended, and is gone for callers before.
        there = {name: one for name, one in self._served.items() if one.index.state is not IndexState.RETIRED}
        found, routed = there.get(index_id), self._routed(index_id)
        # One that begins to be built has no place yet.
        if IndexState.BUILDING in (found and found.index.state, routed and routed.state):
            raise WrongState(f"Index {index_id!r} is still being built.", field="index")
        if found is None:
            there_are = ", ".join(sorted(there)) or "none"
            raise Absent(f"There is no index {index_id[:80]!r}; there are: {there_are}.", field="index")
        return found

    def choose(self, index_id: str, tenant: Tenant, caller: Callable[[], str], spaces: Collection[str] = ()) -> Chosen:
        """Where a first page goes: the pinned index, or the caller's arm of the rollout, or the live index.

        caller: who asks, looked at only where a share is drawn. spaces: of the vectors that are sought: they are
        compared in their own space or nowhere, and take no part in a rollout to another one. Raises as `pinned`.
        """
        return self._with_settings(self._choose(index_id, tenant, caller, spaces))

    def _choose(self, index_id: str, tenant: Tenant, caller: Callable[[], str], spaces: Collection[str]) -> Chosen:
        if index_id:
            return Chosen(self.pinned(index_id))
        live = self.live()
        if foreign := [space for space in spaces if space != live.space.id]:
            return Chosen(self._of_space(foreign[0]) or live)
        rollout = self.rollout
        if rollout is None or rollout.state is not RolloutState.CANARY:
            return Chosen(live)
        if self._tripped == (rollout.id, rollout.changed_at_ms):
            return Chosen(live)
        candidate = self._served.get(rollout.candidate)
        # A gateway that has no place of the candidate answers everybody from the live index, and counts nobody.
        if candidate is None or any(space != candidate.space.id for space in spaces):
            return Chosen(live)
        arm = arm_of(rollout.id, tenant, caller(), rollout.share)
        if rollout.mode is Mode.INTERLEAVE:
            # Both arms answer who is drawn; nobody else is a control of theirs.
            both = Variant(rollout.id, Arm.INTERLEAVED)
            return Chosen(live, both, candidate) if arm is Arm.CANDIDATE else Chosen(live)
        return Chosen(candidate if arm is Arm.CANDIDATE else live, Variant(rollout.id, arm))

    def resumed(self, index_id: str, variant: Variant | None, beside: str = "") -> Chosen:
        """Where a later page goes: where the first one went. Raises CursorExpired once that index is retired, or the
        one that was asked beside it. An arm of an experiment that is over does as everybody.
        """
        return self._with_settings(Chosen(self._resumed(index_id), variant, self._resumed(beside) if beside else None))

    def _forget(self, known: Mapping[str, ServedIndex]) -> None:
        for id, one in known.items():
            now = self._served.get(id)
            if now is None or now.index.state is IndexState.RETIRED:
                for forget in self._forgetful:
                    forget(one.index.id)

    def _with_settings(self, chosen: Chosen) -> Chosen:
        own, running = self.defaults, self.rollout
        if chosen.variant is None or running is None or running.id != chosen.variant.rollout or not running.settings:
            return replace(chosen, control=own, candidate=own)
        return replace(chosen, control=own, candidate=running.settings.over(own))

    def _resumed(self, index_id: str) -> ServedIndex:
        served = self._served.get(index_id)
        routed = self._routed(index_id)
        state = served.index.state if served else routed and routed.state
        if state in (None, IndexState.RETIRED):
            raise CursorExpired("The index of these pages is retired: search again.", field="cursor")
        if served is None:
            raise ReplicaDown(f"The shards of index {index_id} are not known here.", field="cursor")
        return served

    def _of_space(self, space: str) -> ServedIndex | None:
        fitting = [one for one in self._served.values() if one.space.id == space]
        fitting = [one for one in fitting if one.index.state in _WITH_VECTORS_OF_ALL]
        return min(fitting, key=lambda one: _WITH_VECTORS_OF_ALL.index(one.index.state), default=None)

    def _routed(self, index_id: str) -> Index | None:
        known = () if self._routing is None else self._routing.indexes
        return next((one for one in known if one.id == index_id), None)

    def _as_routed(self, one: ServedIndex) -> ServedIndex:
        routed = self._routed(one.index.id)
        if routed is None or (routed.state, routed.match_score) == (one.index.state, one.index.match_score):
            return one
        return replace(one, index=replace(one.index, state=routed.state, match_score=routed.match_score))
