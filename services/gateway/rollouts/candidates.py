"""Where a candidate of a rollout will run: on the cluster in processes that the topology has an entry of."""

from collections.abc import Sequence

from omma.errors import Absent, OmmaError, WrongState
from omma.index import Index
from omma.rollouts.asked import RolloutRequest
from omma.rollouts.preflight import Room
from omma.space import Space
from services.gateway.rollouts.rollouts import CandidateModel, Place
from services.topology.connections import Connections
from services.topology.document import SETTING, Entry, Topology
from services.topology.file import TopologyFile


class TopologyCandidates:
    """services.gateway.rollouts.rollouts.Candidates of a gateway that follows a topology."""

    def __init__(self, file: TopologyFile, connections: Connections) -> None:
        self._file = file
        self._connections = connections

    async def model(self, reference: str) -> CandidateModel:
        """As an embedder that the topology names has it. Raises Absent, field `model`, saying which entry is needed;
        ReplicaDown, OutOfTime, WrongState when the embedder is not there or is another model's, or the file is wrong.
        """
        topology = await self._topology()
        entries = [one for one in topology.indexes if _may_be_of(one, reference)]
        if not entries:
            raise Absent(
                f"No index of {SETTING} is of model {reference!r}. {_needed('NAME', reference)}", field="model"
            )
        failed: OmmaError | None = None
        for entry in entries:
            try:
                embedder = await self._connections.embedder(entry)
            except OmmaError as error:
                failed = error
                continue
            if reference in (embedder.space.model, embedder.space.model.partition("@")[0]):
                return CandidateModel(embedder.space.model, embedder.space, embedder.has_text_tower)
            failed = WrongState(
                f"The embedder at {entry.egs} is of {embedder.space.model}, not of {reference}.", field="model"
            )
        assert failed is not None
        raise failed

    async def room(self) -> Room:
        """Unknown: the shards are elsewhere."""
        return Room()

    async def place(self, request: RolloutRequest, space: Space, control: Index, known: Sequence[Index]) -> Place:
        """The entry that is asked for by name, or the only one of the model that is no index yet. Raises Absent, field
        `index`, saying which entry is needed; WrongState, fields `index` and `shards`.
        """
        entry = _entry(await self._topology(), request, space, known)
        shards = entry.numbered or request.shards or control.shards
        if request.shards not in (None, shards):
            raise WrongState(
                f"Index {entry.index} has {shards} shards in {SETTING}, and {request.shards} are asked for.",
                field="shards",
            )
        if absent := await self._connections.unanswered(entry, shards):
            raise WrongState(
                f"At {' and '.join(absent)}, where {SETTING} has shards of {entry.index}, nobody answers: start their "
                "processes first.",
                field="shards",
            )
        return Place(entry.index, shards, entry.factory)

    async def place_space(self, space: Space) -> Place:
        """The entry of the space. Raises Absent, field `name`, saying which is needed; WrongState, field `shards`."""
        topology = await self._topology()
        entry = next((one for one in topology.indexes if one.space == space.id), None)
        if entry is None:
            raise Absent(
                f"{SETTING} has no index of space {space.id!r}. Start its processes and add an entry: {{index: NAME, "
                f"space: {space.id}, shards: [[HOST:PORT, …], …]}} with each shard's replicas; the file is followed.",
                field="name",
            )
        if entry.numbered is None:
            raise WrongState(f"Say in {SETTING} how many shards {entry.index} has: its `count`.", field="shards")
        return Place(entry.index, entry.numbered, entry.factory)

    async def _topology(self) -> Topology:
        """As the file has it now. Raises WrongState, field OMMA_TOPOLOGY, while what it has is refused."""
        await self._file.look()
        if self._file.fault:
            raise WrongState(f"{self._file.fault} What was there before is followed; mend the file.", field=SETTING)
        return self._file.topology


def _entry(topology: Topology, request: RolloutRequest, space: Space, known: Sequence[Index]) -> Entry:
    if request.index:
        entry = topology.entry(request.index)
        if entry is None:
            raise Absent(
                f"{SETTING} has no index {request.index!r}. {_needed(request.index, space.model, request.shards)}",
                field="index",
            )
        if not entry.is_of(space.model):
            raise WrongState(
                f"Index {entry.index} is of {entry.model} in {SETTING}, and not of {space.model}.", field="index"
            )
        return entry
    taken = {one.id for one in known}
    free = [one for one in topology.indexes if one.is_of(space.model) and one.index not in taken]
    if len(free) == 1:
        return free[0]
    if free:
        names = ", ".join(one.index for one in free)
        raise WrongState(f"Say which index it is to be: {names}.", field="index")
    raise Absent(
        f"Each index of {SETTING} that is of {space.model} was rolled out already. "
        f"{_needed('NAME', space.model, request.shards)}",
        field="index",
    )


def _may_be_of(entry: Entry, reference: str) -> bool:
    return bool(entry.model) and (entry.is_of(reference) or entry.model.partition("@")[0] == reference)


def _needed(index: str, model: str, shards: int | None = None) -> str:
    """What an operator has to do, in words."""
    of_shards = "each shard's replicas" if shards is None else f"the replicas of {shards} shards"
    return (
        f"Start its processes and add an entry: {{index: {index}, model: {model}, egs: HOST:PORT, "
        f"shards: [[HOST:PORT, …], …]}} with {of_shards}; the file is followed."
    )
