#!/usr/bin/env python3
"""scripts/export_embeds.py DIR [--filter JSON]: embeddings.npy, index.faiss and metadata.jsonl: `omma export`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from services.standalone.cli import command_line

if __name__ == "__main__":
    command_line()(["export", *sys.argv[1:]], prog_name="omma")
