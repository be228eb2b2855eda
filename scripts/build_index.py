#!/usr/bin/env python3
"""scripts/build_index.py FILE.faiss [--filter JSON]: an exact index, inner product, by picture id, that FAISS itself
reads; what `omma export` writes beside the vectors.
"""

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from services.standalone.cli import command_line
from services.standalone.exporting import INDEX

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        command_line()(["export", folder, *sys.argv[2:]], prog_name="omma", standalone_mode=False)
        shutil.move(Path(folder) / INDEX, sys.argv[1])
    print(f"The index is {sys.argv[1]}.")
