"""What commands print is what there is: nothing is cut, and no name is taken for an instruction."""

import ast
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import services.standalone
from omma import __version__
from omma.errors import Absent
from services.standalone import asking, output
from services.standalone.cli import command_line

INDEX = "omma-mini-1.2.0-64d073a7.1"
NAMES = ("[/]", "[red]shoe.jpg", "a [bold] car", "[link=x]")


def printed(what: object, width: int) -> str:
    said = StringIO()
    Console(file=said, width=width).print(what)
    return said.getvalue()


def test_what_is_longer_than_its_column_goes_on_in_the_next_line() -> None:
    rows = output.table("index", "state")
    rows.add_row(INDEX, "live")
    shown = printed(rows, 24)
    assert "…" not in shown
    assert INDEX in "".join(line.split("│")[1].strip() for line in shown.splitlines() if line.startswith("│"))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_with_brackets_is_shown_as_it_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = output.table("name", title="x")
    rows.add_row(name)
    assert name in printed(rows, 80)
    hit = {"id": 1, "score": 0.5, "uri": f"file:///{name}", "attributes": {"caption": name}, "tags": [name]}
    answer = {"results": [hit], "latency_ms": 1.0, "coverage": {"fraction": 1.0}, "degraded": []}
    asked = asking.Question(f"like {name}", text=name)
    assert printed(asking.table(asked, answer), 120).count(name) >= 3

    said = StringIO()
    monkeypatch.setattr(output, "errors", Console(file=said, width=120))
    with pytest.raises(BaseException, match="3"):
        output.fail(Absent(f"There is no file {name}.", field=name))
    assert said.getvalue().count(name) == 2


def unescaped(call: ast.Call) -> list[str]:
    """What of a printed f-string may be taken for an instruction."""
    if not call.args or not isinstance(call.args[0], ast.JoinedStr):
        return []
    if any(one.arg == "markup" and ast.unparse(one.value) == "False" for one in call.keywords):
        return []
    values = [one.value for one in call.args[0].values if isinstance(one, ast.FormattedValue)]
    return [ast.unparse(one) for one in values if not ast.unparse(one).startswith("escape(")]


def test_no_sentence_takes_a_name_for_an_instruction() -> None:
    """`omma key create '[/]'` made the key and ended before it printed the secret."""
    printing, found = 0, []
    for path in sorted(Path(services.standalone.__path__[0]).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("console.print", "errors.print"):
                printing += 1
                found += [(path.name, node.lineno, one) for one in unescaped(node)]
    assert printing > 50 and found == []


def test_the_version_is_said() -> None:
    told = CliRunner().invoke(command_line(), ["--version"])
    assert (told.exit_code, told.stdout) == (0, f"omma {__version__}\n")
