"""Tests stand alone: what several files need lies in a module without a test, and no two files have one name."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

FILES = sorted((ROOT / "tests").rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Dotted names, with what is taken out of each."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{one.name}" for one in node.names)


def test_no_file_takes_anything_out_of_anothers_tests() -> None:
    taken = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in FILES
        for name in imported(path)
        if name.startswith("tests.") and any(part.startswith("test_") for part in name.split(".")[1:])
    ]
    assert taken == []


def test_no_two_files_have_one_name() -> None:
    names = Counter(path.name for path in FILES if path.name.startswith("test_"))
    assert [name for name, often in names.items() if often > 1] == []
