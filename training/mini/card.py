"""The model card: what is in the folder, where it comes from, and what was measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from omma.evaluation import Interval
from training.mini.measure import Words
from training.mini.photographs import SETS

_TEMPLATE: Final = Path(__file__).with_name("card.md")


def model_card(
    *,
    version: str,
    dim: int,
    command: str,
    megabytes: float,
    milliseconds: float,
    runs: int,
    agreement: float,
    seen: Mapping[str, Mapping[str, Interval]],
    words: list[tuple[str, Words]],
    confidence: Mapping[str, float],
) -> str:
    """Markdown. agreement: least cosine of the exported tower with the head. seen: mAP by model and set.

    words: how they were asked, and what came. confidence: its mean by kind of words.
    """
    asked = [
        f"| {one.set}, {how} | {one.classes} | {_told(one.accuracy)} | {_told(one.precision)} "
        f"| {one.best_precision:.2f} |\n"
        for how, one in words
    ]
    return _TEMPLATE.read_text().format(
        version=version,
        dim=dim,
        command=command,
        megabytes=megabytes,
        milliseconds=milliseconds,
        runs=runs,
        agreement=agreement,
        seen=_table(seen),
        words="".join(asked),
        confidence=", ".join(f"{name} {value:.2f}" for name, value in confidence.items()),
    )


def _table(rows: Mapping[str, Mapping[str, Interval]]) -> str:
    lines = [f"| mAP | {' | '.join(SETS)} |", f"| --- |{' --- |' * len(SETS)}"]
    lines += [f"| {name} | {' | '.join(_told(found[one]) for one in SETS)} |" for name, found in rows.items()]
    return "\n".join(lines) + "\n"


def _told(one: Interval) -> str:
    return f"{one.mean:.3f} ({one.low:.3f} … {one.high:.3f})"
