"""Triton's model repository of a registry entry: a folder a tower, with its configuration."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, Literal, TypeAlias

from services.egs.client import Urgency
from services.egs.manifest import Manifest
from services.egs.registry import Model
from services.egs.triton.naming import SIGNATURE, VERSION, outputs_of, triton_name

Platform: TypeAlias = Literal["onnxruntime", "tensorrt", "python"]
Kind: TypeAlias = Literal["image", "text"]

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
    kinds: list[Kind] = ["image"] if model.manifest.text is None else ["image", "text"]
    return [_write_tower(model, kind, folder, serving) for kind in kinds]


def config_pbtxt(manifest: Manifest, kind: Kind, serving: Serving) -> str:
    """The configuration of one tower (https://github.com/triton-inference-server/common, model_config.proto). Pure."""
    tower = manifest.image if kind == "image" else manifest.text
    if tower is None:
        raise ValueError(f"{manifest.reference} has no {kind} tower")
    size = manifest.preprocessing.size
    datatype, dims = ("TYPE_FP32", [3, size, size])
    if manifest.text is not None and kind == "text":
        datatype, dims = "TYPE_INT64", [manifest.text.max_tokens]
    on_gpu = serving.platform != "python"
    if kind == "image" and not on_gpu:
        datatype, dims = "TYPE_UINT8", [size, size, 3]
    preferred = [batch for batch in (4, 8, 16, 32, 64, 128) if batch <= serving.max_batch]
    parameters = {SIGNATURE: manifest.signature()}
    if serving.platform == "python":
        parameters |= {
            "file": tower.file,
            "sha256": manifest.files[tower.file],
            "input": tower.input,
            "outputs": " ".join(outputs_of(manifest, kind)),
        }
        if kind == "image":
            parameters |= {name: json.dumps(getattr(manifest.preprocessing, name)) for name in ("mean", "std")}
    lines = [
        f"name: {_quoted(triton_name(manifest, kind))}",
        f"backend: {_quoted(_BACKEND[serving.platform])}",
        f"default_model_filename: {_quoted(tower.file if on_gpu else 'model.py')}",
        f"max_batch_size: {serving.max_batch}",
        f"input {{ name: {_quoted(tower.input)} data_type: {datatype} dims: {dims} }}",
        *(_output(name, size, scalar=name != tower.output) for name, size in outputs_of(manifest, kind).items()),
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
    manifest = model.manifest
    tower = manifest.image if kind == "image" else manifest.text
    assert tower is not None
    target = folder / triton_name(manifest, kind)
    partial = Path(mkdtemp(prefix=".partial-", dir=folder))
    try:
        version = partial / VERSION
        version.mkdir()
        # Weights that do not fit one ONNX file lie beside it under its name.
        for file in manifest.files:
            if file == tower.file or file.startswith(f"{tower.file}."):
                shutil.copyfile(model.path(file), version / file)
        if serving.platform == "python":
            shutil.copyfile(_PYTHON_MODEL, version / "model.py")
        (partial / "config.pbtxt").write_text(config_pbtxt(manifest, kind, serving))
        partial.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _output(name: str, size: int, *, scalar: bool) -> str:
    """scalar: the graph gives [n], which Triton knows only as [n, 1]."""
    reshape = " reshape: { shape: [] }" if scalar else ""
    return f"output {{ name: {_quoted(name)} data_type: TYPE_FP32 dims: [{size}]{reshape} }}"


def _quoted(text: str) -> str:
    return json.dumps(text)
