"""The processes of one index, and the topology that tells the others where they are."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy import parts
from deploy.local.service import Service


@dataclass(frozen=True, slots=True)
class IndexProcesses:
    """shards: by shard, then replica. proxies: in the same order, when toxiproxy stands between.

    owns_egs: False where the embedder is another index's of the same model. space: in place of a model, of an index
    whose vectors callers bring; nobody asks its embedder.
    """

    name: str
    model: str
    egs: Service
    shards: Sequence[Sequence[Service]]
    owns_egs: bool = True
    proxies: Sequence[Sequence[parts.Proxy]] = field(default_factory=tuple)
    space: str = ""

    @property
    def services(self) -> list[Service]:
        """Its own, in the order in which they are started."""
        replicas = [one for replicas in self.shards for one in replicas]
        return [self.egs, *replicas] if self.owns_egs else replicas

    def entry(self, *, proxied: bool) -> dict[str, object]:
        """proxied: as the gateway sees its replicas."""
        ways = self.proxies if proxied and self.proxies else self.shards
        shards = [[one.address for one in replicas] for replicas in ways]
        if self.space:
            return {"index": self.name, "space": self.space, "shards": shards}
        return {"index": self.name, "model": self.model, "egs": self.egs.address, "shards": shards}

    def shard_environment(self, shard: int, replica: int) -> Mapping[str, str]:
        """What this replica is told beside what every process is."""
        return {
            "OMMA_DATA_DIR": str(self.shards[shard][replica].data_dir),
            "OMMA_SHARD__INDEX": self.name,
            "OMMA_SHARD__NUMBER": str(shard),
            "OMMA_SHARD__REPLICA": str(replica),
        }


class TopologyFiles:
    """Two of them, since gateways may reach replicas by another way. JSON is YAML."""

    def __init__(self, folder: Path) -> None:
        self.direct = folder / "topology.yaml"
        self.proxied = folder / "topology-of-gateways.yaml"

    def write(self, indexes: Iterable[IndexProcesses]) -> None:
        """Whole or not at all: whoever reads meanwhile finds the former one."""
        every = list(indexes)
        for path, proxied in ((self.direct, False), (self.proxied, True)):
            new = path.with_suffix(".new")
            new.write_text(json.dumps({"indexes": [one.entry(proxied=proxied) for one in every]}, indent=2))
            new.replace(path)
