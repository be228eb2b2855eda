"""The process that trains a codebook: niced, of its own, and gone with the shard that started it.

python -m services.nn_shard.training.process SAMPLE.npy CODEBOOK FACTORY THREADS
"""

import os
import sys
import threading
import time
from pathlib import Path

import faiss
import numpy as np

from services.nn_shard.training.fitting import train_codebook

_NICE = 10
_ORPHANED = 3


def main(sample: Path, codebook: Path, factory: str, threads: int) -> None:
    """sample: float32[n, dim] as .npy; codebook: written whole or not at all."""
    os.nice(_NICE)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    faiss.omp_set_num_threads(threads)
    trained = train_codebook(np.load(sample), factory)
    part = codebook.with_name(f"{codebook.name}.part")
    part.write_bytes(trained.to_bytes())
    part.replace(codebook)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(_ORPHANED)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
