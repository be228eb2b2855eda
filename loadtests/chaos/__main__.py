"""The command; loadtests/chaos says what it does."""

import argparse
import sys
from collections.abc import Sequence

import loadtests.chaos
from deploy.local import Cluster, Shape, cluster
from loadtests.bench.figures import Report
from loadtests.bench.up import photographs
from loadtests.chaos.census import NotWhole
from loadtests.chaos.faults import Fault, faults_of, may_mount, none
from loadtests.chaos.ledger import Ledger
from loadtests.chaos.run import Result, fault_caused, load_references
from loadtests.chaos.traffic import Kind

_HEADER = (
    "fault", "searches", "failed", "by picture failed", "partial", "wrong", "p50 ms", "p99 ms", "acknowledged",
    "refused", "missing", "twice", "risen", "whole after s",
)  # fmt: skip
_FIRST_LINE = (loadtests.chaos.__doc__ or "").partition("\n")[0]
_REFERENCES = 100
_SMALL_DISK_MIB = 64
_P99_RATIO = 2.0


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m loadtests.chaos", description=_FIRST_LINE)
    words.add_argument("--shards", type=int, default=4)
    words.add_argument("--replicas", type=int, default=2)
    words.add_argument("--seconds", type=float, default=15.0, help="that a fault stays")
    words.add_argument("--model", default="omma-mini")
    words.add_argument("--models-dir", default="models")
    words.add_argument("--no-triton", action="store_true")
    words.add_argument("--only", nargs="*", default=[], help="faults whose names have one of these words")
    given = words.parse_args()
    report = Report("chaos", f"python -m loadtests.chaos {' '.join(sys.argv[1:])}".strip())
    table = report.table(
        f"Each fault stays {given.seconds:g} s; then the cluster mends itself. `failed` and times are of searches by "
        "vector, which need no embedder. What was refused was tried again until it was acknowledged.",
        _HEADER,
    )
    small_disk_mib = _SMALL_DISK_MIB if may_mount() else 0
    if not small_disk_mib:
        report.notes.append("A full disk was left out: a disk in memory takes root.")
    shape = Shape(
        shards=given.shards,
        replicas=given.replicas,
        model=given.model,
        models_dir=given.models_dir,
        triton=not given.no_triton,
        toxiproxy=True,
        small_disk_mib=small_disk_mib,
        reranker=True,
    )
    with cluster(shape) as running:
        results = _all(running, given.only, given.seconds, report)
    for one in results:
        table.rows.append(_row(one))
    _targets(report, results)
    report.save()
    return 0 if all(one.met for one in report.targets) else 1


def _all(running: Cluster, only: Sequence[str], seconds: float, report: Report) -> list[Result]:
    """Every fault in turn, after a while without any; ends at one that leaves the cluster in pieces."""
    references = load_references(running, photographs(_REFERENCES))
    ledger = Ledger()
    results = []
    chosen = [one for one in faults_of(running) if not only or any(word in one.name for word in only)]
    for number, fault in enumerate([Fault("none", none), *chosen]):
        print(f"{fault.name} …", file=sys.stderr, flush=True)
        try:
            result = fault_caused(running, fault, references, ledger, seconds=seconds, name=f"chaos-{number}")
        except NotWhole as error:
            report.target(f"{fault.name}: whole again", str(error), "by itself", False)
            break
        print(*result.complaints(), sep="\n", file=sys.stderr, flush=True)
        results.append(result)
    return results


def _row(one: Result) -> list[str]:
    vector: tuple[Kind, ...] = ("vector",)
    counted = [
        len(one.searches), one.count("failed", kinds=vector), one.count("failed", kinds=("picture",)),
        one.count("partial"), one.count("wrong"),
    ]  # fmt: skip
    written = [one.acknowledged, one.refused, one.census.missing, one.census.twice, one.census.risen]
    times = [f"{one.milliseconds(50):.0f}", f"{one.milliseconds(99):.0f}"]
    return [one.fault.name, *map(str, counted), *times, *map(str, written), f"{one.whole_seconds:.1f}"]


def _targets(report: Report, results: Sequence[Result]) -> None:
    by_name = {one.fault.name: one for one in results}
    for one in results:
        complaints = one.complaints()
        report.target(
            f"{one.fault.name}: searches and ledger", "; ".join(complaints) or "as they should be",
            "nothing failed, wrong, missing or twice beyond what the fault takes away", not complaints,
        )  # fmt: skip
    healthy, hung = by_name.get("none"), by_name.get("a replica hung")
    if healthy is not None and hung is not None:
        ratio = hung.milliseconds(99) / healthy.milliseconds(99)
        report.target("p99 with a hung replica, over the healthy one", f"{ratio:.2f}x", "<= 2x", ratio <= _P99_RATIO)


if __name__ == "__main__":
    sys.exit(main())
