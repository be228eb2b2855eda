"""The curves of a run as one picture."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def plot_run(rows: list[dict[str, Any]], path: Path, title: str) -> None:
    """Loss, share of partners found, and held-out mAP, of a metrics file's rows, as PNG. Blocks."""
    steps = [row for row in rows if "loss" in row]
    epochs = [row for row in rows if "map_head" in row]
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    loss, found, quality = figure.subplots(1, 3)
    loss.plot([row["step"] for row in steps], [row["loss"] for row in steps], linewidth=0.8)
    loss.set(title="Loss", xlabel="step")
    found.plot([row["step"] for row in steps], [row["found"] for row in steps], linewidth=0.8)
    found.set(title="Partner found first", xlabel="step", ylim=(0, 1))
    for name, label in (("map_features", "pooled features"), ("map_head", "256-d head")):
        quality.plot([row["epoch"] for row in epochs], [row[name] for row in epochs], marker="o", label=label)
    quality.set(title="mAP, held-out photographs", xlabel="epochs")
    if epochs:
        quality.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
