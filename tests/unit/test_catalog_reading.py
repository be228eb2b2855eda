"""`reading` has no transaction around it, so that each of its blocks is one statement; several take a `snapshot`."""

import ast
from collections.abc import Iterator
from pathlib import Path

CATALOG = Path(__file__).parents[2] / "omma" / "catalog"


def _blocks(call: str) -> Iterator[tuple[str, int]]:
    """Where each is, and how many awaits it has, those of a loop twice."""
    for path in sorted(CATALOG.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.AsyncWith) and ast.unparse(node.items[0].context_expr).endswith(f"{call}()"):
                awaits = sum(isinstance(one, ast.Await) for one in ast.walk(node))
                looped = sum(
                    isinstance(one, ast.Await)
                    for loop in ast.walk(node)
                    if isinstance(loop, ast.For | ast.While)
                    for one in ast.walk(loop)
                )
                yield f"{path.name}:{node.lineno}", awaits + looped


def test_what_is_read_without_a_transaction_is_one_statement() -> None:
    reading, snapshots = dict(_blocks("reading")), dict(_blocks("snapshot"))
    assert len(reading) > 30, "the walk finds them"
    assert {where: count for where, count in reading.items() if count != 1} == {}
    assert {where: count for where, count in snapshots.items() if count < 2} == {}
