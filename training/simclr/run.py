"""A run from photographs to a registered model: composes the parts, and goes on where an earlier one was cut off."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from omma.errors import InvalidQuery
from services.egs.manifest import Preprocessing
from training.simclr.augment import Augmentation
from training.simclr.backbones import Backbone, build
from training.simclr.batches import Sampler, Views, seed_of
from training.simclr.checkpoint import Checkpoint, load, save
from training.simclr.distributed import Ranks
from training.simclr.embedder import Embedder, start_at_components
from training.simclr.export import FILE, Agreement, compared, registered, write_onnx
from training.simclr.measuring import Comparison, Embedded, average_precisions, comparisons, embed
from training.simclr.metrics import MetricsFile, read_metrics
from training.simclr.options import Options
from training.simclr.photographs import Photographs, load_photographs
from training.simclr.pictures import UInt8
from training.simclr.plots import plot_run
from training.simclr.precision import chosen
from training.simclr.progress import Progress
from training.simclr.report import write_report
from training.simclr.trainer import Trainer
from training.trained_on import write_trained_on

CHECKPOINT: Final = "checkpoint.pt"
METRICS: Final = "metrics.jsonl"
REPORT: Final = "report.md"
CURVES: Final = "curves.png"
_SOME: Final = 2000


@dataclass(frozen=True, slots=True)
class Result:
    """reference: `name@version` of what was registered. found: empty without labels."""

    reference: str
    run_dir: Path
    agreement: Agreement
    found: list[Comparison]


def run(
    options: Options, ranks: Ranks, progress: Progress, clock: Callable[[], float] = time.monotonic
) -> Result | None:
    """Train to the end, measure, export and register; None on the ranks that do not lead. Blocks.

    clock: seconds, when a checkpoint is due. Raises OmmaError, with the option as field.
    """
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    backbone = build(options.backbone, options.weights)
    for side in (options.size, options.train_size):
        backbone.check_side(side)
    options.run_dir.mkdir(parents=True, exist_ok=True)
    how = Preprocessing(size=options.size, mean=backbone.mean, std=backbone.std)
    photographs = load_photographs(options, how, options.run_dir / "decoded", ranks, progress)
    if photographs.skipped:
        progress.say(f"{len(photographs.skipped):,} unreadable photographs are skipped; {REPORT} names them.")

    training = _Training(
        options,
        run_dir=options.run_dir,
        backbone=backbone,
        photographs=photographs,
        ranks=ranks,
        progress=progress,
        clock=clock,
    )
    training.measure_start()
    training.go()
    if not ranks.leads:
        return None
    return training.finish(how)


class _Training:
    """What the stages of a run share."""

    def __init__(
        self,
        options: Options,
        *,
        run_dir: Path,
        backbone: Backbone,
        photographs: Photographs,
        ranks: Ranks,
        progress: Progress,
        clock: Callable[[], float],
    ) -> None:
        self._options, self._run_dir, self._backbone, self._photographs = options, run_dir, backbone, photographs
        self._ranks, self._progress, self._clock = ranks, progress, clock
        self._settings = options.deciding() | photographs.deciding()
        self._found = load(run_dir / CHECKPOINT, self._settings)
        self._model = Embedder(backbone, options.head).to(ranks.device)
        augmentation = Augmentation(options.train_size, options.least_area)
        self._views = Views(photographs.train.pixels, augmentation, backbone.mean, backbone.std, ranks.device)
        sampler = _sampler(options, photographs, ranks)
        precision = chosen(options.precision, ranks.device)
        self._trainer = Trainer(
            options,
            backbone=backbone,
            model=self._model,
            sampler=sampler,
            views=self._views,
            ranks=ranks,
            precision=precision,
        )
        self._steps_an_epoch = sampler.steps
        self._measured: Embedded | None = None

    def measure_start(self) -> None:
        """Let a linear head start at the components, and keep what the untrained model makes of the photographs."""
        if not self._ranks.leads or (self._found is not None and self._before_path.exists()):
            return
        if isinstance(self._model.head, nn.Linear):
            start_at_components(self._model.head, torch.from_numpy(self._some_features()).to(self._ranks.device))
        before = self._measured_pictures("Measuring the start")
        partial = self._before_path.with_suffix(".part.npz")
        np.savez(partial, features=before.features, embeddings=before.embeddings)
        partial.replace(self._before_path)

    def go(self) -> None:
        """Every step that is not in the checkpoint. Blocks."""
        start = 0
        if self._found is not None:
            start = self._found.step
            self._trainer.restore(self._found.state)
            self._progress.say(f"Goes on after step {start} of {self._trainer.total_steps}.")
        metrics = None
        if self._ranks.leads:
            metrics = MetricsFile(self._run_dir / METRICS, self._found.metrics_bytes if self._found else 0)
            if self._found is None:
                self._measure_epoch(metrics, 0, np.load(self._before_path))
        saved_at = self._clock()
        epoch_began = self._clock()
        with self._progress.bar("Training", self._trainer.total_steps, start) as advance:
            for number in range(start, self._trainer.total_steps):
                epoch, place = divmod(number, self._steps_an_epoch)
                if place == 0 or number == start:
                    self._trainer.begin_epoch(epoch)
                    epoch_began = self._clock()
                step = self._trainer.step(number)
                advance(1, f"loss {step.loss:.3f}")
                if metrics is None:
                    continue
                row = {"step": number + 1, "epoch": epoch, "loss": step.loss, "found": step.found, "rate": step.rate}
                metrics.append(row)
                if place + 1 == self._steps_an_epoch:
                    seconds = self._clock() - epoch_began
                    said = self._measure_epoch(metrics, epoch + 1, None)
                    self._progress.say(
                        f"epoch {epoch + 1}/{self._options.epochs}  loss {step.loss:.3f}  {said}  {seconds:.0f} s"
                    )
                elif self._clock() - saved_at < self._options.checkpoint_seconds:
                    continue
                self._save(number + 1, metrics)
                saved_at = self._clock()
        if metrics is not None:
            metrics.close()

    def finish(self, how: Preprocessing) -> Result:
        """Measure, export, compare, register, report."""
        options, photographs = self._options, self._photographs
        after = self._measured or self._measured_pictures("Measuring")
        before = Embedded(**np.load(self._before_path))
        found = [] if photographs.labels is None else comparisons(before, after, photographs.labels)
        path = self._run_dir / FILE
        layer = options.export_layer
        trained = self._embedded("Telling what it was trained on", self._some_pixels())
        trained_on = write_trained_on(trained.embeddings if layer == "head" else trained.features, self._run_dir)
        write_onnx(self._model, layer, how.size, path)
        expected = after.embeddings if layer == "head" else after.features
        agreement = compared(path, photographs.measured.pixels, how, expected)
        entry = registered(
            options.registry,
            path,
            trained_on,
            name=options.name,
            version=options.version,
            dim=expected.shape[1],
            how=how,
            licence=self._backbone.licence,
            origin=f"SimCLR on {len(photographs.train.names):,} photographs of {options.data_root.resolve().name}, "
            f"{options.epochs} epochs, from {self._backbone.origin}",
        )
        reference = entry.manifest.reference
        plot_run(read_metrics(self._run_dir / METRICS), self._run_dir / CURVES, reference)
        write_report(
            self._run_dir / REPORT,
            options,
            reference=reference,
            trained_on=len(photographs.train.names),
            measured_on=len(photographs.measured.names),
            skipped=photographs.skipped,
            agreement=agreement,
            found=found,
        )
        return Result(reference, self._run_dir, agreement, found)

    @property
    def _before_path(self) -> Path:
        return self._run_dir / "before.npz"

    def _some_features(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Of photographs to train on, as large as a view."""
        pixels = _reduced(self._some_pixels(), self._options.train_size)
        return self._embedded("Principal components", pixels).features

    def _some_pixels(self) -> UInt8:
        """Of photographs to train on, at most _SOME."""
        pixels = self._photographs.train.pixels
        rng = np.random.default_rng(seed_of(self._options.seed, 4))
        return pixels[np.sort(rng.permutation(len(pixels))[:_SOME])]

    def _measured_pictures(self, title: str) -> Embedded:
        return self._embedded(title, self._photographs.measured.pixels)

    def _embedded(self, title: str, pixels: UInt8) -> Embedded:
        with self._progress.bar(title, len(pixels)) as advance:
            return embed(self._model, self._views, pixels, lambda count: advance(count, ""))

    def _measure_epoch(self, metrics: MetricsFile, epoch: int, known: Any) -> str:
        """A row of quality after so many epochs; the words to say it with."""
        labels = self._photographs.labels
        if labels is None:
            return ""
        self._measured = made = self._measured_pictures("Measuring") if known is None else Embedded(**known)
        row = {
            "epoch": epoch,
            "map_features": float(average_precisions(made.features, labels).mean()),
            "map_head": float(average_precisions(made.embeddings, labels).mean()),
        }
        metrics.append(row)
        return f"mAP {row['map_features']:.4f} pooled, {row['map_head']:.4f} head"

    def _save(self, step: int, metrics: MetricsFile) -> None:
        saved = Checkpoint(step, self._settings, metrics.durable_offset(), self._trainer.state())
        save(self._run_dir / CHECKPOINT, saved)


def _sampler(options: Options, photographs: Photographs, ranks: Ranks) -> Sampler:
    """Batches as large as asked for, or as there are photographs. Raises InvalidQuery, field `batch_size`."""
    count = len(photographs.train.names)
    size = min(options.batch_size, count) // ranks.size * ranks.size
    if size < 2:
        raise InvalidQuery(f"{count} photographs on {ranks.size} ranks make no batch.", field="batch_size")
    return Sampler(count, size, options.seed, photographs.pairs, options.pair_share)


def _reduced(pixels: UInt8, side: int) -> UInt8:
    planes = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
    small = functional.interpolate(planes, size=(side, side), mode="bilinear", antialias=True)
    made: UInt8 = small.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return made
