"""`omma up` in one process and a cluster on real parts that hold the same collection."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

from deploy.local import Cluster, Shape, cluster
from loadtests.bench.up import up
from tests.congruence.cases import Cases
from tests.congruence.comparison import differences, recall, shared_differences
from tests.congruence.history import life, lived
from tests.waiting import until

# One thread a run of the model, so that both get the same bits; few rows a segment, so that there are several. Nobody
# looks for copies: each side would know of them at another time.
_ALIKE: Final = {
    "OMMA_EGS__WIDE_THREADS": "1",
    "OMMA_SHARD__ENGINE__SEAL_ROWS": "64",
    "OMMA_WORKER__COPIES_SECONDS": "86400",
    "OMMA_LOG_LEVEL": "warning",
}
_SCORES_ALIKE: Final = 1e-5
"""Of an approximate search: the same originals score them, in another order of additions."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Clients of two servers that lived the same life, by name; the first is the one that the others are held to."""

    clients: Mapping[str, httpx.Client]
    cases: Cases
    cluster: Cluster


@dataclass
class Outcome:
    """differing: what differed, in words, with the case. recalls: of approximate answers, by side. seen: how often the
    first side's answers had what, so that equal answers are known to have said something.
    """

    differing: list[str]
    recalls: dict[str, list[float]]
    seen: Counter[str]

    def recall_apart(self) -> float:
        """Largest difference of the sides' mean recalls."""
        means = [float(np.mean(values)) for values in self.recalls.values()]
        return max(means) - min(means)


@contextmanager
def twins(
    folder: Path, models: Path, model: str, pictures: Sequence[bytes], *, seed: int, shards: int, replicas: int,
    embedded_shards: Sequence[int] = (1,), codebook_rows: int = 0,
) -> Iterator[Sides]:  # fmt: skip
    """A cluster, and a process for each number of embedded shards, fed with one life from the seed.

    codebook_rows: from so many rows on an index trains its codebook, and all have it before the block begins; 0: none.
    """
    alike = dict(_ALIKE)
    if codebook_rows:
        alike["OMMA_SHARD__ENGINE__TRAIN_ROWS"] = str(codebook_rows)
    with ExitStack() as stack:
        clients = {}
        for count in embedded_shards:
            own = {**alike, "OMMA_SHARDS": str(count), "OMMA_MODEL": model, "OMMA_EGS__MODELS_DIR": str(models)}
            alone = stack.enter_context(up(folder / f"embedded-{count}", **own))
            clients[f"embedded, {count} shards"] = stack.enter_context(alone.client())
        made = Shape(shards, replicas, model, str(models), triton=False, environment=alike)
        running = stack.enter_context(cluster(made))
        clients["cluster"] = stack.enter_context(httpx.Client(base_url=running.rest, timeout=120))
        steps = life(np.random.default_rng(seed), pictures)
        with ThreadPoolExecutor(len(clients)) as living:
            of_each = [1] * len(embedded_shards) + [replicas]
            held = list(living.map(lived, clients.values(), [steps] * len(clients), of_each))
        for one in held[1:]:
            if one != held[0]:
                raise RuntimeError("The sides gave the same events other ids or receipts.")
        if codebook_rows:
            for client in clients.values():
                _until_encoded(client)
        about = clients["cluster"].get("/stats").raise_for_status().json()["model"]
        random = np.random.default_rng(seed + 1)
        yield Sides(
            clients, Cases(random, held[0], pictures, about["space"], about["dim"], words=about["text"]), running
        )


def compared(sides: Sides, count: int) -> Outcome:
    """So many cases: exact ones must say the same; approximate ones score shared pictures alike."""
    outcome = Outcome([], {name: [] for name in sides.clients}, Counter())
    with ThreadPoolExecutor(len(sides.clients)) as asking:

        def everywhere(**settings: Any) -> list[Any]:
            return list(asking.map(lambda client: case.ask(client, **settings), sides.clients.values()))

        for number in range(count):
            case = sides.cases.draw()
            said = everywhere(exact=True)
            for name, answer in zip(sides.clients, said, strict=True):
                differ = differences(said[0], answer)
                outcome.differing += [f"case {number}, {name}: {one}: {case.fields}" for one in differ[:3]]
            outcome.seen.update(_seen(said[0]))
            if said[0][0][0] != 200:
                continue
            loose = everywhere()
            for (name, (answer, *_)), (exact, *_) in zip(zip(sides.clients, loose, strict=True), said, strict=True):
                if answer[0] != 200:
                    outcome.differing.append(f"case {number}, {name}: status {answer[0]}: {case.fields}")
                    continue
                outcome.recalls[name].append(recall(answer[1], exact[1]))
                differ = shared_differences(loose[0][0][1], answer[1], _SCORES_ALIKE, duplicates=False)
                outcome.differing += [f"case {number}, {name}, approximate: {one}: {case.fields}" for one in differ[:3]]
    return outcome


def _until_encoded(client: httpx.Client) -> None:
    """Wait until every replica has a codebook, and segments that are encoded with it."""

    def encoded() -> bool:
        shards = client.get("/stats").raise_for_status().json()["shards"]
        return all(one.get("codebook") and one["segments"] for one in shards)

    until(encoded, 300, "No codebook everywhere")


def _seen(said: Sequence[tuple[int, dict[str, Any]]]) -> Iterator[str]:
    yield from ["answers"] * len(said)
    for status, document in said:
        if status != 200:
            yield "refusals"
            continue
        for hit in document["results"]:
            yield "hits"
            yield from (name for name in ("duplicates", "bbox", "phash_distance") if name in hit)
