"""Labels of pictures from files: a table with `image` and `label`, or lists of `path, class, group`."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from omma.errors import InvalidQuery
from omma.evaluation.judgments import Labelled
from omma.evaluation.lines import numbered_lines, opened, refuse_absent
from omma.evaluation.names import PictureNames

_CLASS_NAMES: Final = "classes.csv"


def read_label_table(file: Path, names: PictureNames, *, absent: bool) -> Labelled:
    """Columns `image` and `label`, perhaps `group`; others are passed over. Raises InvalidQuery. Blocks."""
    with opened(file) as lines:
        table = csv.DictReader(lines)
        missing = {"image", "label"} - set(table.fieldnames or ())
        if missing:
            raise InvalidQuery(f"{file.name} has no column {' and no '.join(sorted(missing))}.", field="judgments")
        rows = [(at, one["image"] or "", one["label"] or "", one.get("group") or "") for at, one in enumerate(table, 2)]
    return _labelled(file.name, rows, names, absent)


def read_class_lists(files: Sequence[Path], names: PictureNames, *, absent: bool) -> Labelled:
    """`path, class` or `path, class, group` a line; classes named by `classes.csv`. Raises InvalidQuery. Blocks."""
    known = _class_names(files[0].parent / _CLASS_NAMES)
    rows = []
    for file in files:
        for at, line in numbered_lines(file):
            path, *ids = [part.strip() for part in line.split(",")]
            if len(ids) not in {1, 2}:
                raise InvalidQuery(f"{file.name}:{at} is not `path, class` or `path, class, group`.", field="judgments")
            rows.append((at, path, known.get(ids[0], ids[0]), ids[1] if len(ids) == 2 else ""))
    return _labelled(", ".join(file.name for file in files), rows, names, absent)


def _class_names(file: Path) -> dict[str, str]:
    """Number of a class to its name: the first two columns are the name and the number, whatever their titles."""
    if not file.is_file():
        return {}
    with opened(file) as lines:
        return {row[1].strip(): row[0].strip() for row in list(csv.reader(lines))[1:] if len(row) >= 2}


def _labelled(about: str, rows: list[tuple[int, str, str, str]], names: PictureNames, absent: bool) -> Labelled:
    labels, groups, gone = [""] * len(names), [""] * len(names), []
    for at, said, label, group in rows:
        row = names.find(said, "image")
        if row is None:
            gone.append(said)
        elif not label:
            raise InvalidQuery(f"{about}:{at}: {said} has no label.", field="label")
        elif labels[row] not in {"", label}:
            raise InvalidQuery(f"{about}:{at}: {said} is both {labels[row]!r} and {label!r}.", field="label")
        else:
            labels[row], groups[row] = label, group
    if not absent:
        refuse_absent(gone, "image", about)
    return Labelled(f"labels in {about}", names.paths, labels, groups if any(groups) else ())
