"""A model rolled out, back and in again on a cluster of real parts, beside searches, uploads, deletes; then resharded,
and given another codebook.

    python -m loadtests.rollout [--pictures N] [--seconds S] [--kills]

The ledger: searches that failed, hits whose index and space do not belong together, pictures that either index lacks or
has twice. What it costs: the p95 of live searches beside the backfill against that in pauses of it, in turn, since
another minute of a machine is another machine; and the backfill's rate beside them. How soon two gateways follow. The
models are two small ones that say nothing of pictures: what is measured is the walk. --kills: at each state every kind
of process is killed with -9, and the ledger is all that is measured.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from deploy.local import Cluster, Shape, cluster
from loadtests.bench.figures import Report, percentile
from loadtests.bench.killing import killed
from loadtests.bench.rolling import Ledger, Traffic, Walk, filled, lacking, ok, traffic_beside, until
from loadtests.bench.up import photographs
from tests.e2e.two_models import A, B, register_two

_SETTINGS: Final = {
    "OMMA_WORKER__ROLLOUT_LOOK_SECONDS": "1",
    # A busy machine would be taken for a bad candidate: this is about the walk, loadtests.rollout_models about judging.
    "OMMA_WORKER__JUDGE_SECONDS": "600",
    "OMMA_SHARD__ENGINE__TRAIN_ROWS": "256",
    "OMMA_SHARD__ENGINE__SEAL_ROWS": "256",
}
_TURN_SECONDS: Final = 10.0
"""Of the backfill, and of a pause of it."""
_PAUSED: Final = "backfill paused"
_MORE: Final = 400
"""Photographs that are uploaded beside."""
_STATES: Final = (
    ("shadow", ()),
    ("canary 5 %", (("canary", {"share": 5, "force": True}),)),
    ("canary 50 %", (("canary", {"share": 50}),)),
    ("live", (("promote", {}),)),
    ("back", (("rollback", {}),)),
    ("live again", (("promote", {}),)),
)
_STEPS: Final = ["start", "shadow", "canary", "canary", "promote", "rollback", "promote"]


@dataclass
class Found:
    """rates: pictures a second that the candidate took in beside searches and without. built: seconds."""

    ledger: Ledger = field(default_factory=Ledger)
    lacking: dict[str, tuple[int, int]] = field(default_factory=dict)
    followed: dict[str, float] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    built: dict[str, float] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    killed: int = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=30.0, help="of traffic in each state")
    parser.add_argument("--rate", type=float, default=25.0, help="searches a second: half of what is steady here")
    parser.add_argument("--shards", type=int, default=2, help="of the candidate; resharded to half as many again")
    parser.add_argument("--kills", action="store_true", help="kill -9 of every kind of process in each state")
    given = parser.parse_args()
    report = Report(
        "rollout_kills" if given.kills else "rollout",
        f"python -m loadtests.rollout --pictures {given.pictures} --rate {given.rate:g}"
        f"{' --kills' if given.kills else ''}",
    )
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        register_two(models)
        shape = Shape(2, 1, gateways=2, model=A, models_dir=str(models), triton=False, environment=_SETTINGS)
        with cluster(shape) as running:
            found = asyncio.run(_measured(running, given))
    _ledger_told(report, found, given.pictures)
    if not given.kills:
        _costs_told(report, found)
    report.notes.append(f"Load of the machine over the last 15 minutes: {os.getloadavg()[2]:.0f}, on 2 cores.")
    report.save()
    return int(any(one.met is False for one in report.targets))


async def _measured(running: Cluster, given: argparse.Namespace) -> Found:
    pictures = photographs(given.pictures + _MORE)
    found = Found()
    ledger = found.ledger
    async with AsyncExitStack() as stack:
        gateways = [
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{one.http_port}", timeout=120)
            )
            for one in running.gateways
        ]
        client = gateways[0]
        _say(f"filled in {await filled(client, pictures[: given.pictures], ledger):.0f} s")
        extra = list(pictures[given.pictures :])
        traffic = await stack.enter_async_context(
            traffic_beside(gateways, ledger, extra, tries=2 if given.kills else 1)
        )
        walk = Walk(client, running.gateways)
        traffic.per_second = given.rate
        await asyncio.sleep(given.seconds)
        ledger.phase = "building"
        running.add_index("next", model=B, shards=given.shards, replicas=2 if given.kills else 1)
        await walk.start(model=B)
        for one in (await ok(client.get("/indexes")))["indexes"]:
            ledger.spaces[one["id"]] = one["space"]
        if given.kills:
            found.killed += await killed(running, gateways, ["main"])
            found.built["next"] = await walk.reaches("shadow")
        else:
            found.built["next"] = await _built(walk, traffic, given, found)
        for phase, steps in _STATES:
            for name, body in steps:
                await walk.step(name, **body)
            ledger.phase = phase
            if given.kills:
                found.killed += await killed(running, gateways, ["main", "next"])
            await asyncio.sleep(given.seconds)
            followed = ", ".join(f"{name} followed in {took:.2f} s" for name, took in walk.followed.items())
            _say(f"{phase}: {len(ledger.took.get(phase, ()))} searches, {len(ledger.failed)} failed; {followed}")
        await traffic.settled()
        for name in ("main", "next"):
            found.lacking[name] = await lacking(client, name, ledger)
        found.steps = [one for one in await walk.steps() if one not in ("pause", "resume")]
        found.followed = dict(walk.followed)
        if not given.kills:
            await walk.step("retire", yes=True)
            await _of_the_same_vectors(running, client, traffic, given, found)
    return found


async def _built(walk: Walk, traffic: Traffic, given: argparse.Namespace, found: Found) -> float:
    """Half of it beside searches and with pauses, the rest without either; seconds that it was under way."""
    ledger = found.ledger
    seconds = await _until_held(walk, 0.05 * given.pictures)
    pictures = worked = looked_at = 0.0
    while (before := await _held_after(walk, looked_at))[0] < 0.5 * given.pictures:
        ledger.phase = "building"
        await asyncio.sleep(_TURN_SECONDS)
        after = await _held(walk)
        pictures, worked = pictures + after[0] - before[0], worked + after[1] - before[1]
        ledger.phase = _PAUSED
        await walk.step("pause")
        await asyncio.sleep(_TURN_SECONDS)
        await walk.step("resume")
        looked_at = (await _held(walk))[1]
    found.rates["searches"] = pictures / max(1e-3, worked)
    await traffic.settled()
    ledger.phase = "building"
    seconds += worked
    began = asyncio.get_running_loop().time()
    before = last = await _held(walk)
    while (now := await _held(walk))[1]:
        last = now
        await asyncio.sleep(0.3)
    found.rates["nothing"] = (last[0] - before[0]) / max(1e-3, last[1] - before[1])
    seconds += asyncio.get_running_loop().time() - began
    await walk.reaches("shadow")
    traffic.per_second = given.rate
    return seconds


async def _until_held(walk: Walk, pictures: float) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def there() -> bool:
        return (await _held(walk))[0] >= pictures

    await until(there, 0.3)
    return loop.time() - began


async def _held_after(walk: Walk, seconds: float) -> tuple[int, float]:
    """As _held, of a look after this one: while it is paused nobody looks."""

    async def there() -> bool:
        return (await _held(walk))[1] != seconds

    await until(there, 0.3)
    return await _held(walk)


async def _held(walk: Walk) -> tuple[int, float]:
    """Pictures that the candidate has, and when that was looked at, in seconds: 0 when it is built."""
    shown = await walk.shown()
    if shown["state"] != "building":
        return sys.maxsize, 0.0
    build = shown["figures"].get("build", {"held": 0, "at_ms": 0})
    return build["held"], build["at_ms"] / 1000


async def _of_the_same_vectors(
    running: Cluster, client: httpx.AsyncClient, traffic: Traffic, given: argparse.Namespace, found: Found
) -> None:
    """More shards, then a codebook of its own, with the embedder away: not one embedding call can be answered."""
    more = given.shards * 3 // 2
    egs = running.indexes["next"].egs
    with running.supervisor.left_alone(egs):
        egs.server.stop()
        for index, asked in (("wide", {"shards": more}), ("finer", {"codebook": "retrain"})):
            running.add_index(index, model=B, shards=more)
            walk = Walk(client, running.gateways)
            await walk.start(index=index, **asked)
            found.ledger.phase = f"building {index}"
            # What were uploaded meanwhile would wait for the embedder.
            traffic.uploads, traffic.per_second = False, given.rate
            found.built[index] = await walk.reaches("shadow")
            await walk.step("canary", share=100, force=True)
            await walk.step("promote")
            found.ledger.phase = f"{index} live"
            await asyncio.sleep(given.seconds)
            await traffic.settled()
            found.lacking[index] = await lacking(client, index, found.ledger)
            found.followed |= {f"{name}, {index}": took for name, took in walk.followed.items()}
            _say(f"{index} is live")


def _ledger_told(report: Report, found: Found, pictures: int) -> None:
    ledger = found.ledger
    name = report.measure
    table = report.table("Searches by state, ms.", ["state", "searches", "p50", "p95", "max"])
    for phase, took in ledger.took.items():
        table.rows.append([phase, len(took), *(f"{percentile(took, at):.0f}" for at in (50, 95, 100))])
    missing = sum(one for one, _ in found.lacking.values())
    twice = sum(two for _, two in found.lacking.values())
    failed = f"{len(ledger.failed)} of {ledger.searches:,}"
    # With both embedders or PostgreSQL killed, what needs them fails until they are there again.
    report.target(
        f"{name}: searches that failed",
        failed,
        "told" if found.killed else "0",
        bool(found.killed) or not ledger.failed,
    )
    report.target(f"{name}: answers of one index with another's space", str(ledger.mixed), "0", ledger.mixed == 0)
    report.target(f"{name}: pictures that an index lacks", str(missing), "0", missing == 0)
    report.target(f"{name}: pictures twice in an index, or deleted", str(twice), "0", twice == 0)
    said = "each once, in order" if found.steps == _STEPS else ", ".join(found.steps)
    report.target(f"{name}: states of the walk", said, "none skipped", found.steps == _STEPS)
    report.notes.append(
        f"{pictures:,} photographs, {len(ledger.live) + len(ledger.deleted) - pictures} more uploaded and "
        f"{len(ledger.deleted)} deleted beside the walk; looked at in {', '.join(found.lacking)}."
    )
    if found.killed:
        report.notes.append(
            f"{found.killed} processes were killed with -9: in each state a gateway, the indexer, a shard of the "
            f"candidate, both embedders, PostgreSQL and Kafka. {ledger.again} searches were answered by the other "
            "gateway only."
        )
    if ledger.left_out:
        told = ", ".join(f"{reason} {count}" for reason, count in sorted(ledger.left_out.items()))
        report.notes.append(f"Of {ledger.searches:,} answers these said that they lack something: {told}.")
    report.notes += [f"Failed: {one}" for one in ledger.failed[:5]]


def _costs_told(report: Report, found: Found) -> None:
    steps = report.table("Until both gateways followed, s.", ["step", "seconds"])
    steps.rows += [[name, f"{took:.2f}"] for name, took in found.followed.items()]
    built = report.table("Until it was built, s.", ["index", "seconds"])
    whats = {"next": "another model", "wide": "more shards", "finer": "a codebook of its own"}
    built.rows += [[f"{whats[name]} ({name})", f"{took:.0f}"] for name, took in found.built.items()]
    slowest = max(found.followed[name] for name in ("promote", "rollback"))
    report.target("rollout: promotion and rollback, slowest gateway", f"{slowest:.2f} s", "<= 2 s", slowest <= 2)
    paused, beside = (percentile(found.ledger.took[phase], 95) for phase in (_PAUSED, "building"))
    ratio = f"{beside / paused:.2f}x"
    report.target("rollout: p95 of searches beside the backfill", ratio, "<= 1.25x", beside <= 1.25 * paused)
    if not found.rates["nothing"]:
        raise SystemExit("So few pictures are taken in before anything is measured: ask for more.")
    rate = found.rates["searches"] / found.rates["nothing"]
    report.target("rollout: rate of the backfill beside searches", f"{rate:.2f}x", ">= 0.4x", rate >= 0.4)
    report.notes.append(
        f"The backfill took in {found.rates['searches']:.1f} pictures a second beside searches, and "
        f"{found.rates['nothing']:.1f} without."
    )
    report.target("rollout: embedding calls for shards and a codebook", "0 (the embedder was stopped)", "0", True)


def _say(what: str) -> None:
    print(what, flush=True)


if __name__ == "__main__":
    sys.exit(main())
