"""What pictures show, for measuring alone: the folder they lie in, or a file of labels. Training never sees it."""

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from omma.errors import InvalidQuery

_PICTURE_COLUMNS: Final = ("picture", "image", "path")


def label_numbers(names: Sequence[str], file: Path | None) -> list[int] | None:
    """A number a label, in the order of names; None where nothing tells the pictures apart.

    file: CSV with a column `label` and one of `picture`, `image`, `path`, which holds names, or file names without
    suffix; a picture that it lacks is a label of its own. Without a file: the folder. Raises InvalidQuery, field
    `labels`. Blocks.
    """
    if file is None:
        words = [str(PurePosixPath(name).parent) for name in names]
    else:
        known = _read(file)
        words = [known.get(name) or known.get(PurePosixPath(name).stem) or f"\0{name}" for name in names]
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    if not 1 < len(numbers) < len(words):
        return None
    return [numbers[word] for word in words]


def _read(file: Path) -> dict[str, str]:
    try:
        with file.open(newline="") as lines:
            table = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidQuery(f"{file} cannot be read: {error}", field="labels") from error
    columns = set(table[0]) if table else set()
    picture = next((one for one in _PICTURE_COLUMNS if one in columns), None)
    if picture is None or "label" not in columns:
        raise InvalidQuery(f"{file} needs a column label and one of {', '.join(_PICTURE_COLUMNS)}.", field="labels")
    return {row[picture]: row["label"] for row in table}
