"""What commands print: tables and bars for people, one JSON document with --json; errors with an exit code."""

import json
import os
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, Final, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from omma import process
from omma.errors import Kind, OmmaError, causes

T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

console: Final = Console(highlight=False)
errors: Final = Console(stderr=True, highlight=False)

EXIT_CODES: Final = {
    Kind.INVALID_QUERY: 2,
    Kind.INVALID_PICTURE: 2,
    Kind.UNSUPPORTED_MEDIA: 2,
    Kind.TOO_LARGE: 2,
    Kind.ABSENT: 3,
    Kind.WRONG_STATE: 4,
    Kind.WRONG_SPACE: 4,
    Kind.CURSOR_EXPIRED: 4,
    Kind.NO_TEXT_TOWER: 4,
    Kind.CONCURRENT_WRITE: 4,
    Kind.NOT_SIGNED_IN: 5,
    Kind.NOT_ALLOWED: 5,
    Kind.STORAGE_FULL: 6,
    Kind.QUOTA_EXCEEDED: 6,
    Kind.CORRUPT: 7,
    Kind.OVERLOADED: 75,
    Kind.REPLICA_DOWN: 75,
    Kind.COVERAGE_TOO_LOW: 75,
    Kind.OUT_OF_TIME: 75,
}
"""75: worth another try (EX_TEMPFAIL of sysexits.h). A kind that is not here: 1. Ctrl-C: 130."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; an OmmaError becomes one line on stderr and the exit code of its kind."""
    try:
        return process.run(work)
    except OmmaError as error:
        fail(error)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def fail(error: OmmaError) -> NoReturn:
    """Print the error, and what it came from where this process asked, and leave with its exit code."""
    field = f" ({error.field})" if error.field else ""
    errors.print(f"[bold red]{escape(error.kind)}[/]{escape(field)}: {escape(error.detail)}")
    if error.__cause__ is not None:
        errors.print(causes(error.__cause__), style="dim", markup=False)
    raise typer.Exit(EXIT_CODES.get(error.kind, 1)) from error


def shown(name: str | os.PathLike[str]) -> str:
    """A file's name as it can be printed, whatever its bytes are."""
    return os.fsencode(name).decode(errors="replace")


def print_json(document: Any) -> None:
    """On stdout, indented for a terminal, one line for a pipe."""
    said = json.dumps(document, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False)
    # A byte of a file's name that is no UTF-8 is half of a surrogate pair, of which JSON has an escape.
    print(said.encode(errors="backslashreplace").decode())


class Rows(Table):
    """A table whose cells are what they say, also where somebody named a file `[/]`; a Text has colours."""

    def add_row(self, *cells: Any, **style: Any) -> None:
        super().add_row(*(Text(one) if isinstance(one, str) else one for one in cells), **style)


def table(*columns: str, title: str | None = None) -> Rows:
    """An empty one. What is longer than its column goes on in the next line: names are whole, to be copied."""
    folded = (Column(one, overflow="fold") for one in columns)
    return Rows(*folded, title=title, title_justify="left", header_style="bold")


def progress_bar() -> Progress:
    """A bar with rate (field `rate`, pictures a second) and remaining time."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.0f}/s"),
        TimeRemainingColumn(),
        console=errors,
    )
