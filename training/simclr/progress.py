"""What a run says while it goes on: a bar for people, a line an epoch for logs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress


class Progress:
    """speaks: False on the ranks that do not lead."""

    def __init__(self, speaks: bool) -> None:
        self._console = Console(stderr=True, quiet=not speaks)

    def say(self, words: str) -> None:
        self._console.print(words, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def bar(self, title: str, total: int, done: int = 0) -> Iterator[Callable[[int, str], None]]:
        """Yields what advances it by so many, with a word on how it goes. Draws on a terminal only."""
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(), TextColumn("{task.fields[said]}"),
        )  # fmt: skip
        with RichProgress(
            *columns, console=self._console, transient=True, disable=not self._console.is_terminal
        ) as bars:
            task = bars.add_task(title, total=total, completed=done, said="")

            def advance(count: int, said: str) -> None:
                bars.update(task, advance=count, said=said)

            yield advance
