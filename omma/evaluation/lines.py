"""Lines of a text file, and what is said when they are not what they should be."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from omma.errors import InvalidQuery


@contextmanager
def opened(file: Path) -> Iterator[TextIO]:
    """The file as UTF-8 text. Raises InvalidQuery, field `judgments`, for one that cannot be read or is no text."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            yield lines
    except (UnicodeDecodeError, csv.Error) as fault:
        raise InvalidQuery(f"{file.name} is no text of its format: {fault}.", field="judgments") from None
    except OSError as fault:
        raise InvalidQuery(f"{file.name} cannot be read: {fault.strerror}.", field="judgments") from None


def numbered_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of every line that is neither empty nor a `#` comment. Raises as `opened`."""
    with opened(file) as lines:
        for at, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("#"):
                yield at, line.strip("\r\n")


def columns(file: Path, separator: str | None, count: int) -> Iterator[tuple[int, list[str]]]:
    """The lines in their columns; separator None: blanks. Raises InvalidQuery, field `judgments`, for another count."""
    for at, line in numbered_lines(file):
        parts = [part.strip() for part in line.split(separator)]
        if len(parts) != count:
            raise InvalidQuery(f"{file.name}:{at} has {len(parts)} columns instead of {count}.", field="judgments")
        yield at, parts


def refuse_absent(gone: list[str], field: str, about: str) -> None:
    """Raises InvalidQuery with this field when judgments name pictures that are not there."""
    if gone:
        raise InvalidQuery(
            f"{about}: {len(gone)} pictures are named that are not in the folder, such as {', '.join(gone[:3])}. "
            "If that is as it should be, have them passed over (absent).",
            field=field,
        )
