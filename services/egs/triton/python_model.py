"""A tower in Triton's Python backend: ONNX Runtime on the CPU. Triton loads this file; nothing in Omma imports it.

Triton has made a batch of what waited; it is run as one, and cut apart again.
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

# The backend starts Python without reading PYTHONPATH, and onnxruntime need not be the system's.
sys.path += [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as triton  # type: ignore[import-not-found]  # Triton brings it


class TritonPythonModel:
    """Named and shaped by Triton: https://github.com/triton-inference-server/python_backend."""

    def initialize(self, args: dict[str, str]) -> None:
        """Refuses a file that is not the registry entry's."""
        said = {key: one["string_value"] for key, one in json.loads(args["model_config"])["parameters"].items()}
        self._input, self._outputs = said["input"], said["outputs"].split()
        self._scale = [
            np.array(json.loads(said[name]), np.float32).reshape(1, 3, 1, 1) for name in ("mean", "std") if name in said
        ]
        path = Path(args["model_repository"]) / args["model_version"] / said["file"]
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != said["sha256"]:
            raise triton.TritonModelException(
                f"{path} has sha256 {found}, and the registry entry says {said['sha256']}"
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # as many instances as cores give the most pictures a second
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(
            str(path),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["MatmulTransposeFusion"],  # as in services/egs/tower.py
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """One response a request, in order."""
        # By DLPack both ways: the backend was built for NumPy 1 and takes the arrays of NumPy 2 for empty ones.
        parts = [np.from_dlpack(triton.get_input_tensor_by_name(one, self._input)) for one in requests]
        batch = parts[0] if len(parts) == 1 else np.concatenate(parts)
        try:
            made = self._session.run(self._outputs, {self._input: self._eaten(batch)})
        except Exception as error:  # noqa: BLE001 - onnxruntime's own classes have no common base below Exception
            fault = triton.TritonError(str(error))
            return [triton.InferenceResponse(error=fault) for _ in requests]
        ends = np.cumsum([len(part) for part in parts])[:-1]
        return [
            triton.InferenceResponse([triton.Tensor.from_dlpack(*one) for one in zip(self._outputs, cut, strict=True)])
            for cut in zip(*(np.split(rows, ends) for rows in made), strict=True)
        ]

    def _eaten(self, batch: Any) -> Any:
        """What the graph takes: of pictures uint8[n, size, size, 3] as services/egs/preprocess.py makes it, to the bit;
        words as they are.
        """
        if not self._scale:
            return batch
        mean, std = self._scale
        planes = np.ascontiguousarray(batch.transpose(0, 3, 1, 2), dtype=np.float32)
        planes -= mean
        planes /= std
        return planes
