"""Figures: percentiles, tables, targets; kept as JSON, so that docs/benchmarks.md is made of what was measured."""

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from loadtests.bench import machine
from loadtests.bench.vectors import cache


@dataclass
class Target:
    """what: of which figure; met: None when it could not be measured."""

    what: str
    figure: str
    target: str
    met: bool | None


@dataclass
class Table:
    title: str
    header: Sequence[str]
    rows: list[Sequence[Any]] = field(default_factory=list)

    def markdown(self) -> str:
        lines = [f"| {' | '.join(self.header)} |", f"| {' | '.join('---' for _ in self.header)} |"]
        lines += [f"| {' | '.join(str(cell) for cell in row)} |" for row in self.rows]
        return f"{self.title}\n\n" + "\n".join(lines) + "\n"


@dataclass
class Report:
    """One run of one measure. Made before the run, so that noise is known before and after it."""

    measure: str
    command: str
    targets: list[Target] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    noise_before: dict[str, float] = field(default_factory=machine.noise)

    def target(self, what: str, figure: str, target: str, met: bool | None) -> None:
        self.targets.append(Target(what, figure, target, met))

    def table(self, title: str, header: Sequence[str]) -> Table:
        self.tables.append(Table(title, header))
        return self.tables[-1]

    def path(self) -> Path:
        """Where it is kept, under the cache."""
        return cache() / "results" / f"{self.measure}.json"

    def save(self) -> Path:
        """Print it, and keep it."""
        path = self.path()
        path.parent.mkdir(exist_ok=True)
        kept = {
            **asdict(self),
            "when": time.strftime("%Y-%m-%d %H:%M"),
            "machine": machine.description(),
            "noise_after": machine.noise(),
        }
        path.write_text(json.dumps(kept, indent=1))
        for table in self.tables:
            print("\n" + table.markdown())
        print(targets_markdown([asdict(one) for one in self.targets]))
        print("\n".join(self.notes))
        print(f"noise: {self.noise_before['spread']:.0%} before, {kept['noise_after']['spread']:.0%} after")
        return path


def targets_markdown(targets: Sequence[dict[str, Any]]) -> str:
    """what, figure, target, met: as rows of one table."""
    words = {True: "met", False: "**not met**", None: "not measured"}
    lines = ["| measure | figure | target | |", "| --- | --- | --- | --- |"]
    lines += [f"| {one['what']} | {one['figure']} | {one['target']} | {words[one['met']]} |" for one in targets]
    return "\n".join(lines)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """`median (min … max)`."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} … {max(values):,.{digits}f})"


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank, percent in 0 … 100."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
