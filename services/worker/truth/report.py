"""What a comparison found, told as it goes and in the end."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.worker.truth.differences import ABOUT, Difference, DifferenceKind

MAX_EXAMPLES: Final = 20

_ROWS: Final = "rows/"
_DIFFERENCES: Final = "differences/"
_REPAIRED: Final = "repaired/"


@dataclass(slots=True)
class Report:
    """Counts by kind, and some examples of each; never a list of everything.

    rows: by state, as they were read. buckets, bucket_details: how many there are, and were compared picture by
    picture. originals: in our blobs; waiting: those of them that no row needs, kept for the grace of a delete.
    settled: everything that was on its way when differences were seen has arrived; else what may only be late is left
    out. replicas: those that could not be compared, and why.
    """

    index: str
    rows: Counter[str] = field(default_factory=Counter)
    buckets: int = 0
    bucket_details: int = 0
    originals: int = 0
    waiting: int = 0
    settled: bool = True
    replicas: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[DifferenceKind] = field(default_factory=Counter)
    repaired: Counter[DifferenceKind] = field(default_factory=Counter)
    took_seconds: float = 0.0
    _examples: dict[DifferenceKind, list[Any]] = field(default_factory=dict)

    @classmethod
    def going_on(cls, index: str, buckets: int, numbers: Mapping[str, int]) -> "Report":
        """What a comparison that was broken off had found, by its `numbers`: without examples."""
        report = cls(index, buckets=buckets)
        report.bucket_details = numbers.get("bucket_details", 0)
        report.originals, report.waiting = numbers.get("originals", 0), numbers.get("waiting", 0)
        report.settled = not numbers.get("unsettled", 0)
        for name, number in numbers.items():
            if name.startswith(_ROWS):
                report.rows[name.removeprefix(_ROWS)] = number
            elif name.startswith(_DIFFERENCES):
                report.counts[DifferenceKind(name.removeprefix(_DIFFERENCES))] = number
            elif name.startswith(_REPAIRED):
                report.repaired[DifferenceKind(name.removeprefix(_REPAIRED))] = number
        return report

    @property
    def clean(self) -> bool:
        """Everything was compared and nothing differs."""
        return self.settled and not self.replicas and not self.counts

    @property
    def summary(self) -> str:
        """One sentence, which says the same as `clean`."""
        if self.counts:
            open_ = self.counts.total() - self.repaired.total()
            return f"{self.counts.total():,} differences, {self.repaired.total():,} of them mended, {open_:,} open."
        if not self.clean:
            return "Nothing was found that differs, but not everything could be compared."
        if not self.rows and not self.originals:
            return "There is nothing here to compare: no row and no original."
        return "Nothing differs."

    def add(self, differences: Iterable[Difference]) -> None:
        for one in differences:
            self.count(one.kind, 1, [one.document()])

    def count(self, kind: DifferenceKind, count: int, examples: Iterable[Any]) -> None:
        """Add so many; examples past the bound are dropped."""
        if count:
            self.counts[kind] += count
            kept = self._examples.setdefault(kind, [])
            kept.extend(list(examples)[: MAX_EXAMPLES - len(kept)])

    def numbers(self) -> dict[str, int]:
        """What `going_on` goes on from."""
        return {
            "bucket_details": self.bucket_details,
            "originals": self.originals,
            "waiting": self.waiting,
            "unsettled": int(not self.settled or bool(self.replicas)),
            **{_ROWS + state: count for state, count in self.rows.items()},
            **{_DIFFERENCES + kind: count for kind, count in self.counts.items()},
            **{_REPAIRED + kind: count for kind, count in self.repaired.items()},
        }

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "clean": self.clean,
            "summary": self.summary,
            "settled": self.settled,
            "index": self.index,
            "rows": dict(self.rows),
            "buckets": self.buckets,
            "bucket_details": self.bucket_details,
            "originals": self.originals,
            "originals_waiting": self.waiting,
            "replicas": self.replicas,
            "differences": [
                {
                    "kind": kind,
                    "count": count,
                    "repaired": self.repaired[kind],
                    "meaning": ABOUT[kind].meaning,
                    "remedy": ABOUT[kind].remedy,
                    "by_repair": ABOUT[kind].mend is not None,
                    "examples": self._examples.get(kind, []),
                }
                for kind, count in sorted(self.counts.items())
            ],
            "took_seconds": round(self.took_seconds, 3),
        }
