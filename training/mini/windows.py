"""What is added to an exported image tower so that it has a second output, `windows`: vectors of a picture's parts.

Nothing is trained and no byte of the tower changes. Every mean over the whole map is taken over each window of it too,
and the head's nodes stand there once more for those. The file has these nodes alone: a protobuf message behind another
is one message, so that the tower's bytes and this file's are a graph with both outputs.
"""

from typing import Any, Final

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from training.mini.backbone import FEATURES
from training.mini.description import SHADES

OUTPUT: Final = "windows"
GRID: Final = 7
"""Places a side of the backbone's last feature map."""
WINDOW: Final = 4
"""Of them a window's side: 0.57 of the picture's, where the parts that are embedded one by one have 0.6."""
_CHANNELS: Final = {"pooled": FEATURES, "shares": SHADES}
_SIDES: Final = {"pooled4": GRID, "shares4": 28}
"""Of the maps whose means the head is given: the features, and which colours a patch belongs to."""


def windows_of(image: onnx.ModelProto) -> onnx.ModelProto:
    """What follows the bytes of a tower of `image_model`: output `windows`, float32[n, 16, dim], L2-normalised."""
    across = GRID - WINDOW + 1
    dim = image.graph.output[0].type.tensor_type.shape.dim[1].dim_value
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
    node("Reshape", [unit, shape("windows.shape", -1, across**2, dim)], OUTPUT)
    said = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", across**2, dim])
    added = onnx.ModelProto()
    added.graph.node.extend(nodes)
    added.graph.initializer.extend(weights)
    added.graph.output.append(said)
    return added
