"""`omma model list | show | verify`."""

from typing import Annotated

import typer
from rich.table import Table

from omma.errors import OmmaError
from services.egs.registry import Model, list_models, load_model
from services.standalone.models import find_model, registries
from services.standalone.output import Json, console, fail, print_json
from services.standalone.settings import StandaloneSettings

app = typer.Typer(no_args_is_help=True, help="The models that Omma can embed with.")

Reference = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="The newest version unless one is given.")]


@app.command("list")
def list_all(json: Json = False) -> None:
    """Every model in the registries."""
    try:
        found = [(root, manifest) for root in registries(StandaloneSettings()) for manifest in list_models(root)]
    except OmmaError as error:
        fail(error)
    if json:
        print_json([{"model": one.reference, "dim": one.dim, "registry": str(root)} for root, one in found])
        return
    table = Table("model", "dim", "words", "licence", "registry", header_style="bold")
    for root, one in found:
        table.add_row(one.reference, str(one.dim), "yes" if one.text else "no", one.licence, str(root))
    console.print(table if found else "There are no models.")


@app.command()
def show(reference: Reference, json: Json = False) -> None:
    """The manifest of a model."""
    manifest = _load(reference).manifest.model_dump(mode="json")
    if json:
        print_json(manifest)
    else:
        console.print_json(data=manifest)


@app.command()
def verify(reference: Reference, json: Json = False) -> None:
    """Check every file of a model against its checksum."""
    manifest = _load(reference).manifest
    if json:
        print_json({"model": manifest.reference, "files": len(manifest.files), "ok": True})
    else:
        console.print(f"{manifest.reference}: {len(manifest.files)} files are what the manifest says.")


def _load(reference: str) -> Model:
    try:
        return load_model(find_model(StandaloneSettings(), reference), reference)
    except OmmaError as error:
        fail(error)
