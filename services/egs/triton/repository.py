"""Triton's model repository of a registry entry: a folder a tower, with its configuration."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, Literal, TypeAlias

from services.egs.client import Urgency
from services.egs.manifest import ImageTower, Manifest, TextTower
from services.egs.registry import Model
from services.egs.triton.naming import SIGNATURE, VERSION, Kind, kinds_of, outputs_of, signature_of, triton_name

Platform: TypeAlias = Literal["onnxruntime", "tensorrt", "python"]

_BACKEND: Final[Mapping[Platform, str]] = {"onnxruntime": "onnxruntime", "tensorrt": "onnxruntime", "python": "python"}
_TENSORRT: Final = """optimization {
  execution_accelerators {
    gpu_execution_accelerator {
      name: "tensorrt"
      parameters { key: "precision_mode" value: "FP16" }
      parameters { key: "max_workspace_size_bytes" value: "2147483648" }
      parameters { key: "trt_engine_cache_enable" value: "true" }
      parameters { key: "trt_engine_cache_path" value: "/tmp/omma-tensorrt" }
    }
  }
}
"""
_PYTHON_MODEL: Final = Path(__file__).with_name("python_model.py")


@dataclass(frozen=True, slots=True)
class Serving:
    """How Triton runs a tower.

    platform: onnxruntime on GPUs; tensorrt is the same with TensorRT engines in float16, built when Triton loads it;
    python runs ONNX Runtime in Triton's Python backend, for a machine with CPUs only, and takes a picture's bytes where
    the others take floats. instances: of each tower, on each
    GPU. delay_microseconds: to wait for more of a batch. max_queued: requests that wait; one more is refused.
    """

    platform: Platform = "onnxruntime"
    instances: int = 1
    max_batch: int = 32
    delay_microseconds: int = 500
    max_queued: int = 512


def write_repository(model: Model, folder: Path, serving: Serving) -> list[Path]:
    """One folder a tower, each replaced whole; other models in the folder stay. Returns them. Blocks."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_write_tower(model, kind, folder, serving) for kind in kinds_of(model.manifest)]


def config_pbtxt(manifest: Manifest, kind: Kind, serving: Serving, sha256: str) -> str:
    """The configuration of one tower (https://github.com/triton-inference-server/common, model_config.proto). Pure.

    sha256: of its graph.
    """
    tower = _tower(manifest, kind)
    file = _graph_file(manifest, kind)
    size = manifest.preprocessing.size
    on_gpu = serving.platform != "python"
    if kind == "text" and manifest.text is not None:
        datatype, dims = "TYPE_INT64", [manifest.text.max_tokens]
    elif on_gpu:
        datatype, dims = "TYPE_FP32", [3, size, size]
    else:
        datatype, dims = "TYPE_UINT8", [size, size, 3]
    preferred = [batch for batch in (4, 8, 16, 32, 64, 128) if batch <= serving.max_batch]
    parameters = {SIGNATURE: signature_of(manifest, kind)}
    if not on_gpu:
        parameters |= {
            "file": file,
            "sha256": sha256,
            "input": tower.input,
            "outputs": " ".join(outputs_of(manifest, kind)),
        }
        if kind != "text":
            parameters |= {name: json.dumps(getattr(manifest.preprocessing, name)) for name in ("mean", "std")}
    lines = [
        f"name: {_quoted(triton_name(manifest, kind))}",
        f"backend: {_quoted(_BACKEND[serving.platform])}",
        f"default_model_filename: {_quoted(file if on_gpu else 'model.py')}",
        f"max_batch_size: {serving.max_batch}",
        f"input {{ name: {_quoted(tower.input)} data_type: {datatype} dims: {dims} }}",
        *(_output(name, shape) for name, shape in outputs_of(manifest, kind).items()),
        f"instance_group {{ count: {serving.instances} kind: {'KIND_GPU' if on_gpu else 'KIND_CPU'} }}",
        "dynamic_batching {",
        *([f"  preferred_batch_size: {preferred}"] if on_gpu and preferred else []),
        f"  max_queue_delay_microseconds: {serving.delay_microseconds if on_gpu else 0}",
        f"  priority_levels: {len(Urgency)}",
        f"  default_priority_level: {Urgency.SEARCH.value}",
        "  default_queue_policy {",
        "    timeout_action: REJECT",
        "    allow_timeout_override: true",
        f"    max_queue_size: {serving.max_queued}",
        "  }",
        "}",
        *(
            f"parameters {{ key: {_quoted(key)} value: {{ string_value: {_quoted(value)} }} }}"
            for key, value in parameters.items()
        ),
        "model_warmup {",
        '  name: "one"',
        "  batch_size: 1",
        f"  inputs {{ key: {_quoted(tower.input)} value: {{ data_type: {datatype} dims: {dims} zero_data: true }} }}",
        "}",
    ]
    return "\n".join(lines) + "\n" + (_TENSORRT if serving.platform == "tensorrt" else "")


def _write_tower(model: Model, kind: Kind, folder: Path, serving: Serving) -> Path:
    target = folder / triton_name(model.manifest, kind)
    partial = Path(mkdtemp(prefix=".partial-", dir=folder))
    try:
        version = partial / VERSION
        version.mkdir()
        sha256 = _write_graph(model, kind, version)
        if serving.platform == "python":
            shutil.copyfile(_PYTHON_MODEL, version / "model.py")
        (partial / "config.pbtxt").write_text(config_pbtxt(model.manifest, kind, serving, sha256))
        partial.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _write_graph(model: Model, kind: Kind, version: Path) -> str:
    """Its sha256. Weights that do not fit one ONNX file lie beside it under the tower's name."""
    manifest, tower, graph = model.manifest, _tower(model.manifest, kind).file, _graph_file(model.manifest, kind)
    for file in manifest.files:
        if file.startswith(f"{tower}."):
            shutil.copyfile(model.path(file), version / file)
    if graph == tower:
        shutil.copyfile(model.path(tower), version / tower)
        return manifest.files[tower]
    content = model.path(tower).read_bytes() + model.path(graph).read_bytes()
    (version / graph).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _graph_file(manifest: Manifest, kind: Kind) -> str:
    """Of windows the nodes' own, with the bytes of the image tower before them."""
    if kind == "windows" and manifest.windows is not None:
        return manifest.windows.file
    return _tower(manifest, kind).file


def _tower(manifest: Manifest, kind: Kind) -> ImageTower | TextTower:
    tower = manifest.text if kind == "text" else manifest.image
    assert tower is not None
    return tower


def _output(name: str, shape: tuple[int, ...]) -> str:
    """Of a number a row the graph gives [n], which Triton knows only as [n, 1]."""
    dims, reshape = (list(shape), "") if shape else ([1], " reshape: { shape: [] }")
    return f"output {{ name: {_quoted(name)} data_type: TYPE_FP32 dims: {dims}{reshape} }}"


def _quoted(text: str) -> str:
    return json.dumps(text)
