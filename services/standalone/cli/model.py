"""`omma model …`: the registry."""

from typing import Annotated

import typer

from omma.errors import OmmaError
from services.egs.registry import Model, current_version, find_entry, list_models, load_model, set_current
from services.standalone.cli.model_make import export_model, triton_repository
from services.standalone.cli.model_storage import pull_model, push_model
from services.standalone.models import find_model, registries
from services.standalone.output import Json, console, fail, print_json, table
from services.standalone.settings import StandaloneSettings

app = typer.Typer(no_args_is_help=True, help="The models that Omma can embed with.")
app.command("push")(push_model)
app.command("pull")(pull_model)
app.command("export")(export_model)
app.command("triton-repo")(triton_repository)

Reference = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION]", help="The current version, else the newest, unless one is given.")
]


@app.command("list")
def list_all(json: Json = False) -> None:
    """Every model in the registries."""
    try:
        found = [(root, one) for root in registries(StandaloneSettings()) for one in list_models(root)]
        current = {(root, one.name): current_version(root, one.name) for root, one in found}
    except OmmaError as error:
        fail(error)
    if json:
        print_json(
            [
                {
                    "model": one.reference,
                    "dim": one.dim,
                    "precision": one.precision,
                    "current": current[root, one.name] == one.version,
                    "space": one.space().id,
                    "registry": str(root),
                }
                for root, one in found
            ]
        )
        return
    rows = table("model", "", "dim", "words", "weights", "licence", "registry")
    for root, one in found:
        mark = "current" if current[root, one.name] == one.version else ""
        words = "yes" if one.text else "no"
        rows.add_row(one.reference, mark, str(one.dim), words, one.precision, one.licence, str(root))
    console.print(rows if found else "There are no models.")


@app.command()
def show(reference: Reference, json: Json = False) -> None:
    """The manifest of a model, and the space that its vectors are stamped with."""
    manifest = _load(reference).manifest
    said = {**manifest.model_dump(mode="json", exclude_none=True), "signature": manifest.signature()}
    said["space"] = manifest.space().id
    if json:
        print_json(said)
    else:
        console.print_json(data=said)


@app.command()
def verify(reference: Reference, json: Json = False) -> None:
    """Check every file of a model against its checksum."""
    manifest = _load(reference).manifest
    if json:
        print_json({"model": manifest.reference, "files": len(manifest.files), "ok": True})
    else:
        console.print(
            f"{manifest.reference}: {len(manifest.files)} files are what the manifest says.",
            markup=False,
        )


@app.command("current")
def current_model(
    reference: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="With a version: point the name at it.")],
    json: Json = False,
) -> None:
    """Which version a bare name means: show it, or set it for everything that starts from now on."""
    try:
        root = find_model(StandaloneSettings(), reference)
        manifest = set_current(root, reference) if "@" in reference else find_entry(root, reference)
        pinned = current_version(root, manifest.name) is not None
    except OmmaError as error:
        fail(error)
    if json:
        print_json({"model": manifest.reference, "pinned": pinned})
    else:
        console.print(f"{manifest.reference} ({'pinned' if pinned else 'the newest'})", markup=False)


def _load(reference: str) -> Model:
    try:
        return load_model(find_model(StandaloneSettings(), reference), reference)
    except OmmaError as error:
        fail(error)
