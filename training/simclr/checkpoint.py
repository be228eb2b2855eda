"""A run's state on disk, whole or not at all."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from omma.errors import Corrupt, WrongState


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """step: how many steps are in it. settings: what decides the result, to compare with. metrics_bytes: of the
    metrics file that belong to it. state: tensors of the model, the optimiser and the scaler."""

    step: int
    settings: dict[str, Any]
    metrics_bytes: int
    state: dict[str, Any]


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint at path; a crash leaves the old one. Blocks until it is on disk."""
    partial = path.with_suffix(".part")
    with partial.open("wb") as out:
        torch.save(
            {
                "step": checkpoint.step,
                "settings": checkpoint.settings,
                "metrics_bytes": checkpoint.metrics_bytes,
                "state": checkpoint.state,
            },
            out,
        )
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load(path: Path, settings: dict[str, Any]) -> Checkpoint | None:
    """The checkpoint of a run with these settings, on the CPU; None when there is none. Blocks.

    Raises WrongState, field `run_dir`, naming the settings that differ; Corrupt for a damaged file.
    """
    if not path.exists():
        return None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        made = Checkpoint(**found)
    except Exception as error:  # torch raises nearly anything for bytes that are no checkpoint
        raise Corrupt(f"{path} is no checkpoint ({error}): remove it to start over.") from error
    names = sorted(settings.keys() | made.settings.keys())
    unlike = [name for name in names if made.settings.get(name) != settings.get(name)]
    if unlike:
        said = ", ".join(f"{name} {made.settings.get(name)!r}" for name in unlike)
        raise WrongState(
            f"The run in {path.parent} was started with {said}: say the same, or another --run_dir.", field="run_dir"
        )
    return made
