"""`python training/measure.py`: what omma-mini is worth beside the networks that it came from, as a table."""

import sys
from pathlib import Path

if not __package__:  # run as a file: imports start at the repository, not at this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from training.mini.measuring import main

if __name__ == "__main__":
    sys.exit(main())
