"""The image tower as an ONNX graph, written node by node: weights as float16, computed in float32."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from training.mini.backbone import Block, FoldedConv, Lite0

OPSET = 17
IR_VERSION = 8


@dataclass(frozen=True, slots=True)
class Coarse:
    """A weight as int8[inputs, outputs] with a scale an output, float32[1, outputs]."""

    codes: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float32]

    @classmethod
    def of(cls, values: npt.NDArray[np.float32]) -> "Coarse":
        scale = np.maximum(np.abs(values).max(axis=0, keepdims=True), 1e-8) / 127
        return cls(np.round(values / scale).astype(np.int8), scale.astype(np.float32))

    def values(self) -> npt.NDArray[np.float32]:
        return self.codes * self.scale


@dataclass(slots=True)
class Graph:
    """Nodes and weights gathered so far. half: weights are stored as float16 and cast when the graph is loaded."""

    half: bool
    nodes: list[NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: npt.NDArray[np.generic]) -> str:
        """An initializer as it is."""
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def weight(self, name: str, values: npt.NDArray[np.float32]) -> str:
        """A float32 weight; as float16 with a Cast where the graph is half and the rounding is worth its bytes."""
        if not self.half or values.size < 1024:
            return self.constant(name, values.astype(np.float32))
        stored = self.constant(f"{name}.half", values.astype(np.float16))
        return self.node("Cast", [stored], name, to=TensorProto.FLOAT)

    def coarse_weight(self, name: str, coarse: Coarse) -> str:
        """A float32 weight of a quarter of its bytes."""
        codes = self.constant(f"{name}.codes", coarse.codes)
        wide = self.node("Cast", [codes], f"{name}.wide", to=TensorProto.FLOAT)
        return self.node("Mul", [wide, self.constant(f"{name}.scale", coarse.scale)], name)

    def conv(self, x: str, conv: FoldedConv) -> str:
        layer = conv.layer
        before, after = layer.pads()
        inputs = [x, self.weight(f"{layer.name}.w", conv.weight.detach().numpy())]
        inputs.append(self.weight(f"{layer.name}.b", conv.bias.detach().numpy()))
        pads = [before, before, after, after]
        strides = [layer.stride, layer.stride]
        made = self.node("Conv", inputs, layer.name, pads=pads, strides=strides, group=layer.groups)
        return self.node("Clip", [made, "zero", "six"], f"{layer.name}.relu6") if layer.clipped else made

    def backbone(self, x: str, network: Lite0) -> str:
        """The name of its pooled features, float32[n, 1280]."""
        self.constant("zero", np.array(0, np.float32))
        self.constant("six", np.array(6, np.float32))
        x = self.conv(x, network.stem)
        for number, block in enumerate(network.blocks):
            assert isinstance(block, Block)
            made = x
            for conv in block.convs:
                assert isinstance(conv, FoldedConv)
                made = self.conv(made, conv)
            x = self.node("Add", [made, x], f"block{number}.sum") if block.skip else made
        self.node("GlobalAveragePool", [self.conv(x, network.top)], "pooled4")
        return self.node("Flatten", ["pooled4"], "pooled")

    def model(
        self, name: str, inputs: dict[str, tuple[int, list[str | int]]], outputs: dict[str, list[str | int]]
    ) -> ModelProto:
        """Checked. inputs: element type and shape; outputs: shape, all float32."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(key, kind, shape) for key, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()],
            self.weights,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="omma")
        made.ir_version = IR_VERSION
        checker.check_model(made)
        return made
