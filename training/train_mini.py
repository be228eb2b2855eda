"""`python training/train_mini.py`: make omma-mini again, from photographs to a registry entry."""

import sys
from pathlib import Path

if not __package__:  # run as a file: imports start at the repository, not at this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from training.mini.command import main

if __name__ == "__main__":
    sys.exit(main())
