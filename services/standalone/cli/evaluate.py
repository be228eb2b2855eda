"""`omma eval`."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from omma.errors import InvalidQuery, OmmaError
from omma.evaluation import Interval, compare_models, judgments_of, read_judgments, verdict
from omma.evaluation.metrics import MAX_GRADE
from services.egs.registry import load_model
from services.gateway.search.query import MAX_K
from services.standalone.files import may_become, writing
from services.standalone.models import choose_model, find_model
from services.standalone.numbers import number, whole
from services.standalone.output import Json, console, errors, fail, print_json, progress_bar, run, shown, table
from services.standalone.settings import StandaloneSettings

if TYPE_CHECKING:
    from services.standalone.evaluating import EvaluatedFolder, Progress


def evaluate(  # noqa: PLR0917  typer's options
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of pictures.")],
    model: Annotated[str, typer.Option(help="NAME[@VERSION]; the one that Omma would take unless one is given.")] = "",
    against: Annotated[str, typer.Option(help="NAME[@VERSION] of a second model, to compare with.")] = "",
    judgments: Annotated[
        Path | None, typer.Option(help="Labels (.csv, .txt), grades (.tsv, .qrels, .jsonl) or clicks (.jsonl).")
    ] = None,
    k: Annotated[int, typer.Option("-k", parser=whole(1, MAX_K), help=f"Where lists are cut, 1 to {MAX_K}.")] = 10,
    held_out: Annotated[
        float,
        typer.Option(
            parser=number(), help="Only this share, which training leaves out by file name, such as 0.2; 0: all."
        ),
    ] = 0.0,
    relevant_from: Annotated[
        int, typer.Option(parser=whole(1, MAX_GRADE), help=f"Least grade that counts as relevant, 1 to {MAX_GRADE}.")
    ] = 1,
    absent: Annotated[bool, typer.Option("--absent", help="Pass over judgments of absent pictures.")] = False,
    prompt: Annotated[list[str] | None, typer.Option(help="Sentence for words, such as 'a photo of a {}'.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a report to this file.")] = None,
    json: Json = False,
) -> None:
    """Measure how well a model finds pictures that belong together, or which of two models does it better."""
    from services.standalone.evaluating import evaluate_models, pictures_in  # towers: other commands start without them
    from services.standalone.evaluation_report import document, report

    settings = StandaloneSettings()
    try:
        prompts = _prompts(prompt)
        _require_writable(html)
        names = pictures_in(folder)
        judged = (
            judgments_of(folder, names, absent=absent)
            if judgments is None
            else read_judgments(judgments, names, absent=absent, relevant_from=relevant_from)
        )
        models = [choose_model(settings) if not model else load_model(find_model(settings, model), model)]
        if against:
            models.insert(0, load_model(find_model(settings, against), against))
    except OmmaError as error:
        fail(error)
    found = run(
        _evaluated(
            lambda follow: evaluate_models(
                models,
                folder.resolve(),
                names,
                judged,
                settings.egs,
                limits=settings.pictures,
                k=k,
                share=held_out,
                prompts=prompts,
                progress=follow,
            )
        )
    )
    if html is not None:
        try:
            with writing(html, "html"):
                html.write_text(report(found, settings.pictures), "utf-8")
        except OmmaError as error:
            fail(error)
        errors.print(f"Report: {html}", markup=False)
    if json:
        print_json(document(found))
    else:
        _print(found)


def _prompts(given: list[str] | None) -> list[str]:
    for one in given or ():
        if "{}" not in one:
            raise InvalidQuery(f"{one!r} does not say with {{}} where the word goes.", field="prompt")
    return given or ["{}"]


def _require_writable(html: Path | None) -> None:
    """Said before minutes of work, not after."""
    if html is not None and not may_become(html):
        raise InvalidQuery(f"{html} cannot be written: its folder is absent or it is one.", field="html")


async def _evaluated(
    work: "Callable[[Callable[[str], Progress]], Awaitable[EvaluatedFolder]]",
) -> "EvaluatedFolder":
    with progress_bar() as bars:

        def follow(model: str) -> "Progress":
            bar = bars.add_task(model, total=None, rate=0.0)
            started = time.monotonic()

            def update(done: int, total: int) -> None:
                bars.update(bar, completed=done, total=total, rate=done / max(time.monotonic() - started, 1e-9))

            return update

        return await work(follow)


def _print(found: "EvaluatedFolder") -> None:
    """The measures with their 95 % intervals, and the verdict when there are two models."""
    from services.standalone.evaluation_report import description

    console.print(f"{shown(found.folder)}: {description(found)}", markup=False)
    rows = table("", *(one.model for one in found.evaluations))
    every = [one.intervals() for one in found.evaluations]
    for name in every[-1]:
        cells = [_cell(one.get(name)) for one in every]
        rows.add_row(name, *cells)
    console.print(rows)
    if len(found.evaluations) == 2:
        first, second = found.evaluations
        console.print(verdict(first.model, second.model, compare_models(first, second)))


def _cell(found: Interval | None) -> str | Text:
    if found is None:
        return "–"
    return Text.assemble(f"{found.mean:.3f}  ", (f"{found.low:.3f} … {found.high:.3f}", "dim"))
