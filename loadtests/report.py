"""Write what was measured into docs/benchmarks.md, between its `figures` marks; what was never measured says so.

python -m loadtests.report
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from loadtests.bench.figures import targets_markdown
from loadtests.bench.vectors import cache

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
MARKS = re.compile(r"(<!-- figures: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> int:
    kept = {path.stem: json.loads(path.read_text()) for path in sorted((cache() / "results").glob("*.json"))}
    PAGE.write_text(MARKS.sub(lambda mark: mark[1] + _figures(mark["name"], kept) + mark[3], PAGE.read_text()))
    print(PAGE)
    return 0


def _figures(name: str, kept: dict[str, Any]) -> str:
    if name == "summary":
        return targets_markdown([one for report in kept.values() for one in report["targets"]]) + "\n"
    report = kept.get(name)
    if report is None:
        return "Not measured yet.\n"
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


if __name__ == "__main__":
    sys.exit(main())
