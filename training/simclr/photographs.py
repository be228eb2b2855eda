"""The photographs of a run, ready in memory: those to train on, those to measure on, and what is known of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from omma.vectors import Int64
from services.egs.manifest import Preprocessing
from training.simclr.batches import seed_of
from training.simclr.distributed import Ranks
from training.simclr.labels import label_numbers
from training.simclr.options import Options
from training.simclr.pairs import Pairs, no_pairs, read_pairs
from training.simclr.pictures import Decoded, Folder, decoded, find
from training.simclr.progress import Progress

_CACHE_MARGIN: Final = 1.25
"""Pictures are kept a quarter larger than a view, so that most crops are not blown up."""
_MEASURED: Final = 5000


@dataclass(frozen=True, slots=True)
class Photographs:
    """train: a quarter larger than a view. measured: as the model is served them. labels: a number a measured one, None
    when nothing tells them apart."""

    train: Decoded
    measured: Decoded
    labels: list[int] | None
    pairs: Pairs

    @property
    def skipped(self) -> dict[str, str]:
        return self.train.skipped | self.measured.skipped

    def deciding(self) -> dict[str, Any]:
        """What of them decides a run, as JSON values."""
        return {"trained_on": len(self.train.names), "pairs": self.pairs.counts}


def load_photographs(
    options: Options, how: Preprocessing, cache: Path, ranks: Ranks, progress: Progress
) -> Photographs:
    """Decode, or map what an earlier run or the leading rank has decoded into the folder `cache`. Blocks.

    Raises Absent and InvalidQuery as its parts do.
    """
    folder = find(options.data_root, options.held_out)
    measured = _drawn(folder, options.seed)
    larger = how.model_copy(update={"size": round(_CACHE_MARGIN * options.train_size)})
    if not ranks.leads:
        ranks.wait()
    with progress.bar("Decoding", len(folder.train) + len(measured)) as advance:
        train = decoded(folder.root, folder.train, larger, cache / "train.rows", lambda count: advance(count, ""))
        held = decoded(folder.root, measured, how, cache / "held-out.rows", lambda count: advance(count, ""))
    if ranks.leads:
        ranks.wait()
    pairs = no_pairs(len(train.names)) if options.pairs is None else read_pairs(options.pairs, train.names)
    return Photographs(train, held, label_numbers(held.names, options.labels), pairs)


def _drawn(folder: Folder, seed: int) -> list[str]:
    """At most _MEASURED of those held out: ranking costs their number squared."""
    if len(folder.held_out) <= _MEASURED:
        return list(folder.held_out)
    rng = np.random.default_rng(seed_of(seed, 3))
    rows: Int64 = np.sort(rng.choice(len(folder.held_out), _MEASURED, replace=False))
    return [folder.held_out[row] for row in rows]
