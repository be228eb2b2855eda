"""The files that judgments are read from: a small closed set, told apart by suffix.

| suffix | a line | |
| --- | --- | --- |
| `.csv` | header with `image` and `label`, perhaps `group` | labels |
| `.txt` | `path, class` or `path, class, group`; `classes.csv` beside it may name the numbers | labels |
| `.tsv` | query, picture, grade; a query `text:red shoe` is words | grades |
| `.qrels` | TREC: query, anything, picture, grade, with blanks between | grades |
| `.jsonl` | `{"query" or "text", "picture", "grade"}` | grades |
| `.jsonl` | `{"query" or "text", "picture", "rank", "type": "impression" or "click", "query_id"}` | clicks |

Pictures are named by path within the folder, by file URI, or by file name with or without suffix. Except in `.csv`,
lines that are empty or begin with `#` are passed over.
"""

from pathlib import Path
from typing import Final

from omma.errors import Absent, InvalidQuery
from omma.evaluation.grade_files import read_grades
from omma.evaluation.judgments import Judged, Labelled
from omma.evaluation.label_files import read_class_lists, read_label_table
from omma.evaluation.names import PictureNames

_LABEL_TABLE: Final = "labels.csv"
_CLASS_LISTS: Final = ("train.txt", "val.txt", "test.txt")
_GRADES: Final = (".tsv", ".qrels", ".jsonl")
_MAX_BYTES: Final = 1 << 30


def judgments_of(folder: Path, names: PictureNames, *, absent: bool = False) -> Labelled:
    """What a folder says of its own pictures: `labels.csv`; `train.txt`, `val.txt`, `test.txt`; or subfolders' names.

    absent: pass over labels of pictures that are not there. Raises InvalidQuery. Blocks.
    """
    if (folder / _LABEL_TABLE).is_file():
        return read_label_table(folder / _LABEL_TABLE, names, absent=absent)
    lists = [folder / name for name in _CLASS_LISTS if (folder / name).is_file()]
    if lists:
        return read_class_lists(lists, names, absent=absent)
    labels = ["" if (parent := Path(path).parent.name) == "." else parent for path in names.paths]
    if not any(labels):
        raise InvalidQuery(
            f"Nothing says what belongs together in {folder}: give judgments, a {_LABEL_TABLE}, or subfolders.",
            field="judgments",
        )
    return Labelled("names of subfolders", names.paths, labels)


def read_judgments(file: Path, names: PictureNames, *, absent: bool = False, relevant_from: int = 1) -> Judged:
    """Judgments from a file of one of the formats above.

    absent: pass over what is said of pictures that are not there. relevant_from: as in omma.evaluation.measure, for
    grades. Raises Absent, field `judgments`; InvalidQuery, whose field is the line's that is wrong. Blocks.
    """
    if not file.is_file():
        raise Absent(f"There is no file {file}.", field="judgments")
    if file.stat().st_size > _MAX_BYTES:
        raise InvalidQuery(f"{file} has more than {_MAX_BYTES} bytes.", field="judgments", limit=_MAX_BYTES)
    if file.suffix == ".csv":
        return read_label_table(file, names, absent=absent)
    if file.suffix == ".txt":
        return read_class_lists([file], names, absent=absent)
    if file.suffix in _GRADES:
        return read_grades(file, names, absent=absent, relevant_from=relevant_from)
    raise InvalidQuery(f"{file.name}: judgments are read from .csv, .txt, {', '.join(_GRADES)}.", field="judgments")
