"""The process that trains a codebook: niced, of its own, and gone with the shard that started it.

python -m services.nn_shard.training.process SAMPLE CODEBOOK FACTORY DIM PLANNED_ROWS THREADS
"""

import os
import sys
import threading
import time
from pathlib import Path

import faiss
import numpy as np

from omma.priority import lower_process
from services.nn_shard.training.fitting import train_codebook

_ORPHANED = 3


def main(sample: Path, codebook: Path, factory: str, *, dim: int, planned_rows: int, threads: int) -> None:
    """sample: a file of float16[n, dim]; planned_rows: of a shard; codebook: written whole or not at all."""
    lower_process()
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    faiss.omp_set_num_threads(threads)
    rows = np.memmap(sample, np.float16, mode="r").reshape(-1, dim)
    trained = train_codebook(rows, factory, planned_rows=planned_rows)
    part = codebook.with_name(f"{codebook.name}.part")
    part.write_bytes(trained.to_bytes())
    part.replace(codebook)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(_ORPHANED)


if __name__ == "__main__":
    _dim, _planned_rows, _threads = map(int, sys.argv[4:7])
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], dim=_dim, planned_rows=_planned_rows, threads=_threads)
