"""Grades of pairs from files: tab-separated, TREC qrels, JSON lines, or JSON lines of impressions and clicks."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from omma import sent_json
from omma.errors import InvalidQuery
from omma.evaluation.clicks import Seen, grades_from_clicks
from omma.evaluation.judgments import Graded
from omma.evaluation.lines import columns, numbered_lines, refuse_absent
from omma.evaluation.metrics import MAX_GRADE
from omma.evaluation.names import PictureNames

TEXT: Final = "text:"
"""Begins a query that is words."""
Pairs = dict[str, dict[str, int]]
"""query to {picture: grade}, as the file names them."""


def read_grades(file: Path, names: PictureNames, *, absent: bool, relevant_from: int) -> Graded:
    """Grades from a `.tsv`, `.qrels` or `.jsonl` file. Raises InvalidQuery: `query`, `picture`, `grade`, … Blocks.

    A query must have a picture of grade relevant_from, else it could not be measured; one of clicks may have none.
    """
    kind = "grades"
    if file.suffix == ".jsonl":
        graded, kind = _json_lines(file)
    elif file.suffix == ".qrels":
        graded = _pairs(
            ((at, [query, picture, grade]) for at, (query, _, picture, grade) in columns(file, None, 4)), file
        )
    else:
        graded = _pairs(columns(file, "\t", 3), file)
    if not graded:
        raise InvalidQuery(f"{file.name} holds no judgment.", field="judgments")
    unjudged = [query for query, given in graded.items() if max(given.values()) < relevant_from]
    if unjudged and kind == "grades":
        raise InvalidQuery(
            f"{file.name}: {unjudged[0]!r} has no picture of grade {relevant_from} or more: it cannot be measured.",
            field="query",
        )
    return _graded(f"{kind} in {file.name}", graded, names, absent, relevant_from)


def _graded(about: str, graded: Pairs, names: PictureNames, absent: bool, relevant_from: int) -> Graded:
    by_picture: dict[int, dict[int, int]] = defaultdict(dict)
    by_words: dict[str, dict[int, int]] = defaultdict(dict)
    gone: dict[str, list[str]] = {"query": [], "picture": []}
    for query, given in graded.items():
        asked = None if query.startswith(TEXT) else names.find(query, "query")
        if asked is None and not query.startswith(TEXT):
            gone["query"].append(query)
            continue
        found = by_words[query.removeprefix(TEXT)] if asked is None else by_picture[asked]
        for said, grade in given.items():
            row = names.find(said, "picture")
            if row is None:
                gone["picture"].append(said)
            else:
                found[row] = grade
    if not absent:
        for field, said_names in gone.items():
            refuse_absent(said_names, field, about)
    return Graded(about, names.paths, by_picture, by_words, relevant_from)


def _pairs(lines: Iterable[tuple[int, list[str]]], file: Path) -> Pairs:
    graded: Pairs = defaultdict(dict)
    for at, (query, picture, grade) in lines:
        if at == 1 and grade == "grade":
            continue
        _add(graded, query, picture, grade, f"{file.name}:{at}")
    return graded


def _json_lines(file: Path) -> tuple[Pairs, str]:
    graded: Pairs = defaultdict(dict)
    seen = []
    for at, line in numbered_lines(file):
        where = f"{file.name}:{at}"
        try:
            one = sent_json.parse(line)
        except ValueError as fault:
            raise InvalidQuery(f"{where} is no JSON: {fault}.", field="judgments") from None
        if not isinstance(one, dict):
            raise InvalidQuery(f"{where} is no object.", field="judgments")
        query = TEXT + str(one["text"]) if one.get("text") else _field(one, "query", where)
        if "type" in one:
            seen.append(_seen(one, query, where))
        else:
            _add(graded, query, _field(one, "picture", where), one.get("grade"), where)
    if graded and seen:
        raise InvalidQuery(f"{file.name} mixes grades and clicks.", field="type")
    return (grades_from_clicks(seen), "clicks") if seen else (graded, "grades")


def _seen(one: dict[str, Any], query: str, where: str) -> Seen:
    rank = one.get("rank")
    if type(rank) is not int or rank < 1:
        raise InvalidQuery(f"{where}: rank must be a whole number from 1.", field="rank", limit=1)
    if one["type"] not in {"impression", "click"}:
        raise InvalidQuery(f"{where}: type is impression or click.", field="type")
    return Seen(query, _field(one, "picture", where), rank, one["type"] == "click", _field(one, "query_id", where))


def _add(graded: Pairs, query: str, picture: str, said: Any, where: str) -> None:
    try:
        grade = int(said) if isinstance(said, str) else said
    except ValueError:
        grade = None
    if type(grade) is not int or not 0 <= grade <= MAX_GRADE:
        raise InvalidQuery(
            f"{where}: grade {said!r} is no whole number 0 to {MAX_GRADE}.", field="grade", limit=MAX_GRADE
        )
    if graded[query].setdefault(picture, grade) != grade:
        raise InvalidQuery(f"{where}: {picture} has two grades for {query}.", field="grade")


def _field(one: dict[str, Any], field: str, where: str) -> str:
    said = one.get(field)
    if not isinstance(said, str) or not said:
        raise InvalidQuery(f"{where} has no {field}.", field=field)
    return said
