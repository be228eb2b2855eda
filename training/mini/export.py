"""Both towers as ONNX files, the tokenizer beside them, in a folder that becomes a registry entry."""

import hashlib
import shutil
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto
from tokenizers import Tokenizer
from torch import Tensor

from services.egs.manifest import ImageTower, Manifest, Preprocessing, TextTower, WindowsOutput
from training import trained_on
from training.mini.backbone import MEAN, STD, Lite0
from training.mini.description import description_node
from training.mini.features import SIDE
from training.mini.graph import Graph
from training.mini.head import TAUGHT_DIM, Head
from training.mini.mixed import DIM, SEEN, joined, linear_node, mixed_node
from training.mini.tokens import MAX_TOKENS, save
from training.mini.windows import GRID, OUTPUT, WINDOW, windows_of
from training.mini.word_tower import WordTower

NAME: Final = "omma-mini"
IMAGE_FILE: Final = "image.onnx"
TEXT_FILE: Final = "text.onnx"
TOKENIZER_FILE: Final = "tokenizer.json"
WINDOWS_FILE: Final = "windows.onnx"
"""Nodes alone: what follows the bytes of the image tower."""
CARD_FILE: Final = "MODEL_CARD.md"


def image_model(network: Lite0, head: Head) -> onnx.ModelProto:
    """`pixels` float32[n, 3, 224, 224] to `vector` float32[n, dim], not normalised; weights as float16. head: of
    descriptions, or of what is `seen`: then as int8.
    """
    graph = Graph(half=True)
    description = description_node(graph, network, "pixels")
    if head.linear.in_features == SEEN:
        mixed_node(graph, head, description)
    else:
        linear_node(graph, "head", head, description, "vector")
    return graph.model(
        NAME, {"pixels": (TensorProto.FLOAT, ["n", 3, SIDE, SIDE])}, {"vector": ["n", head.linear.out_features]}
    )


def text_model(tower: WordTower) -> onnx.ModelProto:
    """`tokens` int64[n, 16] to `vector` float32[n, 256] and `confidence` float32[n].

    Embeddings are stored as int8 with a scale a row, which halves the file; other weights as float16.
    """
    graph = Graph(half=True)
    table = _numbers(tower.embedding.weight)
    scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-8) / 127
    graph.constant("table", np.round(table / scale).astype(np.int8))
    graph.constant("scale", scale.astype(np.float32))
    graph.constant("nothing", np.array(0, np.int64))
    graph.constant("axis2", np.array([2], np.int64))
    graph.constant("axis1", np.array([1], np.int64))
    graph.constant("one", np.array(1, np.float32))
    graph.constant("far", np.array(1e4, np.float32))

    graph.node("Greater", ["tokens", "nothing"], "is_there")
    graph.node("Cast", ["is_there"], "there2", to=TensorProto.FLOAT)
    graph.node("Unsqueeze", ["there2", "axis2"], "there")
    graph.node("Gather", ["table", "tokens"], "codes", axis=0)
    graph.node("Cast", ["codes"], "wide_codes", to=TensorProto.FLOAT)
    graph.node("Gather", ["scale", "tokens"], "scales", axis=0)
    graph.node("Mul", ["wide_codes", "scales"], "rows")
    graph.node("Mul", ["rows", "there"], "embedded")
    graph.node("Transpose", ["embedded"], "columns", perm=[0, 2, 1])
    for name, conv, given in (("near", tower.near, "columns"), ("back", tower.back, "near.relu")):
        names = [graph.weight(f"{name}.w", _numbers(conv.weight)), graph.weight(f"{name}.b", _numbers(conv.bias))]
        graph.node("Conv", [given, *names], name, pads=[1, 1], kernel_shape=[3])
        if name == "near":
            graph.node("Relu", [name], "near.relu")
    graph.node("Transpose", ["back"], "context", perm=[0, 2, 1])
    graph.node("Add", ["embedded", "context"], "seen")

    graph.node("MatMul", ["seen", graph.weight("weigh.w", _numbers(tower.weigh.weight.T))], "weighed")
    graph.node("Sub", ["one", "there"], "absent")
    graph.node("Mul", ["absent", "far"], "pushed")
    graph.node("Sub", ["weighed", "pushed"], "kept")
    graph.node("Softmax", ["kept"], "share", axis=1)
    graph.node("Mul", ["share", "seen"], "shared")
    graph.node("ReduceSum", ["shared", "axis1"], "pooled", keepdims=0)

    layers = {
        "widen": tower.widen,
        "project": tower.project,
        "adjust": tower.adjust,
        "doubt": tower.doubt,
        "trust": tower.trust,
    }
    inputs = {"widen": "pooled", "project": "pooled", "adjust": "widen.relu", "doubt": "pooled", "trust": "doubt.relu"}
    for name, layer in layers.items():
        names = [graph.weight(f"{name}.w", _numbers(layer.weight.T)), graph.weight(f"{name}.b", _numbers(layer.bias))]
        graph.node("Gemm", [inputs[name], *names], name)
        if name in ("widen", "doubt"):
            graph.node("Relu", [name], f"{name}.relu")
    graph.node("Add", ["project", "adjust"], "vector")
    graph.node("Sigmoid", ["trust"], "trusted")
    graph.node("Squeeze", ["trusted", "axis1"], "confidence")
    return graph.model(
        f"{NAME}-text",
        {"tokens": (TensorProto.INT64, ["n", MAX_TOKENS])},
        {"vector": ["n", TAUGHT_DIM], "confidence": ["n"]},
    )


def write_taught(folder: Path, network: Lite0, head: Head, tower: WordTower, tokenizer: Tokenizer) -> None:
    """The three files that decide a vector, as labels taught them: what 1.1.0 was. Blocks."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(image_model(network, head), folder / IMAGE_FILE)
    onnx.save(text_model(tower), folder / TEXT_FILE)
    save(tokenizer, folder / TOKENIZER_FILE)


def write_mixed(folder: Path, network: Lite0, head: Head, into: Tensor, taught: Path) -> None:
    """The same three of the mixed head, and the windows of its image tower. taught: the folder of its taught part,
    whose words are kept. into: as `answering` makes it. Blocks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image = image_model(network, head)
    onnx.save(image, folder / IMAGE_FILE)
    added = windows_of(image).SerializeToString()
    onnx.checker.check_model(onnx.load_from_string((folder / IMAGE_FILE).read_bytes() + added))
    (folder / WINDOWS_FILE).write_bytes(added)
    onnx.save(joined(onnx.load(taught / TEXT_FILE), into), folder / TEXT_FILE)
    shutil.copyfile(taught / TOKENIZER_FILE, folder / TOKENIZER_FILE)


def manifest_of(folder: Path, version: str) -> Manifest:
    """Of the files in the folder, with their checksums."""
    files = [IMAGE_FILE, WINDOWS_FILE, TEXT_FILE, TOKENIZER_FILE, CARD_FILE, trained_on.FILE]
    return Manifest(
        name=NAME,
        version=version,
        dim=DIM,
        image=ImageTower(file=IMAGE_FILE, input="pixels", output="vector"),
        preprocessing=Preprocessing(
            size=SIDE, how="squash", resample="bilinear", mean=(MEAN, MEAN, MEAN), std=(STD, STD, STD)
        ),
        windows=WindowsOutput(file=WINDOWS_FILE, output=OUTPUT, grid=GRID, window=WINDOW),
        text=TextTower(
            file=TEXT_FILE,
            tokenizer=TOKENIZER_FILE,
            input="tokens",
            output="vector",
            max_tokens=MAX_TOKENS,
            confidence="confidence",
        ),
        files={name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
        documents=(CARD_FILE,),
        trained_on=trained_on.FILE,
        precision="fp16",
        licence="Apache-2.0",
        origin="EfficientNet-Lite0 (ImageNet-1k, Apache-2.0), head and text tower by training/train_mini.py",
    )


def _numbers(values: Tensor | None) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    assert values is not None  # a bias that this layer has
    return np.ascontiguousarray(values.detach().numpy(), np.float32)
