"""`python training/train_simclr.py --data_root DIR --epochs N`: train, measure, export, register."""

import sys
from pathlib import Path

if not __package__:  # run as a file: imports start at the repository, not at this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from training.simclr.command import main

if __name__ == "__main__":
    sys.exit(main())
