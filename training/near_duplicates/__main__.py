"""`python -m training.near_duplicates DIR…`: what `omma.copies` tells of the photographs there, as a table."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from PIL import Image

from omma.copies import LOOKED_AT_BITS, Seen, Signatures, copies, look, nearest_bits
from omma.images import PictureFile, signature
from omma.images.limits import DEFAULT_LIMITS
from training.near_duplicates.edits import EDITS, HARD
from training.near_duplicates.lookalikes import FAMILIES, family

_SIGNED_SIDE = 512
_ALWAYS: Final = 3
"""Of each picture the nearest by signature are looked at however far they lie: a worker looks at so many by vector."""


@dataclass(frozen=True, slots=True)
class Known:
    """A picture as the first step and as the second one see it."""

    signature: bytes
    seen: Seen

    @classmethod
    def of(cls, picture: Image.Image) -> "Known":
        return cls(signature(picture), Seen.of(picture))


def measured(
    folders: Annotated[list[Path], typer.Argument(help="of photographs, each with its own kind")],
    edited: Annotated[int, typer.Option(help="photographs of each folder that are edited", min=1)] = 60,
    others: Annotated[int, typer.Option(help="of each folder that are compared, each with each", min=0)] = 2000,
    only: Annotated[list[str] | None, typer.Option(help="edits, by name; else every one")] = None,
) -> None:
    """Recall by kind of edit, what is folded among other pictures, and the precision of both together.

    By the signature alone, and with the second look at what a wide gate names. Pairs folded among photographs are
    printed by name: a set has copies of its own, which nobody has labelled.
    """
    chosen = {folder: _photographs(folder) for folder in folders}
    pictures = [_opened(path) for paths in chosen.values() for path in paths[:edited]]
    originals = [Known.of(picture) for picture in pictures]
    right = wrong = 0
    recall: dict[str, float] = {}
    for name, edit in EDITS.items():
        if only and name not in only:
            continue
        copied = [Known.of(edit(picture)) for picture in pictures]
        first, either = _told([*originals, *copied], _across(originals, copied))
        # Pairs of one picture and its copy; both of one side are counted among the others below.
        ours = {(row, row + len(originals)) for row in range(len(originals))}
        wrong += sum(second >= len(originals) > one and (one, second) not in ours for one, second in either)
        right += len(ours & either.keys())
        recall[name] = len(ours & either.keys()) / len(originals)
        alone = len(ours & first) / len(originals)
        how = Counter(either[pair] for pair in ours & either.keys()).most_common(3)
        typer.echo(
            f"{name:16} {alone:.3f}  with the look {recall[name]:.3f} ± {_half_interval(recall[name], len(ours)):.3f}  "
            + ", ".join(f"{why} {count}" for why, count in how)
        )
    easy = [share for name, share in recall.items() if name not in HARD] or [0.0]
    typer.echo(
        f"recall {sum(easy) / len(easy):.3f}; with {' and '.join(HARD)} {sum(recall.values()) / len(recall):.3f}"
    )
    typer.echo(f"precision {right / max(1, right + wrong):.4f}: {wrong} pairs of edits of other photographs")
    for name in FAMILIES:
        rows = [Known.of(row) for row in family(name)]
        first, either = _told(rows, combinations(range(len(rows)), 2))
        count = len(rows) * (len(rows) - 1) // 2
        typer.echo(f"{name:26} {len(first)}, with the look {len(either)} of {count} pairs folded")
    for folder, every in chosen.items():
        paths = every[:others]
        known = [Known.of(_opened(path)) for path in paths]
        first, either = _told(known, _near(known))
        count = len(paths) * (len(paths) - 1) // 2
        typer.echo(f"{folder.name}: {len(first)}, with the look {len(either)} of {count} pairs folded")
        for (one, other), why in sorted(either.items()):
            typer.echo(f"  {why:10} {paths[one].name} {paths[other].name}")


def _told(
    known: Sequence[Known], looked_at: Iterator[tuple[int, int]]
) -> tuple[set[tuple[int, int]], dict[tuple[int, int], str]]:
    """Pairs of rows, the lower first, that the signature tells; and what both steps tell, with what told it."""
    first = {(pair.first, pair.second) for pair in copies(Signatures.of([one.signature for one in known]))}
    either = dict.fromkeys(first, "signature")
    for one, other in looked_at:
        if (one, other) not in either:
            verdict = look(known[one].seen, known[other].seen)
            if verdict.same:
                either[one, other] = verdict.why.value
    return first, either


def _across(originals: Sequence[Known], copied: Sequence[Known]) -> Iterator[tuple[int, int]]:
    """Rows of originals and of copies behind them that the gate names."""
    for row, one in enumerate(originals):
        for at in _named(nearest_bits(one.signature, [other.signature for other in copied]), _ALWAYS):
            yield row, len(originals) + at


def _near(known: Sequence[Known]) -> Iterator[tuple[int, int]]:
    stored = [one.signature for one in known]
    pairs = {
        (min(row, at), max(row, at))
        for row, one in enumerate(stored)
        for at in _named(nearest_bits(one, stored), _ALWAYS + 1)
        if at != row
    }
    yield from sorted(pairs)


def _named(bits: np.typing.NDArray[np.int16], always: int) -> list[int]:
    order = np.argsort(bits, kind="stable")
    within = int((bits <= LOOKED_AT_BITS).sum())
    return order[: max(always, within)].tolist()


def _photographs(folder: Path) -> list[Path]:
    """In an order that has nothing to do with their names, always the same."""
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
    return sorted(paths, key=lambda path: hashlib.sha256(path.name.encode()).digest())


def _opened(path: Path) -> Image.Image:
    """As the embedder gives it to `signature`."""
    return PictureFile(path.read_bytes(), DEFAULT_LIMITS).decode().reduced(_SIGNED_SIDE)


def _half_interval(share: float, count: int) -> float:
    """Of 95 %, normal."""
    return 1.96 * math.sqrt(share * (1 - share) / count)


if __name__ == "__main__":
    typer.run(measured)
