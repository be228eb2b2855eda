"""What is added to an exported image tower so that it has a second output, `windows`: vectors of a picture's parts.

    python -m training.mini.windows [--version 1.2.1] [--of 1.2.0]

Nothing is trained and no byte of the tower changes. Every mean over the whole map is taken over each window of it too,
and the head's nodes stand there once more for those. The file has these nodes alone: a protobuf message behind another
is one message, so that the tower's bytes and this file's are a graph with both outputs.
"""

import argparse
import hashlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, checker, helper, numpy_helper

from services.egs.manifest import Manifest, WindowsOutput
from services.egs.registry import load_model, register
from training.mini.backbone import FEATURES
from training.mini.description import SHADES
from training.mini.export import CARD_FILE, IMAGE_FILE, NAME
from training.mini.head import DIM

FILE: Final = "windows.onnx"
GRID: Final = 7
"""Places a side of the backbone's last feature map."""
WINDOW: Final = 4
"""Of them a window's side: 0.57 of the picture's, where the parts that are embedded one by one have 0.6."""
_OUTPUT: Final = "windows"
_ROW: Final = (
    f"| `{FILE}` | {(GRID - WINDOW + 1) ** 2} windows of {WINDOW} x {WINDOW} of the {GRID} x {GRID} feature map: "
    "vectors of a picture's parts by the same run (`OMMA_INDEXER__REGIONS=windows`; "
    "`python -m training.mini.windows`). "
    "Nodes alone, whose bytes follow those of `image.onnx`; without them that is what it was, to the bit |"
)
_MODELS: Final = Path(__file__).parents[2] / "models"
_CHANNELS: Final = {"pooled": FEATURES, "shares": SHADES}
_SIDES: Final = {"pooled4": GRID, "shares4": 28}
"""Of the maps whose means the head is given: the features, and which colours a patch belongs to."""


def windows_of(image: onnx.ModelProto) -> onnx.ModelProto:
    """What follows the bytes of a tower of `image_model`: output `windows`, float32[n, 16, 256], L2-normalised."""
    across = GRID - WINDOW + 1
    nodes: list[NodeProto] = []
    weights: list[TensorProto] = []
    moved: set[str] = set()

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def shape(name: str, *sides: int) -> str:
        weights.append(numpy_helper.from_array(np.array(sides, np.int64), name))
        return name

    flat = shape("windows.flat", 0, 0, across**2)
    for one in image.graph.node:
        (output,) = one.output
        if one.op_type == "GlobalAveragePool":
            step = _SIDES[output] // GRID
            side = [step * WINDOW] * 2
            made = node("AveragePool", [*one.input], f"windows.{output}", kernel_shape=side, strides=[step, step])
            made = node("Transpose", [node("Reshape", [made, flat], f"{made}.flat")], f"{made}.rows", perm=[0, 2, 1])
            moved.add(output)
        elif one.op_type == "Flatten":
            rows = shape(f"windows.{output}.shape", -1, _CHANNELS[output])
            node("Reshape", [f"windows.{one.input[0]}.rows", rows], f"windows.{output}")
            moved.add(output)
        elif moved & {*one.input}:
            again = NodeProto()
            again.CopyFrom(one)
            again.name = again.output[0] = f"windows.{output}"
            again.input[:] = [f"windows.{name}" if name in moved else name for name in one.input]
            nodes.append(again)
            moved.add(output)
    unit = node("LpNormalization", ["windows.vector"], "windows.unit", axis=1, p=2)
    node("Reshape", [unit, shape("windows.shape", -1, across**2, DIM)], _OUTPUT)
    said = helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, ["n", across**2, DIM])
    added = onnx.ModelProto()
    added.graph.node.extend(nodes)
    added.graph.initializer.extend(weights)
    added.graph.output.append(said)
    return added


def main() -> int:
    """0, once the entry is in the registry: that of --of, with windows; one of another minor version is refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=_MODELS)
    parser.add_argument("--of", default="1.2.0", help="version whose image tower gets them")
    parser.add_argument("--version", default="1.2.1", help="of the new entry, a patch of the other")
    said = parser.parse_args()
    model = load_model(said.models, f"{NAME}@{said.of}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(model.folder, folder, dirs_exist_ok=True)
        tower = (folder / IMAGE_FILE).read_bytes()
        added = windows_of(onnx.load_from_string(tower)).SerializeToString()
        checker.check_model(onnx.load_from_string(tower + added))
        (folder / FILE).write_bytes(added)
        card = (folder / CARD_FILE).read_text().replace(f"# {NAME} {said.of}", f"# {NAME} {said.version}", 1)
        (folder / CARD_FILE).write_text(card.replace("| `text.onnx`", f"{_ROW}\n| `text.onnx`", 1))
        manifest = _with_windows(model.manifest, folder, said.version)
        entry = register(said.models, manifest, {file: folder / file for file in manifest.files})
    print(f"{manifest.reference} is in {entry.folder}")
    return 0


def _with_windows(of: Manifest, folder: Path, version: str) -> Manifest:
    files = {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in (*of.files, FILE)}
    windows = WindowsOutput(file=FILE, output=_OUTPUT, grid=GRID, window=WINDOW)
    return of.model_copy(update={"version": version, "files": files, "windows": windows})


if __name__ == "__main__":
    sys.exit(main())
