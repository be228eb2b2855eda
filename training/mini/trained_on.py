"""`python -m training.mini.trained_on`: an entry of omma-mini that does not say what it was trained on says so."""

import argparse
import sys
from pathlib import Path
from typing import Final

from services.egs.registry import MANIFEST, load_model, sha256_of_file
from training.mini.export import NAME
from training.mini.measure import Shipped
from training.mini.photographs import draw_pictures, photographs
from training.trained_on import FILE, write_trained_on

_ROOT: Final = Path(__file__).parents[2]


def main() -> int:
    """0. No vector changes, so neither does the space. Blocks: some 20 ms a photograph."""
    said = _arguments()
    model = load_model(said.models, f"{NAME}@{said.version}")
    draw_pictures(said.cache / "drawn")
    paths = [one.path for one in photographs(said.data, said.cache / "drawn") if not one.held_out]
    path = write_trained_on(Shipped(model.folder).pictures(paths), model.folder)
    files = {**model.manifest.files, FILE: sha256_of_file(path)}
    manifest = model.manifest.model_copy(update={"files": files, "trained_on": FILE})
    (model.folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
    print(f"{manifest.reference} says what it was trained on: {len(paths):,} photographs")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Let an entry of omma-mini say what it was trained on.")
    parser.add_argument("--data", type=Path, default=_ROOT.parent / "shared" / "data", help="the three sets")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "omma" / "mini")
    parser.add_argument("--models", type=Path, default=_ROOT / "models", help="the registry")
    parser.add_argument("--version", required=True)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
