"""Mixed precision: what a device computes fast, with the scaling that float16 needs."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch

from omma.errors import InvalidQuery

PrecisionName: TypeAlias = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True, slots=True)
class Precision:
    """dtype: of autocast; None computes in float32. scaler: passes everything through unless dtype is float16."""

    dtype: torch.dtype | None
    device: torch.device
    scaler: torch.amp.GradScaler

    def autocast(self) -> AbstractContextManager[object]:
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)


def chosen(name: PrecisionName, device: torch.device) -> Precision:
    """auto: bfloat16 on a GPU that has it, else float16; float32 on a CPU, where bfloat16 is slow without AMX.

    Raises InvalidQuery, field `precision`, for float16 on a CPU.
    """
    if name == "fp16" and device.type != "cuda":
        raise InvalidQuery("fp16 needs a GPU; on a CPU use fp32 or bf16.", field="precision")
    if name == "auto":
        name = "fp32" if device.type != "cuda" else "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    dtype = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[name]
    return Precision(dtype, device, torch.amp.GradScaler(device.type, enabled=dtype is torch.float16))
