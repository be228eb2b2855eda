"""`python -m training.near_duplicates DIR…`: what `omma.copies` tells of the photographs there, as a table."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from omma.copies import Pair, Signatures, copies
from omma.images import PictureFile, signature
from omma.images.limits import DEFAULT_LIMITS
from training.near_duplicates.edits import EDITS, HARD
from training.near_duplicates.lookalikes import FAMILIES, family

_SIGNED_SIDE = 512


def measured(
    folders: Annotated[list[Path], typer.Argument(help="of photographs, each with its own kind")],
    edited: Annotated[int, typer.Option(help="photographs of each folder that are edited", min=1)] = 60,
    others: Annotated[int, typer.Option(help="of each folder that are compared, each with each", min=2)] = 2000,
) -> None:
    """Recall by kind of edit, what is folded among other pictures, and the precision of both together.

    Pairs folded among photographs are printed by name: a set has copies of its own, which nobody has labelled.
    """
    chosen = {folder: _photographs(folder) for folder in folders}
    originals = [path for paths in chosen.values() for path in paths[:edited]]
    pictures = [_opened(path) for path in originals]
    signed = [signature(picture) for picture in pictures]
    right = wrong = 0
    recall: dict[str, float] = {}
    for name, edit in EDITS.items():
        stored = [*signed, *(signature(edit(picture)) for picture in pictures)]
        pairs = {(pair.first, pair.second) for pair in copies(Signatures.of(stored))}
        found = sum((row, row + len(signed)) in pairs for row in range(len(signed)))
        wrong += sum(second - first != len(signed) and second >= len(signed) > first for first, second in pairs)
        right += found
        recall[name] = found / len(signed)
        typer.echo(f"{name:16} {recall[name]:.3f} ± {_half_interval(recall[name], len(signed)):.3f}")
    easy = [share for name, share in recall.items() if name not in HARD]
    typer.echo(
        f"recall {sum(easy) / len(easy):.3f}; with {' and '.join(HARD)} {sum(recall.values()) / len(recall):.3f}"
    )
    typer.echo(f"precision {right / max(1, right + wrong):.4f}: {wrong} pairs of edits of other photographs")
    for name in FAMILIES:
        rows = family(name)
        count = len(copies(Signatures.of([signature(row) for row in rows])))
        typer.echo(f"{name:26} {count} of {len(rows) * (len(rows) - 1) // 2} pairs folded")
    for folder, every in chosen.items():
        paths = every[:others]
        pairs_told = copies(Signatures.of([signature(_opened(path)) for path in paths]))
        typer.echo(f"{folder.name}: {len(pairs_told)} of {len(paths) * (len(paths) - 1) // 2} pairs folded")
        for line in _named(pairs_told, paths):
            typer.echo(f"  {line}")


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


def _named(pairs: Sequence[Pair], paths: Sequence[Path]) -> Iterator[str]:
    for pair in pairs:
        yield f"{pair.distance:3} {paths[pair.first].name} {paths[pair.second].name}"


if __name__ == "__main__":
    typer.run(measured)
