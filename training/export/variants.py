"""The same tower with smaller weights. What that costs is measured, never assumed: training/export/drift.py."""

from pathlib import Path
from typing import Literal, TypeAlias

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

Precision: TypeAlias = Literal["fp32", "fp16", "int8"]


def write_variant(path: Path, precision: Precision) -> None:
    """Replace the ONNX file by one of that precision; input and output keep their types. Blocks.

    fp16: weights and every step between, for GPUs; a CPU computes in float32 all the same.
    int8: weights of matrix products, a scale a column; activations are scaled as they come.
    A convolution stays float32 in both: as the first step of a transformer it is small, and all that follows would see
    its error; in float16 it also cost a CPU 19 ms of 127.
    """
    part = path.with_name(f"{path.name}.part")
    if precision == "fp16":
        small = convert_float_to_float16(
            onnx.load(path),
            keep_io_types=True,
            disable_shape_infer=True,
            op_block_list=[*DEFAULT_OP_BLOCK_LIST, "Conv"],
        )
        onnx.save(small, part)
    elif precision == "int8":
        quantize_dynamic(
            path,
            part,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            reduce_range=True,  # seven bits: with eight, two products overflow 16 bits on x86 without VNNI
        )
    else:
        return
    path.with_name(f"{path.name}.data").unlink(missing_ok=True)
    part.replace(path)
