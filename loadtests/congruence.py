"""Embedded = cluster: thousands of random searches over one random life of a collection, and 1 shard against 4.

    python -m loadtests.congruence [--cases N] [--pictures N] [--lives N] [--model NAME] [--models-dir DIR] [--small]

One process with one shard, one with four and a cluster of 4 x 2 live the same life: uploads, edited copies, changes,
replacements, deletes. Then each case is asked of all three: under exact=true they must say the same, else score what
they share alike and differ in recall by at most 0.01. The first thing that differs is told with its case.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from loadtests.bench.figures import Report
from loadtests.bench.up import photographs
from tests.congruence.twins import Outcome, compared, twins

_TOLD = 20
_CODEBOOK_ROWS = 400


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--cases", type=int, default=1_000, help="a life")
    words.add_argument("--pictures", type=int, default=800)
    words.add_argument("--lives", type=int, default=3)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--model", default="omma-mini")
    words.add_argument("--models-dir", default="models")
    words.add_argument("--small", action="store_true", help="a cluster of 2 x 2")
    given = words.parse_args()
    report = Report("congruence", f"python -m loadtests.congruence {' '.join(sys.argv[1:])}".strip())
    pictures = [path.read_bytes() for path in photographs(given.pictures)]
    table = report.table(
        "One random life after the other; figures of the one process with one shard, and what differed anywhere.",
        ["life", "answers", "hits", "refusals", "differing", "recall, by side", "apart", "seconds"],
    )
    outcomes: list[Outcome] = []
    for life in range(given.lives):
        started = time.monotonic()
        with (
            tempfile.TemporaryDirectory(prefix="omma-congruence-") as folder,
            twins(
                Path(folder),
                Path(given.models_dir).resolve(),
                given.model,
                pictures,
                seed=given.seed + life,
                shards=2 if given.small else 4,
                replicas=2,
                embedded_shards=(1, 4),
                codebook_rows=_CODEBOOK_ROWS,
            ) as sides,
        ):
            outcome = compared(sides, given.cases)
        outcomes.append(outcome)
        means = ", ".join(f"{sum(one) / len(one):.4f}" for one in outcome.recalls.values())
        seen = outcome.seen
        table.rows.append(
            [given.seed + life, seen["answers"], seen["hits"], seen["refusals"], len(outcome.differing), means,
             f"{outcome.recall_apart():.4f}", f"{time.monotonic() - started:.0f}"]
        )  # fmt: skip
        print(*outcome.differing[:_TOLD], sep="\n", file=sys.stderr)
    differing = sum(len(one.differing) for one in outcomes)
    asked = sum((one.seen for one in outcomes), Counter[str]())["answers"]
    report.target("exact and shared scores: answers that differ", f"{differing} of {asked:,}", "0", differing == 0)
    apart = max(one.recall_apart() for one in outcomes)
    report.target("recall without exact, apart at most", f"{apart:.4f}", "<= 0.01", apart <= 0.01)
    report.save()
    return 0 if all(one.met for one in report.targets) else 1


if __name__ == "__main__":
    sys.exit(main())
