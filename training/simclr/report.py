"""What a run did, for people: report.md beside its curves."""

from collections.abc import Sequence
from pathlib import Path

from training.simclr.export import Agreement
from training.simclr.measuring import Comparison
from training.simclr.options import Options


def write_report(
    path: Path,
    options: Options,
    *,
    reference: str,
    trained_on: int,
    measured_on: int,
    skipped: dict[str, str],
    agreement: Agreement,
    found: Sequence[Comparison],
) -> None:
    """Markdown. found: empty where nothing tells which photographs belong together. Blocks."""
    lines = [
        f"# SimCLR: {reference}",
        "",
        f"{trained_on:,} photographs to train on, {measured_on:,} held out by file name, {len(skipped):,} unreadable.",
        f"ONNX: worst cosine to torch {agreement.worst_cosine:.7f} over {agreement.pictures:,} photographs.",
        "",
        "## Held-out photographs: mAP, leave one out",
        "",
        *(
            _table(found)
            if found
            else ["No labels: folders do not tell the photographs apart, and --labels is not set."]
        ),
        "",
        "![Curves](curves.png)",
        "",
        "## Options",
        "",
        *(f"- `{name}`: {value}" for name, value in options.deciding().items()),
    ]
    if skipped:
        lines += ["", "## Unreadable", "", *(f"- `{name}`: {why}" for name, why in sorted(skipped.items()))]
    path.write_text("\n".join(lines) + "\n")


def _table(found: Sequence[Comparison]) -> list[str]:
    queries = found[0].difference.queries
    lines = [
        f"{queries:,} queries. Intervals: 95 %, bootstrap over queries; p: paired sign-flip test.",
        "",
        "| from | to | before | after | difference | 95 % interval | p |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        d = one.difference
        lines.append(
            f"| {one.of} | {one.to} | {d.first.mean:.4f} | {d.second.mean:.4f} | {d.mean:+.4f} "
            f"| {d.low:+.4f} … {d.high:+.4f} | {d.p:.4f} |"
        )
    return lines
