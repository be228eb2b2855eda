"""The `omma` command: one file a command."""

from typing import Annotated

import typer

from omma import __version__
from services.standalone.cli import (
    audit,
    curate,
    dead_letters,
    doctor,
    erase,
    evaluate,
    experiment,
    export,
    feedback,
    index,
    ingest,
    insights,
    key,
    model,
    plan,
    quota,
    rollout,
    search,
    space,
    trace,
    up,
    verify,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"omma {__version__}")
        raise typer.Exit


def command_line() -> typer.Typer:
    """Every command, wired."""
    app = typer.Typer(name="omma", no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(_omma)
    app.command()(up.up)
    app.command()(ingest.ingest)
    app.command()(search.search)
    app.command("eval")(evaluate.evaluate)
    app.command()(export.export)
    app.command()(trace.trace)
    app.command()(verify.verify)
    app.command()(doctor.doctor)
    app.command()(erase.erase)
    app.command()(curate.clusters)
    app.command()(curate.anomalies)
    app.command()(curate.duplicates)
    app.command()(audit.audit)
    app.command()(insights.insights)
    app.command("plan")(plan.plan_cluster)
    app.add_typer(dead_letters.app, name="dead-letters")
    app.add_typer(feedback.app, name="feedback")
    app.add_typer(index.app, name="index")
    app.add_typer(key.app, name="key")
    app.add_typer(model.app, name="model")
    app.add_typer(quota.app, name="quota")
    app.add_typer(rollout.app, name="rollout")
    app.add_typer(experiment.app, name="experiment")
    app.add_typer(space.app, name="space")
    return app


def _omma(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which one it is.")
    ] = False,
) -> None:
    """Find pictures by picture or by words."""


def main() -> None:
    """Entry point of the `omma` script."""
    command_line()()
