"""One fault after the other in one cluster."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from deploy.local import Cluster
from loadtests.bench.figures import percentile
from loadtests.chaos.census import Census, census, until_whole
from loadtests.chaos.faults import Fault
from loadtests.chaos.ledger import Ledger
from loadtests.chaos.traffic import OWNER, Kind, Reference, Search, Traffic, ask

_EMBEDDED_AT_ONCE: Final = 120.0
WHOLE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Result:
    """What one fault did. searches: made while it was there."""

    fault: Fault
    searches: Sequence[Search]
    acknowledged: int
    refused: int
    whole_seconds: float
    census: Census

    def count(self, *ended: str, kinds: Sequence[Kind] = ("vector", "picture")) -> int:
        return sum(one.ended in ended and one.kind in kinds for one in self.searches)

    def milliseconds(self, percent: float, kind: Kind = "vector") -> float:
        """Of searches that were answered; not a number without any."""
        took = [one.seconds * 1e3 for one in self.searches if one.kind == kind and one.ended != "failed"]
        return percentile(took, percent) if took else float("nan")

    def complaints(self) -> list[str]:
        """What should not have been, in words."""
        unwanted = [
            one
            for one in self.searches
            if one.ended == "wrong"
            or (one.ended == "failed" and one.kind not in self.fault.may_fail)
            or (one.ended == "partial" and not self.fault.partial)
        ]
        found = [
            f"{count} x {what}" for what, count in Counter(f"{o.kind} {o.ended}: {o.why}" for o in unwanted).items()
        ]
        if self.fault.partial and not self.count("partial"):
            found.append("no search said that it covers less")
        return found if self.census.clean else [*found, str(self.census)]


def load_references(running: Cluster, pictures: Sequence[Path]) -> list[Reference]:
    """Upload them, wait until they are searchable, and note the exact answer to each."""
    with httpx.Client(base_url=running.rest, timeout=60) as client:
        found = []
        for path in pictures:
            content = path.read_bytes()
            sent = {"external_id": f"{path.parent.name}/{path.name}", "owner": OWNER}
            client.post("/images", files={"image": content}, data=sent).raise_for_status()
            said = client.post("/embed/image", files={"image": content}).raise_for_status().json()
            found.append(Reference(content, said["vector"], said["space"]))
        until_whole(running, len(found), _EMBEDDED_AT_ONCE)
        return [_with_answer(client, one) for one in found]


def fault_caused(
    running: Cluster, fault: Fault, references: Sequence[Reference], ledger: Ledger, *, seconds: float, name: str
) -> Result:
    """Under load: cause it, keep it for so long, undo it, wait until the cluster is whole, and count.

    Raises NotWhole.
    """
    acknowledged, refused = ledger.acknowledged, ledger.refused
    with Traffic(running.rest, references, ledger, searchers=2, writers=1, name=name) as traffic:
        time.sleep(1.0)
        traffic.taken()
        with fault.cause(running):
            time.sleep(seconds)
            searches = traffic.taken()
    whole_seconds = until_whole(running, len(references) + len(ledger.living()), WHOLE_SECONDS)
    return Result(
        fault,
        searches,
        ledger.acknowledged - acknowledged,
        ledger.refused - refused,
        whole_seconds,
        census(running, ledger, len(references)),
    )


def _with_answer(client: httpx.Client, one: Reference) -> Reference:
    found = ask(client, "vector", one).raise_for_status().json()["results"]
    return Reference(one.content, one.vector, one.space, [hit["id"] for hit in found])
