"""Write what was measured into docs/benchmarks.md, between its `figures` marks; what was never measured says so.

What was measured elsewhere, and has no figures in this cache, stays as it stands.

python -m loadtests.report
"""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtests.bench.figures import targets_markdown
from loadtests.bench.vectors import cache

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
MARKS = re.compile(r"(<!-- figures: (?P<name>[\w-]+) -->\n)(?P<standing>.*?)(<!-- end -->)", re.DOTALL)


def main() -> int:
    kept = {path.stem: json.loads(path.read_text()) for path in sorted((cache() / "results").glob("*.json"))}
    PAGE.write_text(
        MARKS.sub(lambda mark: mark[1] + _figures(mark["name"], mark["standing"], kept) + mark[4], PAGE.read_text())
    )
    print(PAGE)
    return 0


def _figures(name: str, standing: str, kept: dict[str, Any]) -> str:
    if name == "summary":
        return summary(standing, [report["targets"] for report in kept.values()])
    report = kept.get(name)
    if report is None:
        return standing or "Not measured yet.\n"
    noise = report["noise_before"], report["noise_after"]
    lines = [
        f"`{report['command']}`, {report['when']}, {report['machine']}. Noise of the reference loop: "
        f"{noise[0]['spread']:.0%} before, {noise[1]['spread']:.0%} after.\n"
    ]
    for table in report["tables"]:
        rows = [table["header"], ["---"] * len(table["header"]), *table["rows"]]
        lines.append(table["title"] + "\n\n" + "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows) + "\n")
    lines += [f"{note}\n" for note in report["notes"]]
    return "\n".join(lines)


def summary(standing: str, measured: Sequence[Sequence[dict[str, Any]]]) -> str:
    """The table of all targets: a measure's rows take the place of those that it has in the standing table. Pure.

    A row is of a measure by its name, or by what stands before its colon.
    """
    head, rows = targets_markdown([]).splitlines(), standing.splitlines()[2:]
    for targets in measured:
        fresh = targets_markdown(targets).splitlines()[2:]
        own = {_measure(one) for one in fresh}
        at = next((number for number, row in enumerate(rows) if _measure(row) in own), len(rows))
        rows = [*rows[:at], *fresh, *(row for row in rows[at:] if _measure(row) not in own)]
    return "\n".join([*head, *rows]) + "\n"


def _measure(row: str) -> str:
    return row.removeprefix("| ").partition(" |")[0].partition(":")[0]


if __name__ == "__main__":
    sys.exit(main())
