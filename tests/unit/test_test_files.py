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


def only_waits(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """It has a loop of nothing but sleeping and looking, and besides it no more than the end of its patience."""
    body = [one for one in function.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
    while len(body) == 1 and isinstance(body[0], ast.With | ast.AsyncWith):
        body = body[0].body
    loops = [one for one in body if isinstance(one, ast.While)]
    besides = [one for one in body if not isinstance(one, ast.While | ast.Assign | ast.Return | ast.Assert)]
    return len(loops) == 1 and not besides and all(map(_sleeps_or_gives_up, loops[0].body))


def _sleeps_or_gives_up(one: ast.stmt) -> bool:
    if isinstance(one, ast.If):
        return all(isinstance(inner, ast.Raise) for inner in one.body)
    # sleep(0) is no waiting: it lets the loop's other tasks have a turn.
    slept = isinstance(one, ast.Expr) and "sleep(" in (said := ast.unparse(one)) and "sleep(0)" not in said
    return slept or isinstance(one, ast.Assert)


def test_what_sets_no_event_is_waited_for_in_one_way() -> None:
    written = [
        f"{path.relative_to(ROOT)}: {function.name}"
        for path in FILES
        if path != ROOT / "tests" / "waiting.py"
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and only_waits(function)
    ]
    assert written == [], "tests.waiting has until and eventually"
